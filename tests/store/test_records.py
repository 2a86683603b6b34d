"""Records: whole or refused, found by the first digits of their key, readable by every later version."""

from __future__ import annotations

import json
import math
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from scipy import stats

from ssliqa_bench.errors import CorruptFileError, InputError, SchemaError
from ssliqa_bench.store.records import (
    Predictions,
    checked_facts,
    find_record,
    iter_facts,
    join_predictions,
    read_facts,
    read_predictions,
    record_folders,
    write_record,
)

KEYS = ["11" * 32, "112" + "3" * 61, "ab" * 32]
GOLDEN = Path(__file__).parent / "golden"


def predictions(shift: float = 0.0) -> Predictions:
    return Predictions(
        image=("1.png", "ü/2.png", "1.png"),
        role=("test", "test", "test"),
        dataset=("a", "a", "b"),
        score=(1.5, None, 70.0),
        prediction=(0.1 + shift, -1e-300, 1 / 3),
    )


def facts(key: str = KEYS[0], **more: Any) -> dict[str, Any]:
    return {"key": key, "created": "2026-01-31T12:00:00.000000Z", "metrics": {"a": {"srcc": 0.5, "krcc": None}}, **more}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write_record(tmp_path, facts(), predictions())


def test_a_record_comes_back_as_it_was(tmp_path: Path, record: Path) -> None:
    assert record == tmp_path / "records" / KEYS[0]
    read = read_facts(record)
    checksum = read.pop("predictions_sha256")
    assert read == facts() and len(checksum) == 64
    assert read_predictions(record) == predictions()
    assert checked_facts(record)["predictions_sha256"] == checksum


def test_the_rows_of_one_dataset_and_all_together() -> None:
    whole = predictions()
    assert whole.of("a").image == ("1.png", "ü/2.png") and whole.of("b").score == (70.0,)
    assert whole.of("c") == Predictions((), (), (), (), ())
    assert join_predictions([whole.of("a"), whole.of("b")]) == whole


def test_classes_stand_in_columns_of_their_own_and_only_where_there_are_some(tmp_path: Path, record: Path) -> None:
    (plain,) = record.glob("*.parquet")
    assert parquet.read_schema(plain).names == ["image", "role", "dataset", "score", "prediction"]
    assert read_predictions(record).true_class == (None, None, None)
    whole = replace(predictions(), true_class=(4, None, 0), predicted_class=(None, None, 1))
    folder = write_record(tmp_path, facts(KEYS[1]), whole)
    assert read_predictions(folder) == whole
    assert whole.of("b").predicted_class == (1,) and whole.of("a").true_class == (4, None)
    assert join_predictions([whole.of("b"), predictions().of("a")]).true_class == (0, None, None)


def test_a_replaced_record_leaves_one_file_of_predictions(tmp_path: Path, record: Path) -> None:
    write_record(tmp_path, facts(notes=["again"]), predictions(shift=1.0))
    assert read_predictions(record).prediction[0] == 1.1 and read_facts(record)["notes"] == ["again"]
    assert len(list(record.iterdir())) == 2


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path, record: Path) -> None:
    other = write_record(tmp_path / "other", facts(), predictions())
    assert [p.read_bytes() for p in sorted(record.iterdir())] == [p.read_bytes() for p in sorted(other.iterdir())]


def test_every_flipped_byte_of_the_predictions_is_found(record: Path) -> None:
    (path,) = record.glob("predictions-*.parquet")
    original = path.read_bytes()
    for position in range(0, len(original), 7):
        path.write_bytes(original[:position] + bytes([original[position] ^ 0x10]) + original[position + 1 :])
        for read in (checked_facts, read_predictions):
            with pytest.raises(CorruptFileError, match="does not match the checksum"):
                read(record)
    path.unlink()
    with pytest.raises(CorruptFileError, match="missing"):
        read_predictions(record)


def test_every_flipped_byte_of_the_facts_is_found(record: Path) -> None:
    path = record / "facts.json"
    original = path.read_bytes()
    for position, byte in enumerate(original):
        if byte in b" \n":
            continue
        path.write_bytes(original[:position] + bytes([byte ^ 0x10]) + original[position + 1 :])
        with pytest.raises(CorruptFileError):
            read_facts(record)


def test_a_record_under_the_name_of_another_is_refused(tmp_path: Path, record: Path) -> None:
    shutil.copytree(record, tmp_path / "records" / KEYS[2])
    with pytest.raises(CorruptFileError, match="not that of its folder"):
        read_facts(tmp_path / "records" / KEYS[2])


