from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.store.merge import Merged, import_records
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import export_record, iter_records, read_predictions, record_keys, write_record
from tests.store import made_record as made

OTHER = hashlib.sha256(b"other").hexdigest()


def changed(record: Record, **result: object) -> Record:
    """The record with another result on dataset a."""
    return replace(record, results={**record.results, "a": record.results["a"].model_copy(update=result)})


def test_two_stores_become_one(tmp_path: Path) -> None:
    write_record(tmp_path / "one", made.record(), made.both())
    write_record(tmp_path / "two", made.record(), made.both())
    write_record(tmp_path / "two", made.record(OTHER), made.both(0.5))
    assert import_records(tmp_path / "two", tmp_path / "one", {}) == Merged(added=1, completed=0, equal=1)
    assert list(iter_records(tmp_path / "one")) == list(iter_records(tmp_path / "two"))
    assert read_predictions(tmp_path / "one", OTHER, "b") == made.both(0.5)["b"]
    assert import_records(tmp_path / "two", tmp_path / "one", {}) == Merged(equal=2)


def test_the_same_run_of_another_day_is_the_same_record(tmp_path: Path) -> None:
    write_record(tmp_path / "one", made.record(), made.both())
    write_record(tmp_path / "two", made.record(created="2026-03-01T00:00:00Z"), made.both())
    assert import_records(tmp_path / "two", tmp_path / "one", {}) == Merged(equal=1)
    (kept,) = iter_records(tmp_path / "one")
    assert kept.facts.created == made.facts()["created"]


@pytest.mark.parametrize("what", ["predictions", "metrics", "dataset"])
def test_one_key_with_different_content_is_refused_by_name(tmp_path: Path, what: str) -> None:
    record = made.record()
    own = record.results["a"]
    change = {
        "predictions": {"inputs": "6" * 64},
        "metrics": {"metrics": own.metrics.model_copy(update={"srcc": 0.75})},
        "dataset": {"dataset": own.dataset.model_copy(update={"fingerprint": "other"})},
    }[what]
    write_record(tmp_path / "one", record, made.both())
    write_record(tmp_path / "two", changed(record, **change), made.both())
    write_record(tmp_path / "two", made.record(OTHER), made.both())
    with pytest.raises(InputError, match=rf"1 records have one key .*{record.key[:12]} \(.*\) on a\. Nothing"):
        import_records(tmp_path / "two", tmp_path / "one", {})
    assert record_keys(tmp_path / "one") == [record.key]


def test_what_was_withheld_is_completed_and_never_taken_away(tmp_path: Path) -> None:
    record = made.record()
    own = record.results["a"]
    hidden = changed(record, dataset=own.dataset.model_copy(update={"labels_redistributable": False}))
    write_record(tmp_path / "whole", hidden, made.both())
    assert export_record(tmp_path / "whole", record.key, tmp_path / "public", {}) == ("a",)
    assert import_records(tmp_path / "public", tmp_path / "whole", {}) == Merged(equal=1)
    assert read_predictions(tmp_path / "whole", record.key, "a") == made.both()["a"]
    assert import_records(tmp_path / "whole", tmp_path / "public", {}) == Merged(completed=1)
    assert read_predictions(tmp_path / "public", record.key, "a") == made.both()["a"]
    (found,) = iter_records(tmp_path / "public")
    assert not found.results["a"].withheld


def test_damaged_predictions_are_not_imported(tmp_path: Path) -> None:
    write_record(tmp_path / "two", made.record(), made.both())
    (file,) = (tmp_path / "two" / "records" / made.KEY / "a").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CorruptFileError, match="does not match its checksum"):
        import_records(tmp_path / "two", tmp_path / "one", {})
    assert record_keys(tmp_path / "one") == []


def test_the_command_imports_all_or_named_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two, one = str(tmp_path / "two"), str(tmp_path / "one")
    for key in (made.KEY, OTHER):
        write_record(two, made.record(key), made.both())
    assert main(["store", "import", two, OTHER[:8], "--store", one]) == 0
    assert "1 records added, 0 completed, 0 were there already" in capsys.readouterr().err
    assert main(["store", "import", two, "--store", one]) == 0
    assert record_keys(one) == sorted([made.KEY, OTHER])
    assert main(["store", "import", one, "--store", one]) == 2
    assert main(["store", "import", str(tmp_path / "nothing"), "--store", one]) == 2
    assert "nothing: is no folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["store", "import", str(tmp_path / "empty"), "--store", one]) == 2
    assert "No records under" in capsys.readouterr().err
