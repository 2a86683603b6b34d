"""The index of records: what is read again, and that it never answers for what has changed."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.leaderboard.boards import build_boards
from ssliqa_bench.store.index import indexed_records
from ssliqa_bench.store.records import iter_records
from ssliqa_bench.store.store import Store
from tests.leaderboard.typed import typed, write

_MANY = 500


@pytest.fixture
def made() -> ModuleType:
    import tests.leaderboard.made_facts as module

    return module


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The objects of stores that are read."""
    found: list[str] = []
    read = Store.read

    def noted(self: Store, path: str) -> bytes:
        found.append(path)
        return read(self, path)

    monkeypatch.setattr(Store, "read", noted)
    return found


def test_boards_of_many_records_open_no_predictions_and_read_a_new_record_alone(
    made: ModuleType, tmp_path: Path, reads: list[str]
) -> None:
    store = tmp_path / "runs"
    for k in range(_MANY):
        write(store, made.record(f"method-{k % 25}", k // 25, srcc={"demo-syn": 0.5 + k % 25 / 100}))
    reads.clear()
    words = ["leaderboard", "--store", str(store), "--format", "md,csv,tex,json"]
    assert main([*words, "--out", str(tmp_path / "first")]) == 0
    assert len(reads) == 2 * _MANY and not any("predictions" in path for path in reads)
    reads.clear()
    assert main([*words, "--out", str(tmp_path / "again")]) == 0
    assert reads == []
    new = made.record("method-new", 0, srcc={"demo-syn": 0.9})
    write(store, new)
    reads.clear()
    assert main([*words, "--out", str(tmp_path / "second")]) == 0
    assert len(reads) == 2 and all(new["key"] in path for path in reads)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*.*"))
    assert files and all((tmp_path / "first" / f).read_bytes() == (tmp_path / "again" / f).read_bytes() for f in files)
    assert "method-new" in (tmp_path / "second/demo/standard.csv").read_text()


def test_the_index_follows_every_change(made: ModuleType, tmp_path: Path, reads: list[str]) -> None:
    store = tmp_path / "runs"
    documents = made.demo_suite(range(2))
    chance = random.Random(5)

    def same() -> None:
        expected = list(iter_records(store))
        assert indexed_records(store) == expected
        reads.clear()
        assert indexed_records(store) == expected and reads == []

    for turn in range(12):
        document = chance.choice(documents)
        folder = store / "records" / document["key"]
        if folder.exists() and turn % 3 == 2:
            shutil.rmtree(folder)
        else:
            document["seconds"]["train"] = float(turn)
            document["metrics"]["demo-wild"]["srcc"] = turn / 100
            write(store, document)
        same()
    left = [own for own in documents if (store / "records" / own["key"]).exists()]
    assert build_boards(indexed_records(store)) == build_boards(map(typed, left))


def test_a_damaged_index_is_read_past_and_a_damaged_record_is_refused(
    made: ModuleType, tmp_path: Path, cache: Path
) -> None:
    store = tmp_path / "runs"
    for seed in range(3):
        write(store, made.record(seed=seed))
    expected = indexed_records(store)
    (file,) = (cache / "records").iterdir()
    content = file.read_bytes()
    for damaged in (content[:-40], content.replace(b"ssiqa", b"ssiqb"), b"", b"\xff\n nonsense", content + b"half"):
        file.write_bytes(damaged)
        assert indexed_records(store) == expected
    facts = next(store.rglob("facts.json"))
    facts.write_bytes(facts.read_bytes().replace(b"ssiqa", b"ssiqb"))
    with pytest.raises(CorruptFileError, match="store verify"):
        indexed_records(store)


def test_a_cache_that_cannot_be_written_is_none(
    made: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "file"))
    write(tmp_path / "runs", made.record())
    assert len(indexed_records(tmp_path / "runs")) == 1


def test_the_index_does_not_grow_without_bound(made: ModuleType, tmp_path: Path, cache: Path) -> None:
    store = tmp_path / "runs"
    for turn in range(12):
        document = made.record()
        document["seconds"]["train"] = float(turn)
        write(store, document)
        indexed_records(store)
    (file,) = (cache / "records").iterdir()
    assert file.read_bytes().count(b"\n") <= 4
