"""Notices of datasets beside names and scores that are passed on."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.registry.load import load_registry, notices_of
from ssliqa_bench.store.merge import import_records
from ssliqa_bench.store.notices import missing_notices, notice_name
from ssliqa_bench.store.records import export_record, iter_records, write_record
from ssliqa_bench.store.store import Store
from tests.store.made_record import KEY, both, record

ROOT = Path(__file__).resolve().parents[2]
NOTICE = "NOTICE-livec.txt"


@pytest.fixture
def notices(tmp_path: Path) -> dict[str, Path]:
    """Notices of the made record's first dataset and of one that it does not have."""
    file = tmp_path / "a notice.txt"
    file.write_text("Copyright of a.\n")
    return {"a": file, "z": file}


@pytest.mark.parametrize("address", ["folder", "memory"])
def test_an_export_has_the_notices_of_its_datasets(address: str, tmp_path: Path, notices: dict[str, Path]) -> None:
    write_record(tmp_path / "runs", record(), both())
    out = Store(tmp_path / "out" if address == "folder" else f"memory://notices-{uuid.uuid4().hex}")
    export_record(tmp_path / "runs", KEY, out, notices)
    assert out.list("NOTICE-") == ["NOTICE-a.txt"] and out.read("NOTICE-a.txt") == b"Copyright of a.\n"
    assert missing_notices(out, iter_records(out), notices) == []
    import_records(out, tmp_path / "further", {})
    assert (tmp_path / "further/NOTICE-a.txt").read_bytes() == b"Copyright of a.\n"

    out.put("NOTICE-a.txt", b"Copyright")
    (problem,) = missing_notices(out, iter_records(out), notices)
    assert "NOTICE-a.txt: is not the whole notice; expected the notice of a" in problem
    out.delete("NOTICE-a.txt")
    (problem,) = missing_notices(out, iter_records(out), notices)
    assert f"{out.where('NOTICE-a.txt')}: is missing" in problem and str(notices["a"]) in problem
    assert "must accompany its names and scores (in 1 record). Next: " in problem
    if address == "folder":  # what the message says next is what helps
        subprocess.run(problem.partition("Next: ")[2], shell=True, check=True)
        assert missing_notices(out, iter_records(out), notices) == []


def test_an_import_from_a_store_of_runs_has_the_notices_of_its_datasets(
    tmp_path: Path, notices: dict[str, Path]
) -> None:
    """A store in which runs were made holds no notices itself."""
    held, source, target = record(), Store(tmp_path / "runs"), Store(tmp_path / "out")
    write_record(source, held, both())
    source.put("predictions/one/rows.parquet", b"")
    hidden = held.results["b"].model_copy(update={"withheld": True})
    write_record(tmp_path / "public", type(held)(held.facts, {**held.results, "b": hidden}), both())
    import_records(tmp_path / "public", target, {**notices, "b": notices["z"]})
    assert target.list("NOTICE-") == ["NOTICE-a.txt"], "names and scores of b are withheld"
    target.delete("NOTICE-a.txt")
    import_records(source, target, notices)
    assert target.read("NOTICE-a.txt") == b"Copyright of a.\n"
    assert missing_notices(target, iter_records(target), notices) == []


def test_neither_withheld_names_nor_a_store_of_runs_ask_for_a_notice(tmp_path: Path, notices: dict[str, Path]) -> None:
    held = record()
    write_record(tmp_path, held, both())
    store = Store(tmp_path)
    assert missing_notices(store, [held], notices)
    hidden = held.results["a"].model_copy(update={"withheld": True})
    assert missing_notices(store, [type(held)(held.facts, {**held.results, "a": hidden})], notices) == []
    store.put("predictions/one/rows.parquet", b"")
    assert missing_notices(store, [held], notices) == []


def test_committed_human_scores_without_their_notice_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    committed = ROOT / "leaderboards/last-stages"
    store, boards = tmp_path / "passed-on", str(tmp_path / "boards")
    assert main(["store", "export", str(store), min(own.name for own in (committed / "records").iterdir())[:12],
                 "--store", str(committed)]) == 0  # fmt: skip
    notice = notices_of(load_registry())["livec"]
    assert (store / NOTICE).read_bytes() == notice.read_bytes()
    write = ["leaderboard", "--store", str(store), "--out", boards, "--format", "md,html"]
    check = [*write, "--check"]
    assert main(write) == 0 and main(check) == 0
    assert "Warning" not in capsys.readouterr().err
    verify = ["store", "verify", "--store", str(store)]
    assert main(verify) == 0
    capsys.readouterr()

    (store / NOTICE).unlink()
    expected = f"{store / NOTICE}: is missing; expected the notice of livec, which must accompany"
    assert main(check) == 1
    said = capsys.readouterr().err
    assert expected in said and f"Next: cp {notice} {store / NOTICE}" in said and "do not follow" not in said
    assert main(verify) == 1
    assert expected in capsys.readouterr().out
    assert main(write) == 0, "the boards themselves are right"
    said = capsys.readouterr().err
    assert f"Warning: {expected}" in said and f"Next: cp {notice} {store / NOTICE}" in said
    shutil.copy(notice, store / NOTICE)
    (tmp_path / "boards/site/data/images" / NOTICE).unlink()
    assert main(check) == 1
    assert f"site/data/images/{NOTICE}: missing" in capsys.readouterr().err


@pytest.mark.parametrize("board", ["open", "last-stages", "published"])
def test_a_notice_stands_beside_the_committed_records(board: str) -> None:
    store = Store(ROOT / "leaderboards" / board)
    assert missing_notices(store, iter_records(store), notices_of(load_registry())) == []


def test_a_notice_stands_beside_the_names_of_the_committed_site() -> None:
    images = ROOT / "leaderboards/site/data/images"
    shown = {name: file for name, file in notices_of(load_registry()).items() if list(images.glob(f"{name}-*.js"))}
    assert shown, "the site shows human scores"
    for name, file in shown.items():
        assert (images / notice_name(name)).read_bytes() == file.read_bytes()