def test_listing_leaves_out_what_was_set_aside_or_is_unfinished(tmp_path: Path) -> None:
    for key in reversed(KEYS):
        write_record(tmp_path, facts(key), predictions())
    (tmp_path / "records" / KEYS[1]).rename(tmp_path / "records" / f"{KEYS[1]}.corrupt-1")
    (tmp_path / "records" / ("ff" * 32)).mkdir()
    assert [folder.name for folder in record_folders(tmp_path)] == [KEYS[0], KEYS[2]]
    assert [read["key"] for read in iter_facts(tmp_path)] == [KEYS[0], KEYS[2]]
    assert record_folders(tmp_path / "nowhere") == []


def test_a_damaged_record_stops_whoever_wants_all_and_says_how_to_go_on(tmp_path: Path, record: Path) -> None:
    (record / "facts.json").write_text("{}")
    with pytest.raises(CorruptFileError, match="store verify") as caught:
        list(iter_facts(tmp_path))
    assert str(record) in str(caught.value)


def test_a_record_is_found_by_the_first_digits_of_its_key(tmp_path: Path) -> None:
    for key in KEYS:
        write_record(tmp_path, facts(key), predictions())
    assert find_record(tmp_path, "abab").name == KEYS[2]
    assert find_record(tmp_path, KEYS[0]).name == KEYS[0]
    assert find_record(tmp_path, "1123").name == KEYS[1]


@pytest.mark.parametrize(
    ("digits", "message"),
    [("ab", "too short"), ("", "too short"), ("11", "too short"), ("ffff", "No record.*ffff.*store ls"),
     ("ABAB", "No record"), ("ff", "No record")],
)
def test_digits_that_name_no_record(tmp_path: Path, digits: str, message: str) -> None:
    for key in KEYS:
        write_record(tmp_path, facts(key), predictions())
    with pytest.raises(InputError, match=message):
        find_record(tmp_path, digits)


def test_digits_that_name_two_records(tmp_path: Path) -> None:
    for key in ("abcd0" + "0" * 59, "abcd1" + "0" * 59):
        write_record(tmp_path, facts(key), predictions())
    with pytest.raises(InputError, match='2 records.*"abcd": give more digits'):
        find_record(tmp_path, "abcd")
    assert find_record(tmp_path, "abcd1").name == "abcd1" + "0" * 59


def _rewrite(store: Path, times: int, stop: Any) -> None:
    for number in range(times):
        write_record(store, facts(number=number), predictions(shift=float(number)))
    stop.set()


def test_whoever_reads_while_another_process_replaces_sees_a_whole_record(tmp_path: Path, record: Path) -> None:
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writer = context.Process(target=_rewrite, args=(tmp_path, 60, stop))
    writer.start()
    reads = 0
    while not stop.is_set() or reads == 0:
        rows = read_predictions(record)
        assert rows.image == predictions().image
        reads += 1
    writer.join(60)
    assert writer.exitcode == 0 and checked_facts(record)["number"] == 59


def test_the_golden_record_of_schema_1_is_readable() -> None:
    """Written by the first version; every later version must read it."""
    (folder,) = record_folders(GOLDEN)
    read = read_facts(folder)
    assert read["key"] == folder.name and read["cell"]["method"] == "supervised"
    assert read["cell"]["pair"] == "tiny-a:tiny-b" and read["protocol"]["mapping"] == "logistic4"
    assert read["stages"][0]["name"] == "initial" and read["device"] == "cpu" and read["threads"] == 1
    rows = read_predictions(folder)
    assert set(rows.dataset) == {"tiny-a", "tiny-b"} and set(rows.role) == {"test"}
    for dataset, stated in read["metrics"].items():
        own = rows.of(dataset)
        assert stated["n"] == len(own.image) == 8
        assert math.isclose(stated["srcc"], stats.spearmanr(own.prediction, own.score)[0], rel_tol=1e-12)
        assert math.isclose(stated["krcc"], stats.kendalltau(own.prediction, own.score)[0], rel_tol=1e-12)
        assert math.isclose(stated["plcc_raw"], stats.pearsonr(own.prediction, own.score)[0], rel_tol=1e-12)


def test_the_golden_record_makes_a_board() -> None:
    from ssliqa_bench.leaderboard.boards import build_boards

    texts = build_boards(list(iter_facts(GOLDEN)))
    assert any("supervised" in text and "tiny-b" in text for text in texts.values())


def test_the_golden_record_names_no_machine() -> None:
    (folder,) = record_folders(GOLDEN)
    text = (folder / "facts.json").read_text()
    assert not any(f'"{start}' in text for start in ("/", "~", "C:")), "no absolute path"


def test_another_schema_is_refused_with_its_version(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "later")
    (folder,) = record_folders(tmp_path / "later")
    body = json.loads((folder / "facts.json").read_text())
    (folder / "facts.json").write_text(json.dumps({**body, "schema": 2}))
    with pytest.raises(SchemaError, match="schema 2; this version reads schema 1"):
        read_facts(folder)
    with pytest.raises(CorruptFileError, match="schema 2"):
        list(iter_facts(tmp_path / "later"))
