from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssliqa_bench.runner.keys import differences, make_key

PARTS: dict[str, Any] = {
    "class": "ssliqa_bench.methods.ssiqa.ssiqa:SSIQA",
    "params": {"lr": 1e-4, "blocks": 3, "pretrained": False, "names": ["a", "b"], "gamma": None},
    "code": {"ssliqa_bench/methods/ssiqa/ssiqa.py": "aa", "ssliqa_bench/types.py": "bb"},
    "rows": {"a": {"roles": {"labeled": "11", "test": "22"}}},
    "seed": 0,
}


def shuffled(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    names = list(value)
    rng.shuffle(names)
    return {name: shuffled(value[name], rng) for name in names}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_entries_does_not_matter(seed: int) -> None:
    assert make_key(shuffled(PARTS, random.Random(seed))) == make_key(PARTS)


@pytest.mark.parametrize(
    ("path", "value"),
    [("seed", 1), ("seed", "0"), ("seed", None), ("params.lr", 2e-4), ("params.pretrained", True),
     ("params.names", ["b", "a"]), ("code.ssliqa_bench/types.py", "cc"), ("rows.a.roles.test", "23")],
)
def test_every_leaf_matters_and_its_path_is_named(path: str, value: Any) -> None:
    changed = with_leaf(PARTS, path, value)
    assert make_key(changed) != make_key(PARTS)
    (found,) = differences(PARTS, changed)
    assert found.path == path and found.new == value
    assert differences(changed, changed) == []


def with_leaf(parts: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".") if not path.startswith("ssliqa_bench/") else (path, "", "")
    return {**parts, first: with_leaf(parts[first], rest, value) if rest else value}


def test_differences_are_said_as_a_person_would() -> None:
    new = {**PARTS, "seed": 3, "code": {"ssliqa_bench/types.py": "xx", "mine.py": "yy"},
           "params": {**PARTS["params"], "lr": 3e-5, "gamma": "x" * 40}}
    assert [str(found) for found in differences(PARTS, new)] == [
        "code mine.py (new)",
        "code ssliqa_bench/methods/ssiqa/ssiqa.py (gone)",
        "code ssliqa_bench/types.py (changed)",
        "params.gamma (none -> xxxxxxxxxxxx…)",
        "params.lr (0.0001 -> 3e-05)",
        "seed (0 -> 3)",
    ]


def test_an_absent_entry_is_not_one_that_is_none() -> None:
    without = {name: value for name, value in PARTS["params"].items() if name != "gamma"}
    (found,) = differences(PARTS, {**PARTS, "params": without})
    assert (found.path, found.old, found.new) == ("params.gamma", None, None)
    assert make_key({**PARTS, "params": without}) != make_key(PARTS)


leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
trees = st.dictionaries(st.sampled_from("abc"), st.recursive(
    leaves, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8), max_size=3)


@given(trees, trees)
def test_keys_are_equal_exactly_where_nothing_differs(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (make_key(one) == make_key(other)) == (not differences(one, other))
