"""What a record may hold: every field typed, nothing unknown, and messages that name file and field."""

from __future__ import annotations

from typing import Any

import pytest

from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.evaluation.names import ALWAYS
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import ProtocolEntry
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.record import DatasetResult, Metrics, ProtocolFacts, Record, RunCell, RunFacts, parse
from tests.store.made_record import KEY, facts, metrics, record, result, typed


def test_a_record_states_the_run_that_it_answers() -> None:
    spec = record().spec
    assert spec == RunSpec("own", Pair("a", "b"), "standard", 0, "demo", (("lr", 1e-05), ("name", "ü|\n")), 0.25)
    assert RunCell.of(spec) == record().cell
    further = Record(record().facts, {**record().results, "c": typed(result(side="external"))})
    assert further.spec.tests == ("c",)


def test_what_later_tests_found_belongs_to_the_record() -> None:
    leak = {"reason": "known", "found": ["one"]}
    later = Record(record().facts, {**record().results, "c": typed(result(leak=leak, notes=["1 | 2", "later"]))})
    assert record().leak is None and later.leak is not None and later.leak.reason == "known"
    assert later.notes == ("1 | 2", "later")
    assert [own.srcc for own in record().stage_metrics("a")] == [0.25, 0.5]
    assert set(later.only(["c", "d"]).results) == {"c"}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("created",), "yesterday", "created: "),
        (("created",), 5, "created: "),
        (("cell",), "own", "cell: "),
        (("cell", "seed"), "0", "cell.seed: "),
        (("cell", "seed"), True, "cell.seed: "),
        (("cell", "seed"), -1, "cell.seed: "),
        (("cell", "budget"), "all", "cell.budget"),
        (("cell", "pair"), "a:b:c", "cell.pair: "),
        (("cell", "protocol"), "../../etc/board", "cell.protocol: "),
        (("cell", "overrides"), [], "cell.overrides: "),
        (("method", "title"), None, "method.title: "),
        (("method", "trained_on"), "live", "method.trained_on"),
        (("method", "chain"), "own", "method.chain: "),
        (("protocol", "aggregate"), "best", "protocol.aggregate: "),
        (("stages", 0, "steps"), 1.5, "stages.0.steps: "),
        (("stages", 1, "log"), [1], "stages.1.log.0: "),
        (("seconds", "train"), "0.2", "seconds.train: "),
        (("seconds", "train"), float("nan"), "seconds.train: "),
        (("n_parameters",), [], "n_parameters: "),
        (("notes",), [1], "notes.0: "),
        (("versions",), {"numpy": 2}, "versions.numpy: "),
        (("leak",), {"reason": "x"}, "leak.found: "),
        (("key",), "ab", "key: "),
        (("key_parts",), [], "key_parts: "),
        (("unheard_of",), 1, "unheard_of: "),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_named(path: tuple[Any, ...], value: Any, said: str) -> None:
    content: Any = facts()
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(CorruptFileError, match=r"^store/facts.json: ") as caught:
        parse(RunFacts, content, "store/facts.json")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", sorted(facts()))
def test_a_missing_field_is_named(name: str) -> None:
    content = facts()
    del content[name]
    with pytest.raises(CorruptFileError, match=f"here: {name}: "):
        parse(RunFacts, content, "here")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": metrics(srcc="0.5")}, "metrics.srcc: "),
        ({"metrics": metrics(srcc=float("inf"))}, "metrics.srcc: "),
        ({"metrics": metrics(mapping="good")}, "metrics.mapping: "),
        ({"metrics": metrics(extra={"mae_mapped": "1"})}, "metrics.extra.mae_mapped: "),
        ({"metrics": metrics(n=-1)}, "metrics.n: "),
        ({"stages": {"initial": {}}}, "stages.initial.n: "),
        ({"withheld": 1}, "withheld: "),
        ({"dataset": {}}, "dataset.kind: "),
        ({"classes": {"levels": 5}}, "classes.rule: "),
        ({"inputs": None}, "inputs: "),
    ],
)
def test_a_field_of_a_result_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CorruptFileError, match="here: ") as caught:
        parse(DatasetResult, {**result(), **changes}, "here")
    assert said in str(caught.value)


def test_a_part_of_the_key_that_is_no_object_is_named() -> None:
    forged = record(key_parts={"code": ["a.py"]})
    with pytest.raises(CorruptFileError, match=f"Record {KEY[:12]}: key_parts.code: is no object"):
        forged.key_part("code")
    assert forged.key_part("versions") == {}


def test_fields_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        record().facts.steps = 7  # type: ignore[misc]


def test_every_metric_that_is_always_computed_has_a_field() -> None:
    assert set(ALWAYS) <= set(Metrics.model_fields)


def test_every_field_of_a_protocol_is_on_record() -> None:
    assert set(ProtocolEntry.model_fields) - {"about"} == set(ProtocolFacts.model_fields)
    for entry in load_registry().protocols.values():
        parse(ProtocolFacts, entry.model_dump(mode="json", exclude={"about"}), entry.name)
