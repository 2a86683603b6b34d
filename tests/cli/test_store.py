"""`store ls`, `store why` and `store verify`."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ssliqa_bench.cli.app import main
from ssliqa_bench.store.records import read_predictions, read_record, write_result
from ssliqa_bench.store.store import Store
from tests.resealed import reseal

if TYPE_CHECKING:
    from tests.conftest import Bench


def test_ls_lists_every_record_newest_last(finished: Bench) -> None:
    code, out, _ = finished("store", "ls", "--json")
    entries = json.loads(out)["runs"]
    assert code == 0 and [entry["method"] for entry in entries] == ["supervised", "ssiqa"]
    assert [entry["key"] for entry in entries] == [finished.key("supervised"), finished.key("ssiqa")]
    code, out, _ = finished("store", "ls")
    assert code == 0 and finished.key("ssiqa")[:12] in out


def test_ls_of_nothing(bench: Bench) -> None:
    bench.store.mkdir(parents=True)
    code, out, err = bench("store", "ls")
    assert code == 0 and out == "" and "No records" in err
    document = json.loads(bench("store", "ls", "--json")[1])
    assert document["runs"] == [] and document["total_bytes"] == 0
    assert not list(bench.store.iterdir())


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_ls_says_how_much_a_store_holds(finished: Bench) -> None:
    document = json.loads(finished("store", "ls", "--json")[1])
    assert {kind: size["entries"] for kind, size in document["sizes"].items()} == {
        "records": 2, "artifacts": 4, "checkpoints": 0, "predictions": len(below(finished, "predictions")),
    }  # fmt: skip
    for kind, size in document["sizes"].items():
        assert size["bytes"] == bytes_below(finished.store / kind)
    assert document["total_bytes"] == bytes_below(finished.store)
    line = finished("store", "ls")[1].splitlines()[-1]
    assert line.startswith("2 records ") and "4 artifacts " in line and "together " in line


def test_ls_stops_at_a_damaged_record(finished: Bench) -> None:
    facts = finished.record(finished.key("ssiqa")) / "facts.json"
    facts.write_text(facts.read_text().replace("ssiqa", "ssiqb", 1))
    code, out, err = finished("store", "ls")
    assert code == 2 and out == "" and str(facts) in err and "store verify" in err


def test_why_says_that_a_record_still_answers(finished: Bench) -> None:
    key = finished.key("ssiqa")
    code, out, _ = finished("store", "why", key[:6])
    assert code == 0 and key in out and "answered from the store" in out and "ssiqa tiny-a:tiny-b" in out
    code, out, _ = finished("store", "why", key[:6], "--full")
    assert code == 0 and '"ssliqa_bench/methods/ssiqa/ssiqa.py"' in out and '"phase_lr"' in out


def test_why_names_what_changed_in_data_and_registry(own_bench: Bench) -> None:
    key = own_bench.run("supervised")["key"]
    labels = own_bench.data / "tiny-b" / "labels.csv"
    labels.write_text(labels.read_text().replace("00.png,4", "00.png,3"))
    registry = own_bench.data / "registry.yaml"
    content = yaml.safe_load(registry.read_text())
    content["methods"] = {"supervised": {"recipes": {"check": {"lr": 2e-3}}}}
    content["datasets"]["tiny-a"]["scale"] = [0, 5]
    registry.write_text(yaml.safe_dump(content))
    code, out, _ = own_bench("store", "why", key[:8])
    assert code == 0 and "another key; it differs in:" in out
    found = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert found == {"params.lr", "rows.tiny-a.scores", "rows.tiny-b.fingerprint", "rows.tiny-b.scores"}


def test_why_compares_records_of_the_same_cell(own_bench: Bench) -> None:
    first = own_bench.run("supervised")["key"]
    labels = own_bench.data / "tiny-a" / "labels.csv"
    labels.write_text(labels.read_text().replace("00.png,4", "00.png,3"))
    code, out, err = own_bench("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--json")
    assert code == 0 and f"Stored run {first[:12]} differs in: rows.tiny-a.fingerprint" in err
    second = json.loads(out)["runs"][0]["key"]
    assert second != first
    code, out, _ = own_bench("store", "why", second[:8])
    assert code == 0 and f"Record {first[:12]} of the same cell" in out and "rows.tiny-a.fingerprint" in out


def test_board_stale_and_verify_agree_on_what_was_made_before_a_change(own_bench: Bench, tmp_path: Path) -> None:
    old = own_bench.run("supervised")["key"]
    labels = own_bench.data / "tiny-b" / "labels.csv"
    labels.write_text(labels.read_text().replace("00.png,4", "00.png,3"))
    own_bench.run("ssiqa")
    code, out, err = own_bench("leaderboard", "--stale")
    assert code == 0 and "1 were made with other images" in err
    assert [line for line in out.splitlines() if "split of tiny-b" in line and line.startswith(old[:12])]
    code, out, _ = own_bench("store", "verify")
    assert code == 1 and f"{old[:12]}: tiny-b: images, scores or split differ" in out and ", 1 problem." in out
    code, out, _ = own_bench("leaderboard", "--out", str(tmp_path / "boards"), "--print")
    assert code == 0 and "`supervised` *outdated*" in out and "| old |" in out
    own_bench.run("supervised")
    assert own_bench("store", "verify")[0] == 0
    assert "outdated" not in own_bench("leaderboard", "--out", str(tmp_path / "boards"), "--print")[1]


@pytest.mark.parametrize("words", [("store", "verify"), ("data", "check", "tiny-a")], ids=" ".join)
@pytest.mark.parametrize("what", ["image", "pixels"])
def test_deep_finds_what_changed_without_another_size_or_time(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], what: str
) -> None:
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    own_bench.run("supervised")
    place = own_bench.data / "tiny-a" if what == "image" else tmp_path / "cache" / "pixels"
    file = sorted(place.rglob("*.png" if what == "image" else "pixels.u8"))[0]
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    def call(*more: str) -> tuple[int, str]:
        own = ("--registry", str(own_bench.data / "registry.yaml"))
        where = ("--store", str(own_bench.store)) if words[0] == "store" else ()
        own_bench.capture.readouterr()
        code = main([*words, *own, *where, *more])
        return code, own_bench.capture.readouterr().out

    assert file.name not in call()[1], "size and time are trusted"
    code, out = call("--deep")
    assert code == 1 and str(file) in out
    assert str(file) not in call("--deep")[1], "it was read, and is not used again"


def test_why_of_a_record_whose_method_is_gone(finished: Bench) -> None:
    file = finished.registry({"methods": {"own": {"about": {"title": "Own"}, "extends": "supervised"}}})
    key = finished.run("own", "--registry", str(file))["key"]
    code, _, err = finished("store", "why", key[:8])
    assert code == 2 and 'Unknown method "own"' in err


def test_verify_finds_nothing_wrong_with_a_good_store(finished: Bench) -> None:
    before = finished.files()
    code, out, _ = finished("store", "verify")
    assert code == 0 and "2 records checked, 0 problems" in out
    assert json.loads(finished("store", "verify", "--json")[1]) == {
        "records": 2, "problems": [], "not_recomputable_here": [], "stages_without_predictions": []
    }
    assert finished.files() == before


def test_verify_finds_an_edited_metric_that_was_sealed_again(finished: Bench) -> None:
    key = finished.key("ssiqa")

    def better(result: dict[str, Any]) -> None:
        result["metrics"]["srcc"] += 0.01

    reseal(finished.record(key) / "tiny-b" / "metrics.json", better)
    code, out, _ = finished("store", "verify")
    assert code == 1 and f"{key[:12]}: tiny-b: srcc is stated as" in out and ", 1 problem." in out


def test_verify_finds_edited_predictions_that_were_sealed_again(finished: Bench) -> None:
    key = finished.key("ssiqa")
    rows = read_predictions(finished.store, key, "tiny-a")
    edited = replace(rows, prediction=(rows.prediction[0] + 1e-6, *rows.prediction[1:]))
    write_result(finished.store, "tiny-a", read_record(finished.store, key).results["tiny-a"], edited)
    code, out, _ = finished("store", "verify")
    assert code == 1 and f"{key[:12]}: tiny-a: scores and predictions are not those" in out


def test_verify_finds_a_dataset_whose_predictions_were_taken_out(finished: Bench) -> None:
    key = finished.key("ssiqa")
    shutil.rmtree(finished.record(key) / "tiny-b")
    code, out, _ = finished("store", "verify")
    assert code == 1 and "tiny-b/metrics.json: is missing" in out


def test_verify_says_where_metrics_are_of_another_version(finished: Bench) -> None:
    key = finished.key("ssiqa")
    reseal(finished.record(key) / "tiny-a" / "metrics.json", lambda result: result.update(evaluation_version=0))
    code, out, _ = finished("store", "verify")
    assert code == 1 and f"{key[:12]}: tiny-a: evaluated by version 0" in out and ", 1 problem." in out
    assert f"store evaluate {key[:12]}" in out
    code, _, err = finished("store", "evaluate", key[:12])
    assert code == 0 and "1 results evaluated again." in err
    assert finished("store", "verify")[0] == 0
    assert "0 results evaluated again." in finished("store", "evaluate")[2]


def test_verify_finds_a_key_that_its_parts_do_not_give(finished: Bench) -> None:
    key = finished.key("ssiqa")
    reseal(finished.record(key) / "facts.json", lambda facts: facts["key_parts"].update(seed=7))
    code, out, _ = finished("store", "verify")
    assert code == 1 and f"{key[:12]}: key {key[:12]} does not follow from key_parts" in out


def test_verify_finds_an_edited_metric_of_a_stage(finished: Bench) -> None:
    key = finished.key("ssiqa")

    def better(result: dict[str, Any]) -> None:
        result["stages"]["initial"]["srcc"] -= 0.01

    reseal(finished.record(key) / "tiny-a" / "metrics.json", better)
    code, out, _ = finished("store", "verify")
    assert code == 1 and f"{key[:12]}: tiny-a: initial: srcc is stated as" in out


@pytest.mark.parametrize("where", ["records/*/*/predictions-*", "artifacts/*/tensors*", "predictions/*/tensors*"])
def test_verify_finds_a_flipped_byte_anywhere(finished: Bench, where: str) -> None:
    path = sorted(finished.store.glob(where))[0]
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    before = finished.files()
    code, out, _ = finished("store", "verify", "--json")
    (problem,) = json.loads(out)["problems"]
    assert code == 1 and str(path) in problem
    assert finished.files() == before, "looking changes nothing"


def test_verify_goes_on_after_a_record_that_is_no_json(finished: Bench) -> None:
    for method in ("supervised", "ssiqa"):
        (finished.record(finished.key(method)) / "facts.json").write_text("{")
    code, out, _ = finished("store", "verify")
    assert code == 1 and "2 records checked, 2 problems" in out


def test_the_committed_golden_record_verifies(tmp_path: Path, bench: Bench) -> None:
    shutil.copytree(Path(__file__).parents[1] / "store" / "golden", bench.store)
    code, out, _ = bench("store", "verify")
    assert "1 record checked" in out and (code == 0 or "evaluated by version 1" in out)
    assert json.loads(bench("store", "ls", "--json")[1])["runs"][0]["method"] == "supervised"


def test_an_exported_record_holds_no_name_and_no_score_that_may_not_be_passed_on(
    finished: Bench, tmp_path: Path
) -> None:
    out = tmp_path / "passed-on"
    key = finished.key("ssiqa")
    code, _, err = finished("store", "export", str(out), key[:12])
    assert code == 0 and "tiny-a, tiny-b" in err and "stayed behind" in err
    from pyarrow import parquet

    files = (out / "records" / key).glob("*/*.parquet")
    tables = [parquet.read_table(file) for file in files]
    rows = [row for table in tables for row in table.to_pylist()]
    for table in tables:
        assert not {"group", "distortion", "level"} & set(table.schema.names)
    ours = finished.predictions(key)
    assert {row["image"] for row in rows} == {""} and all(math.isnan(row["score"]) for row in rows)
    assert sorted(row["prediction"] for row in rows) == sorted(ours.values())
    record, own = read_record(out, key), read_record(finished.store, key)
    assert record.withheld == ("tiny-a", "tiny-b") and record.metrics == own.metrics
    from ssliqa_bench.cli.app import main

    boards = ["leaderboard", "--out", str(tmp_path / "boards"), "--store"]
    assert main([*boards, str(out)]) == 0
    finished.capture.readouterr()
    assert main(["store", "verify", "--store", str(out)]) == 0
    said = finished.capture.readouterr().out
    assert said.count("not recomputable here") == 2 and "1 record checked, 0 problems" in said
    with_data = ["store", "verify", "--registry", str(finished.data / "registry.yaml"), "--store", str(out)]
    assert main(with_data) == 0
    assert finished.capture.readouterr().out == "1 record checked, 0 problems.\n"
    reseal(out / "records" / key / "tiny-a" / "metrics.json", lambda result: result["metrics"].update(srcc=0.123))
    assert main(with_data) == 1
    assert "srcc is stated as 0.123" in finished.capture.readouterr().out


def test_export_refuses_the_store_itself(finished: Bench) -> None:
    code, _, err = finished("store", "export", str(finished.store))
    assert code == 2 and "the store itself" in err


def test_withheld_results_of_an_older_version_are_evaluated_again_where_the_dataset_is(
    finished: Bench, tmp_path: Path
) -> None:
    from ssliqa_bench.cli.app import main

    out, key = tmp_path / "passed-on", finished.key("ssiqa")
    assert finished("store", "export", str(out), key)[0] == 0
    for dataset in ("tiny-a", "tiny-b"):
        file = out / "records" / key / dataset / "metrics.json"
        reseal(file, lambda result: result.update(evaluation_version=0))
        reseal(file, lambda result: result["metrics"].update(srcc=0.0))
    evaluate = ["store", "evaluate", "--store", str(out)]
    assert main(evaluate) == 0
    said = finished.capture.readouterr().err
    assert "0 results evaluated again; 2 unchanged." in said
    assert {own.evaluation_version for own in read_record(out, key).results.values()} == {0}
    assert main([*evaluate, "--registry", str(finished.data / "registry.yaml")]) == 0
    assert "2 results evaluated again." in finished.capture.readouterr().err
    assert read_record(out, key).metrics == read_record(finished.store, key).metrics
    assert read_record(out, key).withheld == ("tiny-a", "tiny-b")
    assert set(read_predictions(out, key, "tiny-a").image) == {""}


def age(bench: Bench, days: float = 2.0) -> None:
    """Make every file of the store that much older."""
    for path in bench.store.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - days * 86_400,) * 2)


def below(bench: Bench, kind: str) -> set[str]:
    return {path.name for path in (bench.store / kind).glob("*")}


def test_gc_leaves_all_that_records_need(finished: Bench) -> None:
    age(finished)
    before = set(finished.files())
    code, out, _ = finished("store", "gc")
    assert code == 0 and out == "0 removed, 0 kB.\n" and set(finished.files()) == before
    assert finished("store", "verify")[0] == 0
    assert below(finished, "locks") == set(), "old locks that nobody holds are removed"


def test_gc_removes_what_no_record_needs_any_more(finished: Bench) -> None:
    theta, final = (finished.facts(finished.key(name))["keys"]["model"] for name in ("supervised", "ssiqa"))
    shutil.rmtree(finished.record(finished.key("supervised")))
    age(finished)
    listed = finished("store", "gc", "--dry-run", "--keep", "final")[1]
    assert f"artifacts/{theta}" in listed and "not kept by --keep final" in listed and "would be removed" in listed
    assert len(below(finished, "artifacts")) == 4, "a dry run changes nothing"
    assert finished("store", "gc")[0] == 0 and theta in below(finished, "artifacts"), "ssiqa was made from it"
    code, out, _ = finished("store", "gc", "--keep", "final", "--json")
    document = json.loads(out)
    assert code == 0 and below(finished, "artifacts") == {final} and not document["dry_run"]
    assert sum(item["name"].startswith("artifacts/") for item in document["removed"]) == 3
    assert document["bytes"] == sum(item["bytes"] for item in document["removed"])
    assert finished.run("ssiqa")["status"] == "cached" and finished("store", "verify")[0] == 0


def test_a_dry_run_of_gc_lists_what_is_removed_and_nothing_else(finished: Bench) -> None:
    """Locks and temporary files of killed processes are among it; young ones and those that are held are not."""
    (finished.store / "locks").mkdir(exist_ok=True)
    (finished.store / "locks" / "dead.lock").touch()
    (finished.store / "artifacts" / ".artifact.json.abc.tmp").write_bytes(b"half")
    shutil.rmtree(finished.record(finished.key("ssiqa")))
    age(finished)
    for name in ("in-use", "young"):
        (finished.store / "locks" / f"{name}.lock").touch()

    def all_files() -> set[str]:
        return {str(path.relative_to(finished.store)) for path in finished.store.rglob("*") if path.is_file()}

    before = all_files()
    with Store(finished.store).lock("held"):
        code, out, _ = finished("store", "gc", "--dry-run", "--json")
        listed = json.loads(out)
        assert code == 0 and all_files() == before | {"locks/held.lock"}
        removed = json.loads(finished("store", "gc", "--json")[1])
        assert removed == {**listed, "dry_run": False}
        gone = before - all_files()
    names = [item["name"] for item in listed["removed"]]
    assert {"locks/dead.lock", "locks/in-use.lock", "artifacts/.artifact.json.abc.tmp"} <= set(names)
    assert {path for path in before if path.startswith(tuple(f"{name}/" for name in names)) or path in names} == gone
    assert "locks/young.lock" in all_files() and listed["spared"] == 1


def test_gc_of_all_weights_leaves_records_and_their_predictions(finished: Bench) -> None:
    key = finished.key("ssiqa")
    predictions = finished.predictions(key)
    age(finished)
    assert finished("store", "gc", "--keep", "none")[0] == 0
    assert below(finished, "artifacts") == set() and finished.predictions(key) == predictions
    assert finished.run("ssiqa")["status"] == "cached"
    code, _, err = finished("test", key[:8], "--on", "tiny-c")
    assert code == 2 and "final weights were not kept" in err


def test_gc_spares_what_is_young(finished: Bench) -> None:
    shutil.rmtree(finished.store / "records")
    code, out, _ = finished("store", "gc", "--keep", "none")
    n = len(below(finished, "artifacts") | below(finished, "predictions"))
    assert code == 0 and f"0 removed, 0 kB. {n} younger than a day spared." in out and n > 4


def test_gc_waits_for_no_run_and_removes_nothing_beside_one(finished: Bench) -> None:
    shutil.rmtree(finished.store / "records")
    age(finished)
    with Store(finished.store).in_use():
        code, out, err = finished("store", "gc")
        assert code == 2 and out == "" and "a run is in progress" in err and len(below(finished, "artifacts")) == 4
        assert "would be removed" in finished("store", "gc", "--dry-run")[1]
    assert finished("store", "gc")[0] == 0 and below(finished, "artifacts") == set()


def test_gc_removes_nothing_beside_a_run_where_there_are_no_locks(
    finished: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    shutil.rmtree(finished.store / "records")
    age(finished)
    with Store(finished.store).in_use():
        code, out, err = finished("store", "gc")
        assert code == 2 and out == "" and "a run is in progress" in err and len(below(finished, "artifacts")) == 4
    assert finished("store", "gc")[0] == 0 and below(finished, "artifacts") == set()


def test_a_run_in_progress_holds_off_gc(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from ssliqa_bench.runner import compute

    codes = []
    real = compute.compute

    def during(*asked: Any) -> Any:
        codes.append(bench("store", "gc")[0])
        return real(*asked)

    monkeypatch.setattr(compute, "compute", during)
    (bench.store / "records").mkdir(parents=True)
    (bench.store / "records" / "note.txt").write_text("a store that is not empty")
    bench.run("supervised")
    assert codes == [2]


def test_gc_refuses_to_guess(finished: Bench, tmp_path: Path) -> None:
    """A damaged record may need anything; an unknown policy or a store that is not there is a slip."""
    assert "expected phases, final or none" in finished("store", "gc", "--keep", "all")[2]
    facts = finished.record(finished.key("ssiqa")) / "facts.json"
    facts.write_text("{")
    age(finished)
    before = finished.files()
    code, out, err = finished("store", "gc", "--keep", "none")
    assert code == 2 and out == "" and "store verify" in err and finished.files() == before
    finished.store = tmp_path / "none"
    code, _, err = finished("store", "gc")
    assert code == 2 and "nothing of that name" in err and not finished.store.exists()
