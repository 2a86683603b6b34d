"""Copies of one picture are one group: found by their bytes, or stated in the registry; no split tears them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.copies import join_groups
from ssliqa_bench.datasets.leaks import check_roles, copies_notes
from ssliqa_bench.datasets.splits import assign_roles, split_table
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError, RegistryError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import ProtocolEntry, SplitFields
from ssliqa_bench.specs import Pair

NAMES = [f"{k}.png" for k in range(10)]
ROWS = [[name, str(k)] for k, name in enumerate(NAMES)]
Make = Callable[..., Any]


def copy(root: Path, source: str, *targets: str) -> None:
    for target in targets:
        (root / "toy/images" / target).write_bytes((root / "toy/images" / source).read_bytes())


def test_files_with_equal_bytes_are_one_group(make_entry: Make, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder(["image", "score"], ROWS)
    copy(root, "3.png", "7.png", "5.png")
    copy(root, "1.png", "9.png")
    found = load_table(make_entry(), root, tmp_path / "cache")
    joined = {"7.png": "3.png", "5.png": "3.png", "9.png": "1.png"}
    assert found.group == tuple(joined.get(name, name) for name in NAMES)
    assert found.facts["copies"] == {"1.png", "3.png"}
    assert found.facts["copies_counted"] == "5 images in 2 sets with equal bytes"


def test_stated_twins_are_one_group(make_entry: Make, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder(["image", "score"], ROWS)
    copy(root, "3.png", "7.png")
    twins = [["8.png", "2.png"], ["7.png", "3.png"]]  # the second pair has equal bytes anyway
    found = load_table(make_entry(twins=twins, split_by="image"), root, tmp_path / "cache")
    assert found.group == tuple({"8.png": "2.png", "7.png": "3.png"}.get(name, name) for name in NAMES)
    assert found.facts["copies_counted"] == ("2 images in 1 set with equal bytes, 2 images in 1 set stated as copies "
                                             "in the registry")  # fmt: skip


def test_copies_join_the_groups_that_the_labels_state(make_entry: Make, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder(["image", "score", "group"], [[*row, f"g{k // 2}"] for k, row in enumerate(ROWS)])
    copy(root, "3.png", "4.png")
    found = load_table(make_entry(), root, tmp_path / "cache")
    assert found.group == ("g0", "g0", "g1", "g1", "g1", "g1", "g3", "g3", "g4", "g4")


def test_empty_and_missing_files_are_no_copies(make_entry: Make, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder(["image", "score"], ROWS)
    for name in ("2.png", "6.png"):
        (root / "toy/images" / name).write_bytes(b"")
    assert load_table(make_entry(), root, tmp_path / "cache").facts["copies"] == frozenset()


def test_twins_that_the_dataset_does_not_list_are_said(make_entry: Make, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder(["image", "score"], ROWS)
    with pytest.raises(DataError, match=r"states 1 images as twins that .*labels\.csv does not list \(first: x\.png\)"):
        load_table(make_entry(twins=[["1.png", "x.png"]]), root, tmp_path / "cache")


@pytest.mark.parametrize("twins", ["[a.png, b.png]", "[[a.png]]", "[[a.png, a.png]]", "[[a.png, 3]]", "a.png"])
def test_twins_are_lists_of_names(twins: str, tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text(f"datasets:\n  livec:\n    twins: {twins}\n")
    with pytest.raises(RegistryError, match=r"mine\.yaml:3 datasets\.livec\.twins.*two or more image names"):
        load_registry([own])


@pytest.mark.parametrize("seed", range(20))
def test_joined_groups_are_connected_components(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [f"g{k:02}" for k in rng.integers(0, 30, 60)]
    sets = tuple(tuple(rng.choice(60, rng.integers(2, 4), replace=False).tolist()) for _ in range(8))
    joined, copied = join_groups(groups, sets)
    graph = networkx.Graph([(f"row{k}", group) for k, group in enumerate(groups)])
    graph.add_edges_from((f"row{rows[0]}", f"row{other}") for rows in sets for other in rows[1:])
    for part in networkx.connected_components(graph):
        rows = [k for k in range(60) if f"row{k}" in part]
        first = min(node for node in part if node.startswith("g"))
        assert {joined[k] for k in rows} == {first}
        assert (first in copied) == any(set(rows) & set(own) for own in sets)


def table(parts: str, groups: str, copied: str = "") -> Table:
    """One image per letter: its part (r train, v validation, t test) and its group."""
    n = len(parts)
    words = {"r": "train", "v": "validation", "t": "test"}
    return Table("a", tuple(f"{k}.png" for k in range(n)), tuple(f"/{k}.png" for k in range(n)),
                 np.arange(float(n)), np.arange(n) / n, tuple(groups), split=tuple(words[p] for p in parts),
                 facts={"copies": frozenset(copied), "copies_counted": f"{len(copied)} sets"})  # fmt: skip


def test_a_published_split_that_tears_copies_keeps_its_test_part() -> None:
    rules = ProtocolEntry.model_validate({"name": "p", "about": {"title": "P"}, "split": {"rule": "official"}})
    torn = table("rrrrvvtt", "abcdceaf", "ac")
    roles = assign_roles(Pair("a"), {"a": torn}, rules, 0)
    assert roles["a"] == ("unused", "labeled", "unused", "labeled", "validation", "validation", "test", "test")
    check_roles({"a": torn}, roles)
    assert copies_notes({"a": torn}, roles) == ["a: 2 sets; copies are one group",
                                                "1 image of a is unused: a copy of it is in its test part"]
    whole = dataclasses.replace(torn, facts={})
    assert split_table(whole, rules.split, 0) == torn.split and copies_notes({"a": whole}, roles) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_copy_of_a_labeled_image_is_no_unlabeled_one(seed: int) -> None:
    """With few labels one copy may be drawn and the other not."""
    groups = "aabbccddeeffgghhiijj"
    made = dataclasses.replace(table("r" * 20, groups, "abcdefghij"), split=None)
    pairs = tuple((f"{k}.png", f"{k + 1}.png") for k in range(0, 20, 2))
    made.facts["same_image"] = pairs  # type: ignore[index]
    rules = ProtocolEntry.model_validate({"name": "p", "about": {"title": "P"}})
    (roles,) = assign_roles(Pair("a", "a"), {"a": made}, rules, seed, 5).values()
    role = dict(zip(made.name, roles, strict=True))
    assert roles.count("labeled") == 5 and roles.count("test") == 4
    alone = [pair for pair in pairs if [role[name] for name in pair].count("labeled") == 1]
    assert all({role[name] for name in pair} == {"labeled", "unused"} for pair in alone)
    assert roles.count("unlabeled") == 16 - 5 - len(alone)
    notes = copies_notes({"a": made}, {"a": roles})
    words = "images of a not used" if len(alone) > 1 else "image of a not used"
    assert any(note.startswith(f"{len(alone)} {words} as unlabeled: copies of") for note in notes) == bool(alone)
    (other,) = assign_roles(Pair("a"), {"a": made}, rules, seed, 5).values()
    assert not any("copies of labeled" in note for note in copies_notes({"a": made}, {"a": other}))


@pytest.mark.parametrize("seed", range(5))
def test_a_split_by_image_does_not_test_copies_of_training_images(seed: int) -> None:
    made = table("r" * 40, "".join(chr(97 + k // 4) for k in range(40)), "abcdefghij")
    parts = split_table(made, SplitFields(by="image"), seed)
    assert parts.count("test") == 8
    tested = {group for group, part in zip(made.group, parts) if part == "test"}
    assert all(part != "train" for group, part in zip(made.group, parts) if group in tested)
    assert {part for group, part in zip(made.group, parts) if group not in tested} <= {"train"}
