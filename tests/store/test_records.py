"""Records in a store: complete or refused, found by the first digits of their key, added to without a lock."""

from __future__ import annotations

import json
import math
import multiprocessing
import shutil
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ssliqa_bench.errors import CorruptFileError, InputError, SchemaError
from ssliqa_bench.store.record import Record, RunFacts, parse
from ssliqa_bench.store.records import (
    export_record,
    find_record,
    iter_records,
    read_predictions,
    read_record,
    record_keys,
    set_record_aside,
    write_record,
    write_result,
)
from ssliqa_bench.store.store import Store
from tests.resealed import reseal
from tests.store.made_record import KEY, both, facts, metrics, record, result, rows, typed

KEYS = ["11" * 32, "112" + "3" * 61, "ab" * 32]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a record in the store `tmp_path`."""
    write_record(tmp_path, record(), both())
    return tmp_path / "records" / KEY


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path if request.param == "folder" else f"memory://records-{uuid.uuid4().hex}")


def test_a_record_comes_back_as_it_was(store: Store) -> None:
    write_record(store, record(), both())
    assert read_record(store, KEY) == record() == read_record(store, KEY, with_predictions=True)
    assert list(iter_records(store)) == [record()] and record_keys(store) == [KEY]
    for dataset, own in both().items():
        assert read_predictions(store, KEY, dataset) == own
    with pytest.raises(FileNotFoundError):
        read_record(store, KEYS[0])
    with pytest.raises(FileNotFoundError):
        read_predictions(store, KEY, "c")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(TEXT, VALUES, max_size=4), st.lists(TEXT, max_size=3), st.dictionaries(TEXT, VALUES, max_size=4),
    st.floats(allow_nan=False, allow_infinity=False) | st.none(),
)  # fmt: skip
def test_awkward_values_come_back(
    overrides: dict[str, Any], notes: list[str], parts: dict[str, Any], value: float | None
) -> None:
    store = Store("memory://awkward")
    content = facts(notes=notes, key_parts=parts)
    content["cell"]["overrides"] = overrides
    own = Record(
        parse(RunFacts, content, "facts"),
        {name: typed(result(metrics=metrics(srcc=value, extra={"x": value}))) for name in ("a", "b")},
    )
    write_record(store, own, both())
    assert read_record(store, KEY) == own and list(iter_records(store)) == [own]


def test_another_dataset_is_added_without_touching_the_rest(store: Store) -> None:
    write_record(store, record(), both())
    before = {path: store.read(path) for path in store.list()}
    further = typed(result(side="external"))
    write_result(store, "c", further, rows(3.0))
    assert {path: store.read(path) for path in before} == before
    assert read_record(store, KEY) == Record(record().facts, {**record().results, "c": further})
    write_result(store, "c", further.model_copy(update={"evaluation_version": 2}), rows(4.0))
    assert read_record(store, KEY).results["c"].evaluation_version == 2
    assert read_predictions(store, KEY, "c") == rows(4.0)
    assert len(store.list(f"records/{KEY}/c/")) == 2
    write_record(store, record(), both())
    assert read_record(store, KEY) == record(), "a record that is made anew holds what it was tested on"


def test_the_same_record_gives_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    write_record(tmp_path / "other", record(), both())
    for path in folder.rglob("*.*"):
        other = tmp_path / "other" / "records" / KEY / path.relative_to(folder)
        assert path.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", ["facts.json", "a/metrics.json", "b/predictions-*.parquet"])
def test_every_flipped_byte_is_found(tmp_path: Path, folder: Path, name: str) -> None:
    (path,) = folder.glob(name)
    original = path.read_bytes()
    for position in range(0, len(original), 7):
        if original[position] in b" \n" and path.suffix == ".json":
            continue  # white space between the fields means nothing
        path.write_bytes(original[:position] + bytes([original[position] ^ 0x10]) + original[position + 1 :])
        with pytest.raises(CorruptFileError, match=str(folder)):
            read_record(tmp_path, KEY, with_predictions=True)
            read_predictions(tmp_path, KEY, "b")
    path.unlink()
    with pytest.raises((CorruptFileError, FileNotFoundError)):
        read_record(tmp_path, KEY, with_predictions=True)


@pytest.mark.parametrize("text", ["1e705", "-1e705", "NaN", '"\\ud800"', "[" * 5000 + "]" * 5000])
@pytest.mark.parametrize("name", ["facts.json", "a/metrics.json"])
def test_values_that_json_cannot_hold_are_damage(tmp_path: Path, folder: Path, name: str, text: str) -> None:
    path = folder / name
    content = path.read_text()
    old = '"lr": 1e-05' if name == "facts.json" else '"srcc": 0.5'
    assert old in content
    path.write_text(content.replace(old, f"{old.partition(':')[0]}: {text}", 1))
    with pytest.raises(CorruptFileError, match=str(path)):
        read_record(tmp_path, KEY)


def test_a_forged_field_is_named_with_its_file(tmp_path: Path, folder: Path) -> None:
    reseal(folder / "a" / "metrics.json", lambda body: body["metrics"].update(srcc="high"))
    with pytest.raises(CorruptFileError, match=r"a/metrics\.json: metrics\.srcc: "):
        list(iter_records(tmp_path))
    reseal(folder / "facts.json", lambda body: body["cell"].update(seed=None))
    with pytest.raises(CorruptFileError, match=r"facts\.json: cell\.seed: "):
        read_record(tmp_path, KEY)


def test_a_record_or_result_under_the_name_of_another_is_refused(tmp_path: Path, folder: Path) -> None:
    shutil.copytree(folder, tmp_path / "records" / KEYS[2])
    with pytest.raises(CorruptFileError, match="key: .* expected that of its folder"):
        read_record(tmp_path, KEYS[2])
    write_record(tmp_path / "other", record(KEYS[0]), both())
    shutil.copytree(tmp_path / "other" / "records" / KEYS[0] / "a", folder / "c")
    with pytest.raises(CorruptFileError, match=r"c/metrics\.json: run: "):
        read_record(tmp_path, KEY)


def test_a_result_that_the_run_had_is_missed(tmp_path: Path, folder: Path) -> None:
    shutil.rmtree(folder / "b")
    with pytest.raises(CorruptFileError, match=r"b/metrics\.json: is missing"):
        list(iter_records(tmp_path))


def test_listing_leaves_out_what_was_set_aside_or_is_unfinished(store: Store) -> None:
    for key in reversed(KEYS):
        write_record(store, record(key), both())
    assert set_record_aside(store, KEYS[1]) == f"{KEYS[1]}.corrupt-1"
    write_result(store, "a", typed(result("ff" * 32)), rows())
    assert record_keys(store) == [KEYS[0], KEYS[2]]
    assert [own.key for own in iter_records(store)] == [KEYS[0], KEYS[2]]
    assert record_keys(Store("memory://nowhere")) == []


def test_a_damaged_record_stops_whoever_wants_all_and_names_the_way_out(tmp_path: Path, folder: Path) -> None:
    (folder / "facts.json").write_text("{}")
    with pytest.raises(CorruptFileError, match="store verify") as caught:
        list(iter_records(tmp_path))
    assert str(folder) in str(caught.value)


def test_a_record_is_found_by_the_first_digits_of_its_key(store: Store) -> None:
    for key in KEYS:
        write_record(store, record(key), both())
    assert find_record(store, "abab") == KEYS[2]
    assert find_record(store, KEYS[0]) == KEYS[0]
    assert find_record(store, "1123") == KEYS[1]


@pytest.mark.parametrize(
    ("digits", "message"),
    [("ab", "too short"), ("", "too short"), ("11", "too short"), ("ffff", "No record.*ffff.*store ls"),
     ("ABAB", "No record"), ("ff", "No record")],
)
def test_digits_that_name_no_record(tmp_path: Path, digits: str, message: str) -> None:
    for key in KEYS:
        write_record(tmp_path, record(key), both())
    with pytest.raises(InputError, match=message):
        find_record(tmp_path, digits)


def test_digits_that_name_two_records(tmp_path: Path) -> None:
    for key in ("abcd0" + "0" * 59, "abcd1" + "0" * 59):
        write_record(tmp_path, record(key), both())
    with pytest.raises(InputError, match='2 records.*"abcd": give more digits'):
        find_record(tmp_path, "abcd")
    assert find_record(tmp_path, "abcd1") == "abcd1" + "0" * 59


def _rewrite(store: Path, times: int, stop: Any) -> None:
    for number in range(times):
        write_record(store, record(steps=number), both(float(number)))
    stop.set()


def test_whoever_reads_while_another_process_replaces_sees_a_complete_record(tmp_path: Path, folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writer = context.Process(target=_rewrite, args=(tmp_path, 40, stop))
    writer.start()
    reads = 0
    while not stop.is_set() or reads == 0:
        assert read_predictions(tmp_path, KEY, "a").image == rows().image
        assert set(read_record(tmp_path, KEY, with_predictions=True).results) == {"a", "b"}
        reads += 1
    writer.join(60)
    assert writer.exitcode == 0 and read_record(tmp_path, KEY).facts.steps == 39


def _add(store: Any, names: list[str], ready: Any) -> None:
    ready.wait(30)
    for name in names:
        write_result(store, name, typed(result(side="external", metrics=metrics(n=len(name)))), rows(float(len(name))))


def test_processes_that_add_datasets_at_once_lose_none(tmp_path: Path, folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(2)
    halves = [[f"{'x' * (1 + k)}-{half}" for k in range(12)] for half in range(2)]
    writers = [context.Process(target=_add, args=(tmp_path, names, ready)) for names in halves]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    found = read_record(tmp_path, KEY, with_predictions=True)
    assert set(found.results) == {"a", "b", *halves[0], *halves[1]}
    for name in (*halves[0], *halves[1]):
        assert found.metrics[name].n == len(name)
        assert read_predictions(tmp_path, KEY, name) == rows(float(len(name)))


def test_threads_that_add_datasets_at_once_lose_none(store: Store) -> None:
    write_record(store, record(), both())
    ready = threading.Barrier(3)
    names = [[f"{letter}{k}" for k in range(6)] for letter in "xyz"]
    threads = [threading.Thread(target=_add, args=(Store(store.address), own, ready)) for own in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(read_record(store, KEY).results) == {"a", "b", *names[0], *names[1], *names[2]}


def test_what_may_not_be_passed_on_stays_behind(store: Store) -> None:
    kept = typed(result())
    bare = typed(result(side="unlabeled", leak={"reason": "known", "found": ["b/2.png"]}))
    bare = bare.model_copy(update={"dataset": bare.dataset.model_copy(update={"labels_redistributable": False})})
    leak = {"reason": "known", "found": ["a/1.png", "b/1.png"]}
    write_record(store, Record(record(leak=leak).facts, {"a": kept, "b": bare}), both())
    target = Store("memory://passed-on")
    assert export_record(store, KEY, target, {}) == ("b",)
    passed = read_record(target, KEY, with_predictions=True)
    assert passed.withheld == ("b",) and passed.metrics == read_record(store, KEY).metrics
    assert read_predictions(target, KEY, "a") == rows()
    there = read_predictions(target, KEY, "b")
    assert set(there.image) == {""} and there.group is None and there.prediction == rows().prediction
    assert not any("png" in target.read(path).decode("latin-1") for path in target.list() if "/a/" not in path)
    assert export_record(target, KEY, Store("memory://passed-on-again"), {}) == ("b",)


def test_the_golden_record_of_schema_2_is_readable() -> None:
    """Converted from schema 1; every later version must read it."""
    (read,) = iter_records(GOLDEN)
    assert read.cell.method == "supervised" and read.cell.pair == "tiny-a:tiny-b"
    assert read.facts.protocol.mapping == "logistic4" and read.facts.device == "cpu" and read.facts.threads == 1
    assert [stage.name for stage in read.facts.stages] == ["initial"] and read.facts.converted_from is not None
    assert set(read.results) == {"tiny-a", "tiny-b"}
    for dataset, stated in read.metrics.items():
        own = read_predictions(GOLDEN, read.key, dataset)
        assert stated.n == len(own) == 8 and own.group is None
        assert math.isclose(stated.srcc or 0, stats.spearmanr(own.prediction, own.score)[0], rel_tol=1e-12)
        assert math.isclose(stated.krcc or 0, stats.kendalltau(own.prediction, own.score)[0], rel_tol=1e-12)
        assert math.isclose(stated.plcc_raw or 0, stats.pearsonr(own.prediction, own.score)[0], rel_tol=1e-12)


def test_the_golden_record_makes_a_board() -> None:
    from ssliqa_bench.leaderboard.boards import build_boards

    texts = build_boards(iter_records(GOLDEN))
    assert any("supervised" in text and "tiny-b" in text for text in texts.values())


def test_the_golden_record_names_no_machine() -> None:
    texts = [path.read_text() for path in GOLDEN.rglob("*.json")]
    assert len(texts) == 3
    assert not any(f'"{start}' in text for text in texts for start in ("/", "~", "C:")), "no absolute path"


@pytest.mark.parametrize("schema", [1, 3, "2", None])
@pytest.mark.parametrize("name", ["facts.json", "a/metrics.json"])
def test_another_schema_is_refused_with_its_version_and_the_way_out(
    tmp_path: Path, folder: Path, name: str, schema: Any
) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": schema}))
    for read in (lambda: read_record(tmp_path, KEY), lambda: list(iter_records(tmp_path))):
        with pytest.raises(SchemaError, match=f"schema {schema!r}; this version reads schema 2") as caught:
            read()
        assert "make the run again" in str(caught.value) and str(folder) in str(caught.value)


def test_a_record_of_schema_1_is_refused(tmp_path: Path) -> None:
    """As the first version wrote it: one file of facts, one of predictions."""
    from ssliqa_bench.files import seal

    old = tmp_path / "records" / KEYS[0]
    old.mkdir(parents=True)
    (old / "facts.json").write_bytes(seal({**facts(KEYS[0]), "predictions_sha256": "0" * 64}, kind="record", schema=1))
    (old / "predictions-000000000000.parquet").write_bytes(b"PAR1")
    assert record_keys(tmp_path) == [KEYS[0]]
    with pytest.raises(SchemaError, match="schema 1; this version reads schema 2"):
        list(iter_records(tmp_path))
