"""Leaks across datasets whose groups carry the same names, and how pairs of such datasets keep clear of them."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssliqa_bench.datasets.leaks import check_roles, group_family, kept_apart_notes
from ssliqa_bench.datasets.splits import assign_roles
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import LeakError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import ProtocolEntry
from ssliqa_bench.specs import Pair
from tests.datasets.miniatures import layouts
from tests.datasets.reading import read


def protocol(**fields: Any) -> ProtocolEntry:
    return ProtocolEntry.model_validate({"name": "p", "about": {"title": "P"}, **fields})


def make_table(dataset: str, groups: list[int], family: str = "", scored: bool = True) -> Table:
    n = len(groups)
    score = np.linspace(0, 1, n) if scored else np.full(n, np.nan)
    return Table(dataset, tuple(f"{dataset}-{k:04d}.png" for k in range(n)),
                 tuple(f"/{dataset}/{k:04d}.png" for k in range(n)), score, score, tuple(f"g{g}" for g in groups),
                 facts={"groups_as": family or dataset})  # fmt: skip


def test_groups_are_compared_over_a_family() -> None:
    tables = {"a": make_table("a", [0, 1, 2]), "b": make_table("b", [0, 1, 2], "a"), "c": make_table("c", [0, 1, 2])}
    clear = {"a": ("labeled", "test", "unused"), "b": ("unlabeled", "unused", "unlabeled"), "c": ("test",) * 3}
    check_roles(tables, clear)
    for changed, message in (
        ({"b": ("unused", "unlabeled", "unused")}, "a: 1 group is in its test part and in unlabeled of b: g1"),
        ({"b": ("test", "unused", "unused")}, "b: 1 group is in its test part and in labeled of a: g0"),
        ({"a": ("labeled", "validation", "unused"), "b": ("unused", "unlabeled", "unused")},
         "a: 1 group is in its validation part and in unlabeled of b: g1"),
        ({"a": ("labeled", "validation", "unused"), "b": ("unused", "test", "unused")},
         "b: 1 group is in its test part and in validation of a: g1"),
    ):  # fmt: skip
        with pytest.raises(LeakError, match=f"^{message}. Nothing was run"):
            check_roles(tables, {**clear, **changed})


@given(st.lists(st.integers(0, 12), min_size=4, max_size=60).filter(lambda g: len(set(g)) > 3), st.integers(0, 50),
       st.booleans())  # fmt: skip
def test_a_pair_of_one_family_never_leaks(groups: list[int], seed: int, scored: bool) -> None:
    a, b = make_table("a", groups), make_table("b", [g for g in groups for _ in range(2)], "a", scored)
    tables = {"b": b, "a": a}  # whatever their order
    roles = assign_roles(Pair("a", "b"), tables, protocol(validation=0.3), seed)
    check_roles({name: tables[name] for name in "ab"}, roles)
    assert list(roles) == ["b", "a"]
    held = {g for g, role in zip(a.group, roles["a"], strict=True) if role in ("test", "validation")}
    assert all(role != "unlabeled" for g, role in zip(b.group, roles["b"], strict=True) if g in held)
    if scored:  # the splits fall alike
        tested = [{g for g, role in zip(t.group, roles[t.dataset], strict=True) if role == "test"} for t in (a, b)]
        assert tested[0] == tested[1]
    notes = kept_apart_notes(Pair("a", "b"), tables, roles)
    apart = sum(role == "unused" and g in held for g, role in zip(b.group, roles["b"], strict=True))
    assert notes == ([f"{apart} images of b are unused: their groups are in the test or validation part of a"]
                     if apart else [])  # fmt: skip


def test_what_a_holds_out_does_not_hang_on_its_budget() -> None:
    tables = {"a": make_table("a", [k % 20 for k in range(100)]), "b": make_table("b", list(range(20)), "a", False)}
    rules = protocol(validation=0.2)
    found = {assign_roles(Pair("a", "b"), tables, rules, 3, budget)["b"] for budget in (None, 20, 40)}
    assert len(found) == 1 and Counter(found.pop()) == {"unlabeled": 13, "unused": 7}


def test_images_made_from_held_out_references_are_unused() -> None:
    """As pipal with images made from its references: an official test part, and validation by reference."""
    split = ("train",) * 40 + ("test",) * 5
    a = dataclasses.replace(make_table("a", [*(k % 10 for k in range(40)), *range(10, 15)]), split=split)
    b = make_table("b", [k % 15 for k in range(60)], "a", scored=False)
    tables = {"a": a, "b": b}
    rules = protocol(split={"rule": "official"}, validation=0.2)
    for seed in range(3):
        roles = assign_roles(Pair("a", "b"), tables, rules, seed)
        check_roles(tables, roles)
        assert Counter(roles["b"]) == {"unlabeled": 8 * 4, "unused": (2 + 5) * 4}


def test_other_datasets_stay_as_they_are() -> None:
    a, b = make_table("a", list(range(20))), make_table("b", list(range(20)), scored=False)
    roles = assign_roles(Pair("a", "b"), {"a": a, "b": b}, protocol(), 0)
    assert set(roles["b"]) == {"unlabeled"} and kept_apart_notes(Pair("a", "b"), {"a": a, "b": b}, roles) == []
    assert kept_apart_notes(Pair("a", "a"), {"a": a}, {"a": ("unused",) * 20}) == []
    assert kept_apart_notes(Pair("a"), {"a": a}, {"a": ("unused",) * 20}) == []
    assert group_family(dataclasses.replace(a, facts={})) == "a"


# Of a family whose other members have other references, so that they share no group.
OWN_REFERENCES = {"pipal-ntire2022"}
# Read by the reader of the dataset that they name, or made of its images, so that no layout is theirs.
WITHOUT_MINIATURE = {"koniq-1024", "koniq-1to5", "pipal-made"}


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, set[str]]]]:
    """Of every family: its datasets that have a miniature, and the names of groups of each layout."""
    found: defaultdict[str, list[tuple[str, set[str]]]] = defaultdict(list)
    for make in layouts().values():
        made = make(tmp_path_factory.mktemp("layout") / "data")
        family = load_registry().dataset(made.dataset).groups_as or made.dataset
        found[family].append((made.dataset, set(read(made).group)))
    return found


@pytest.mark.parametrize("name", [name for name, entry in load_registry().datasets.items() if entry.groups_as])
def test_a_dataset_whose_groups_are_those_of_another_names_them_so(
    name: str, groups: dict[str, list[tuple[str, set[str]]]]
) -> None:
    entry = load_registry().dataset(name)
    root = load_registry().dataset(entry.groups_as or "")
    assert root.name != name and root.groups_as is None, "the end of the chain"
    assert entry.split_as is None or (load_registry().dataset(entry.split_as).groups_as or entry.split_as) == root.name
    family = groups[root.name]
    own = [names for dataset, names in family if dataset == name]
    others = [names for dataset, names in family if dataset != name]
    assert own or name in WITHOUT_MINIATURE
    for names in own:
        within = any(names <= other or other <= names for other in others)
        assert within == (name not in OWN_REFERENCES), f"{name}: no layout of another dataset shares its groups"


@pytest.mark.parametrize(("one", "other"), [
    ("tid/2013 official", "tid/2008 official"), ("tid/2013 pyiqa", "tid/2008 pyiqa"),
    ("livefb/official", "livefb/patches"), ("livefb/pyiqa", "livefb/pyiqa patches"),
    ("live/official", "live/older scores"), ("live/official", "live/pyiqa"),
    ("kadis/pristine", "kadis/distorted"), ("koniq/official", "koka10k/official"),
    ("kadis/pristine", "koka10k/official"),
])  # fmt: skip
def test_names_of_groups_are_those_of_the_dataset_named(one: str, other: str, tmp_path: Path) -> None:
    made = [layouts()[layout](tmp_path / str(k) / "data") for k, layout in enumerate((one, other))]
    tables = [read(m) for m in made]
    assert group_family(tables[0]) == group_family(tables[1])
    small, large = sorted((set(table.group) for table in tables), key=len)
    assert small <= large
