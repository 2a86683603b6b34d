"""Splits, budgets and roles: what holds for every table, and hand-made cases."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssliqa_bench.datasets.leaks import check_roles
from ssliqa_bench.datasets.splits import (
    assign_roles,
    role_counts,
    roles_csv,
    split_hash,
    split_table,
    transductive_rows,
)
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError, InputError, LeakError
from ssliqa_bench.registry.schema import ProtocolEntry, SplitFields
from ssliqa_bench.specs import Pair


def protocol(**fields: Any) -> ProtocolEntry:
    return ProtocolEntry.model_validate({"name": "p", "about": {"title": "P"}, **fields})


def make_table(dataset: str, groups: list[int], scores: list[float] | None = None, **columns: Any) -> Table:
    n = len(groups)
    score = np.linspace(0, 1, n) if scores is None else np.asarray(scores, dtype=float)
    return Table(dataset, tuple(f"{k:04d}.png" for k in range(n)), tuple(f"/{dataset}/{k:04d}.png" for k in range(n)),
                 score, score, tuple(f"g{g}" for g in groups), **columns)


def rows_with(roles: tuple[str, ...], *wanted: str) -> set[int]:
    return {row for row, role in enumerate(roles) if role in wanted}


STANDARD = SplitFields()
group_lists = st.lists(st.integers(0, 15), min_size=2, max_size=80).filter(lambda groups: len(set(groups)) > 1)
seeds = st.integers(0, 10_000)


@given(group_lists, seeds, st.floats(0.05, 0.95))
def test_split_counts_groups_and_tears_none(groups: list[int], seed: int, train: float) -> None:
    table = make_table("d", groups)
    parts = split_table(table, SplitFields(train=train), seed)
    by_part = {part: {g for g, p in zip(table.group, parts) if p == part} for part in ("train", "test")}
    assert set(parts) == {"train", "test"} and not by_part["train"] & by_part["test"]
    n = len(set(groups))
    assert len(by_part["train"]) == min(max(int(Fraction(str(train)) * n), 1), n - 1)


def test_eighty_percent_as_published() -> None:
    """Training groups of the 80/20 protocol, with the share in whole numbers."""
    for n, expected in ((29, 23), (30, 24), (25, 20), (81, 64), (7, 5), (40, 32), (1162, 929)):
        parts = split_table(make_table("d", list(range(n))), STANDARD, 0)
        assert Counter(parts)["train"] == expected == int(Fraction(4, 5) * n)
    assert Counter(split_table(make_table("d", list(range(100))), SplitFields(train=0.29), 0))["train"] == 29


def test_split_is_the_stated_hash_order() -> None:
    """Computed here from the definition: groups sorted by the hash of seed, purpose, dataset and group."""

    def rank(group: str) -> int:
        text = "\x1f".join(["3", "split", "some-set", group])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1

    table = make_table("some-set", [k % 10 for k in range(50)])
    test_groups = set(sorted(set(table.group), key=rank)[8:])
    parts = split_table(table, STANDARD, 3)
    assert {g for g, p in zip(table.group, parts) if p == "test"} == test_groups


@given(group_lists, seeds, st.randoms())
def test_split_ignores_the_order_of_rows(groups: list[int], seed: int, random: Any) -> None:
    table = make_table("d", groups)
    order = list(range(len(groups)))
    random.shuffle(order)
    parts = split_table(table, STANDARD, seed)
    assert split_table(table.take(order), STANDARD, seed) == tuple(parts[k] for k in order)


def test_split_depends_on_seed_and_dataset() -> None:
    tables = [make_table(name, list(range(40))) for name in ("a", "b")]
    assert len({split_table(table, STANDARD, seed) for table in tables for seed in range(5)}) == 10


def test_split_by_image_ignores_groups() -> None:
    table = make_table("d", [0] * 10)
    assert Counter(split_table(table, SplitFields(by="image"), 0)) == {"train": 8, "test": 2}
    with pytest.raises(InputError, match=r"d: has one group of scored images \(g0\); a split needs two"):
        split_table(table, STANDARD, 0)


def test_groups_without_scores_are_never_tested() -> None:
    nan = float("nan")
    table = make_table("d", [0, 0, 1, 1, 2, 2], [1, nan, 2, 3, nan, nan])
    parts = split_table(table, STANDARD, 0)
    assert parts[4:] == ("train", "train") and Counter(parts[:4]) == {"train": 2, "test": 2}
    assert split_table(make_table("d", [0, 1], [nan, nan]), STANDARD, 0) == ("train", "train")


def test_official_split() -> None:
    table = make_table("d", [0, 1, 2, 3], split=("training", "Validation", "test", "train"))
    roles = assign_roles(Pair("d"), {"d": table}, protocol(split={"rule": "official"}), 0)["d"]
    assert roles == ("labeled", "validation", "test", "labeled")
    other = make_table("e", list(range(10)))
    with pytest.raises(InputError, match="e: has no official split"):
        split_table(other, SplitFields(rule="official"), 0)
    with pytest.raises(DataError, match=r'0001\.png: split is "dev"; expected one of train'):
        split_table(make_table("d", [0, 1], split=("train", "dev")), SplitFields(rule="official"), 0)


@given(group_lists, seeds)
def test_a_sorted_split_takes_the_first_groups_whatever_the_seed(groups: list[int], seed: int) -> None:
    table = make_table("d", groups)
    split = SplitFields(rule="sorted", train=0.5)
    parts = split_table(table, split, seed)
    assert parts == split_table(table, split, seed + 1)
    by_part = {part: {g for g, p in zip(table.group, parts, strict=True) if p == part} for part in ("train", "test")}
    assert max(by_part["train"]) < min(by_part["test"])
    assert len(by_part["train"]) == max(len(set(groups)) // 2, 1)


def test_a_dataset_without_scores_needs_no_official_split() -> None:
    table = make_table("d", [1, 2, 3], [float("nan")] * 3)
    assert split_table(table, SplitFields(rule="official"), 0) == ("train",) * 3
    with pytest.raises(InputError, match="no official split"):
        split_table(make_table("d", [1, 2, 3]), SplitFields(rule="official"), 0)


def test_official_validation_of_the_unlabeled_side_is_unused() -> None:
    split = ("train", "validation", "test", "train")
    tables = {name: make_table(name, [0, 1, 2, 3], split=split) for name in "ab"}
    roles = assign_roles(Pair("a", "b"), tables, protocol(split={"rule": "official"}), 0)
    assert roles["b"] == ("unlabeled", "unused", "test", "unlabeled")


@given(group_lists, group_lists, seeds, st.sampled_from([None, 0.3, 1]), st.sampled_from([None, 0.5, 1]),
       st.sampled_from([0.0, 0.2]), st.sampled_from(["a:b", "a:a", "a"]), st.booleans())
def test_roles_are_disjoint_by_group(groups_a: list[int], groups_b: list[int], seed: int, budget: Any,
                                     unlabeled_budget: Any, validation: float, pair: str, stratified: bool) -> None:
    tables = {"a": make_table("a", groups_a), "b": make_table("b", groups_b), "c": make_table("c", [0, 0])}
    rules = protocol(validation=validation, stratified=stratified)
    try:
        roles = assign_roles(Pair.parse(pair), tables, rules, seed, budget, unlabeled_budget)
    except InputError as error:
        assert "validation needs two" in str(error) or "no labeled image is left" in str(error) \
            or "unlabeled budget 1 is larger" in str(error) or "a split needs two" in str(error)
        return
    check_roles(tables, roles)
    for dataset, given_roles in roles.items():
        group = tables[dataset].group
        for held in ("test", "validation"):
            mine = {group[r] for r in rows_with(given_roles, held)}
            others = {"labeled", "unlabeled", "validation", "test"} - {held}
            assert not mine & {group[r] for r in rows_with(given_roles, *others)}
    assert set(roles["c"]) == {"test"}
    assert "unlabeled" not in roles["a"] or pair == "a:a"
    assert "labeled" not in roles["b"] and ("unlabeled" in roles["b"]) == (pair == "a:b")


@given(group_lists, seeds, st.integers(1, 80), st.integers(1, 80), st.booleans(), st.sampled_from([0.0, 0.25]))
def test_budgets_are_nested(groups: list[int], seed: int, one: int, two: int, stratified: bool,
                            validation: float) -> None:
    tables = {"a": make_table("a", groups)}
    rules = protocol(stratified=stratified, validation=validation)
    roles = []
    for budget in sorted((one, two)):
        try:
            roles.append(assign_roles(Pair("a", "a"), tables, rules, seed, budget)["a"])
        except InputError:
            return
    small, large = roles
    for role in ("labeled", "validation"):
        assert rows_with(small, role) <= rows_with(large, role)
    assert rows_with(small, "test") == rows_with(large, "test")
    for budget, given_roles in zip(sorted((one, two)), roles):
        counts = Counter(given_roles)
        assert counts["labeled"] + counts["validation"] == budget
    if not validation:
        assert rows_with(small, "labeled", "unlabeled") == rows_with(large, "labeled", "unlabeled")


def test_split_and_budget_do_not_depend_on_the_rest() -> None:
    """Pair, side, budgets and the protocol's name change nothing in what they are not about."""
    a, b = make_table("a", list(range(50))), make_table("b", [k // 5 for k in range(50)])
    plain = assign_roles(Pair("a", "b"), {"a": a, "b": b}, protocol(), 4, 10, 20)
    other = assign_roles(Pair("a", "b"), {"b": b, "a": a}, protocol(name="q", repeats=3, mapping="none"), 4, 10, 5)
    assert other["a"] == plain["a"]
    assert rows_with(other["b"], "unlabeled") < rows_with(plain["b"], "unlabeled")
    swapped = assign_roles(Pair("b", "a"), {"a": a, "b": b}, protocol(), 4)
    alone = assign_roles(Pair("a"), {"a": a}, protocol(), 4, 0.25)
    for roles in (swapped["a"], alone["a"], assign_roles(Pair("a", "a"), {"a": a}, protocol(), 4, 3)["a"]):
        assert rows_with(roles, "test") == rows_with(plain["a"], "test")
    assert rows_with(alone["a"], "labeled") == rows_with(plain["a"], "labeled")  # a quarter of 40 is 10
    assert Counter(alone["a"]) == {"labeled": 10, "unused": 30, "test": 10}


def test_fractions_round_half_up_and_never_to_none() -> None:
    tables = {"a": make_table("a", list(range(50)))}
    for fraction, expected in ((1.0, 40), (0.0125, 1), (0.0374, 1), (0.0375, 2), (0.29, 12), (0.001, 1)):
        roles = assign_roles(Pair("a"), tables, protocol(budget=fraction), 0)["a"]
        assert Counter(roles)["labeled"] == expected, fraction


def test_budget_larger_than_the_training_part() -> None:
    tables = {"a": make_table("a", list(range(10))), "b": make_table("b", list(range(10)))}
    with pytest.raises(InputError, match="a: budget 9 is larger than the training part, which has 8 scored images"):
        assign_roles(Pair("a", "b"), tables, protocol(), 0, 9)
    with pytest.raises(InputError, match="b: unlabeled budget 9 is larger than the training part, which has 8 images"):
        assign_roles(Pair("a", "b"), tables, protocol(), 0, None, 9)
    with pytest.raises(InputError, match="a: unlabeled budget 5 is larger .* 4 images"):
        assign_roles(Pair("a", "a"), tables, protocol(), 0, 4, 5)
    for wrong in (0, -1, 1.5, 0.0):
        with pytest.raises(InputError, match="expected a count from 1, or a fraction"):
            assign_roles(Pair("a", "b"), tables, protocol(), 0, wrong)


def test_budgets_of_the_protocol_are_defaults() -> None:
    tables = {"a": make_table("a", list(range(100)))}
    rules = protocol(budget=20, unlabeled_budget=0.5)
    assert Counter(assign_roles(Pair("a", "a"), tables, rules, 0)["a"]) == {
        "labeled": 20, "unlabeled": 30, "unused": 30, "test": 20}
    assert Counter(assign_roles(Pair("a", "a"), tables, rules, 0, 40, 1)["a"]) == {
        "labeled": 40, "unlabeled": 1, "unused": 39, "test": 20}
    assert Counter(assign_roles(Pair("a", "a"), tables, protocol(), 0)["a"]) == {"labeled": 80, "test": 20}


def test_validation_is_part_of_the_budget() -> None:
    tables = {"a": make_table("a", [k // 4 for k in range(200)])}
    rules = protocol(validation=0.25)
    assert Counter(assign_roles(Pair("a", "a"), tables, rules, 0)["a"]) == {
        "labeled": 120, "validation": 40, "test": 40}
    roles = assign_roles(Pair("a", "a"), tables, rules, 0, 40)["a"]
    # What remains of the validation groups is unused: as unlabeled images they would share their content.
    assert Counter(roles) == {"labeled": 30, "validation": 10, "unlabeled": 90, "unused": 30, "test": 40}
    with pytest.raises(InputError, match="no labeled image is left"):
        assign_roles(Pair("a"), tables, rules, 0, 1)


def test_unscored_images_are_never_labeled_or_tested() -> None:
    score = [float("nan") if k % 3 == 0 else float(k) for k in range(60)]
    table = make_table("a", list(range(60)), score)
    for pair in (Pair("a"), Pair("a", "a"), Pair("b", "a"), Pair("b")):
        tables = {"a": table, "b": make_table("b", list(range(10)))}
        roles = assign_roles(pair, tables, protocol(), 1)["a"]
        unscored = {roles[k] for k in range(0, 60, 3)}
        assert unscored == ({"unlabeled"} if pair.unlabeled == "a" else {"unused"}), pair
    pristine = make_table("k", list(range(10)), [float("nan")] * 10)
    roles = assign_roles(Pair("b", "k"), {"b": tables["b"], "k": pristine}, protocol(), 0)
    assert set(roles["k"]) == {"unlabeled"}
    with pytest.raises(InputError, match="k: no scored test image"):
        assign_roles(Pair("b"), {"b": tables["b"], "k": pristine}, protocol(), 0)


@pytest.mark.parametrize("seed", range(5))
def test_stratified_budget_has_every_tenth_in_its_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = make_table("a", list(range(250)), list(rng.normal(size=250)))
    rules = protocol(stratified=True)
    whole = rows_with(assign_roles(Pair("a"), {"a": table}, rules, seed)["a"], "labeled")
    tenths = np.array_split(sorted(whole, key=lambda row: table.score[row]), 10)
    for budget in (10, 20, 50, 100):
        drawn = rows_with(assign_roles(Pair("a"), {"a": table}, rules, seed, budget)["a"], "labeled")
        assert [len(drawn & set(tenth.tolist())) for tenth in tenths] == [budget // 10] * 10
    plain = rows_with(assign_roles(Pair("a"), {"a": table}, protocol(), seed, 20)["a"], "labeled")
    assert plain != rows_with(assign_roles(Pair("a"), {"a": table}, rules, seed, 20)["a"], "labeled")


def test_subset_narrows_the_test_part_only() -> None:
    kinds = ("blur", "jpeg", "fog") * 20
    facts = {"subsets": {"common": ("blur", "jpeg")}}
    a = make_table("a", [k // 3 for k in range(60)], distortion=kinds, facts=facts)
    tables = {"a": a, "b": make_table("b", list(range(20))), "c": dataclasses.replace(a, dataset="c")}
    full = assign_roles(Pair("a", "b"), tables, protocol(), 2)
    part = assign_roles(Pair("a", "b"), tables, protocol(subset={"name": "common"}), 2)
    for dataset in ("a", "c"):
        expected = tuple("unused" if role == "test" and kind == "fog" else role
                         for role, kind in zip(full[dataset], kinds))
        assert part[dataset] == expected != full[dataset]
    assert part["b"] == full["b"]  # it has no subset of that name
    only = assign_roles(Pair("a", "b"), tables, protocol(subset={"name": "common", "sides": ["external"]}), 2)
    assert only["a"] == full["a"] and only["c"] == part["c"]
    only = assign_roles(Pair("a", "b"), tables, protocol(subset={"name": "common", "datasets": ["a"]}), 2)
    assert only["a"] == part["a"] and only["c"] == full["c"]
    tables["a"] = dataclasses.replace(a, distortion=None)
    with pytest.raises(InputError, match="a: no scored test image with distortion blur, jpeg"):
        assign_roles(Pair("a", "b"), tables, protocol(subset={"name": "common"}), 2)


def test_transductive_rows() -> None:
    tables = {"a": make_table("a", list(range(20))), "b": make_table("b", list(range(20)))}
    rules = protocol(transductive=True)
    roles = assign_roles(Pair("a", "b"), tables, rules, 0)
    for pair, dataset in ((Pair("a", "b"), "b"), (Pair("a", "a"), "a")):
        found = transductive_rows(pair, tables, roles, rules, 0)
        assert set(found) == {(dataset, row) for row in rows_with(roles[dataset], "test")}
    assert transductive_rows(Pair("a"), tables, roles, rules, 0) == []
    assert transductive_rows(Pair("a", "b"), tables, roles, protocol(), 0) == []
    assert roles == assign_roles(Pair("a", "b"), tables, protocol(), 0)


def test_leaks_are_found() -> None:
    table = make_table("a", [0, 0, 1, 2, 2, 3])
    check_roles({"a": table}, {"a": ("labeled", "labeled", "test", "unlabeled", "labeled", "validation")})
    check_roles({"a": table}, {"a": ("unused", "test", "labeled", "unused", "unused", "unused")})
    for roles, message in (
        (("labeled", "test", "test", "unused", "unused", "unused"), "1 group is in both labeled and test: g0"),
        (("labeled", "unused", "labeled", "unlabeled", "validation", "test"), "in both unlabeled and validation: g2"),
        (("validation", "test", "labeled", "unused", "unused", "unused"), "in both validation and test: g0"),
    ):
        with pytest.raises(LeakError, match=f"a: .*{message}.*Nothing was run"):
            check_roles({"a": table}, {"a": roles})
    same_file = dataclasses.replace(table, path=("/x",) * 6)
    with pytest.raises(LeakError, match="1 file is in both labeled and test: /x"):
        check_roles({"a": same_file}, {"a": ("labeled", "unused", "test", "unused", "unused", "unused")})


def test_split_hash() -> None:
    table = make_table("a", list(range(10)))
    roles = assign_roles(Pair("a"), {"a": table}, protocol(), 0)["a"]
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    before = split_hash(table, roles)
    assert len(before) == 64 and split_hash(table.take(order), [roles[k] for k in order]) == before
    others = [split_hash(dataclasses.replace(table, dataset="b"), roles),
              split_hash(table, assign_roles(Pair("a"), {"a": table}, protocol(), 1)["a"]),
              split_hash(dataclasses.replace(table, name=("x.png", *table.name[1:])), roles)]
    assert len({before, *others}) == 4


@pytest.mark.parametrize(("pair", "budget"), [("a:b", 7), ("a:a", 7), ("a", None)])
def test_exported_roles_can_be_read_back(tmp_path: Path, pair: str, budget: int | None) -> None:
    tables = {"a": make_table("a", [k // 3 for k in range(60)]), "b": make_table("b", list(range(20)))}
    sides = Pair.parse(pair)
    tables = {name: tables[name] for name in sides.datasets}
    drawn = assign_roles(sides, tables, protocol(validation=0.2, unlabeled_budget=0.5), 5, budget)
    text = roles_csv(tables, drawn)
    (tmp_path / "roles.csv").write_text(text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["dataset", "image", "role"] and len(rows) == sum(map(len, tables.values()))
    assert rows == sorted(rows, key=lambda row: (row["dataset"], row["image"]))
    custom = protocol(split={"rule": "file", "file": str(tmp_path / "roles.csv")})
    assert assign_roles(sides, tables, custom, 99) == drawn
    assert role_counts(drawn["a"]) == {r: c for r, c in Counter(drawn["a"]).items() if c}


def test_split_files(tmp_path: Path) -> None:
    table = make_table("a", [0, 1, 2, 3])
    path = tmp_path / "split.csv"
    rule = SplitFields(rule="file", file=str(path))
    path.write_text("image,split\n0003.png,test\n0000.png,train\n0001.png,val\n")
    assert split_table(table, rule, 0) == ("train", "validation", "unused", "test")
    for content, message in (
        ("image,split\n0003.png,test\nnone.png,train\n", r"1 of 2 images are not in a: none\.png"),
        ("image,split\n0003.png,best\n", r'split\.csv:2: split is "best"; expected one of train'),
        ("image,split\n0003.png,test\n0003.png,train\n", r'split\.csv:3: image "0003\.png" occurs twice'),
        ("image,part\n0003.png,test\n", 'no column "split"'),
        ("dataset,image,role\nb,0003.png,test\n", "lists no image of a"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=message):
            split_table(table, rule, 0)


@given(st.integers(0, 5), st.lists(st.integers(0, 4), min_size=20, max_size=120))
def test_a_stratified_split_keeps_the_share_of_every_class(seed: int, classes: list[int]) -> None:
    table = make_table("a", list(range(len(classes))), [float(c) for c in classes])
    parts = split_table(table, SplitFields(train=0.8, by="image", stratify=True), seed)
    for value, number in Counter(classes).items():
        own = [part for part, c in zip(parts, classes, strict=True) if c == value]
        assert own.count("train") == max(1, number * 4 // 5) and own.count("train") + own.count("test") == number


def test_many_scores_are_stratified_by_tenths() -> None:
    table = make_table("a", list(range(200)), list(np.random.default_rng(0).normal(size=200)))
    parts = split_table(table, SplitFields(train=0.9, by="image", stratify=True), 1)
    ranked = np.argsort(table.score)
    for tenth in np.array_split(ranked, 10):
        assert sum(parts[k] == "test" for k in tenth) == 2


STRATIFIED = {"rule": "random", "train": 0.9, "by": "image", "stratify": True}


def test_the_only_image_of_a_class_is_trained_on() -> None:
    table = make_table("a", list(range(41)), [0.0] * 20 + [1.0] * 20 + [2.0])
    for seed in range(3):
        roles = assign_roles(Pair("a"), {"a": table}, protocol(split=STRATIFIED, validation=0.1), seed)["a"]
        assert roles[-1] == "labeled" and Counter(roles) == {"labeled": 33, "validation": 4, "test": 4}


@pytest.mark.parametrize(("images", "tested"), [(2, 1), (5, 2), (13, 6), (20, 10)])
def test_a_few_images_of_different_scores_are_no_classes_of_one(images: int, tested: int) -> None:
    """They would all be tested and none learned from, or none tested; strata of two and three have one of each."""
    table = make_table("a", list(range(images)))
    parts = split_table(table, SplitFields.model_validate(STRATIFIED), 0)
    assert Counter(parts) == {"train": images - tested, "test": tested}


def test_validation_of_a_few_images_of_different_scores_leaves_some_to_learn_from() -> None:
    roles = assign_roles(Pair("a"), {"a": make_table("a", list(range(12)))},
                         protocol(split=STRATIFIED, validation=0.5), 0)["a"]
    assert Counter(roles) == {"test": 6, "labeled": 3, "validation": 3}


@given(st.integers(0, 5), st.integers(1, 30), st.integers(1, 30))
def test_counts_of_both_parts_leave_the_rest_unused(seed: int, train: int, test: int) -> None:
    table = make_table("a", [k // 2 for k in range(100)])
    fields = SplitFields(train=train, test=test, by="group")
    if train + test > 50:
        with pytest.raises(InputError, match="asks for"):
            split_table(table, fields, seed)
        return
    parts = split_table(table, fields, seed)
    counts = Counter(parts)
    assert (counts["train"], counts["test"], counts["unused"]) == (2 * train, 2 * test, 100 - 2 * train - 2 * test)
    assert all(parts[2 * k] == parts[2 * k + 1] for k in range(50))


def test_datasets_of_the_same_images_share_their_splits() -> None:
    groups = [k // 3 for k in range(60)]
    one, other = make_table("a", groups), make_table("b", groups)
    shared = dataclasses.replace(other, split_as="a")
    rules = protocol(budget=12)
    for seed in range(4):
        roles = [assign_roles(Pair(t.dataset), {t.dataset: t}, rules, seed)[t.dataset] for t in (one, other, shared)]
        assert roles[0] == roles[2] != roles[1]


def test_a_stratified_split_holds_out_of_every_class() -> None:
    classes = [k % 3 for k in range(270)]
    table = make_table("a", list(range(270)), [float(c) for c in classes])
    rules = protocol(split={"rule": "random", "train": 0.9, "by": "image", "stratify": True}, validation=0.11111)
    for seed in range(3):
        roles = assign_roles(Pair("a"), {"a": table}, rules, seed)["a"]
        for value in range(3):
            own = Counter(role for role, c in zip(roles, classes, strict=True) if c == value)
            assert own == {"labeled": 72, "validation": 9, "test": 9}


def test_the_hash_of_a_split_leaves_unused_images_out() -> None:
    table = make_table("a", list(range(10)))
    roles = ["labeled"] * 6 + ["test"] * 2 + ["unused"] * 2
    assert split_hash(table, roles) == split_hash(table.take(range(8)), roles[:8])
    assert split_hash(table, roles) != split_hash(table, [*roles[:8], "test", "unused"])


def night_tables() -> dict[str, Table]:
    return {"a": make_table("a", list(range(40))), "n": make_table("n", [k // 5 for k in range(60)])}


def test_extra_unlabeled_images_leave_the_test_part_with_their_groups() -> None:
    tables = night_tables()
    rules = protocol(extra_unlabeled={"dataset": "n", "count": 23}, unlabeled_budget=10, budget=10)
    for seed in range(3):
        roles = assign_roles(Pair("a", "a"), tables, rules, seed)
        assert role_counts(roles["n"]) == {"unlabeled": 23, "test": 35, "unused": 2}, "5 groups, the last one in part"
        check_roles(tables, roles)
        alone = assign_roles(Pair("a", "a"), tables, protocol(unlabeled_budget=10, budget=10), seed)
        assert alone["a"] == roles["a"] and set(alone["n"]) == {"test"}
        assert assign_roles(Pair("a", "a"), {"n": tables["n"]}, rules, seed)["n"] == roles["n"]
        shuffled = {**tables, "n": tables["n"].take(range(59, -1, -1))}
        assert assign_roles(Pair("a", "a"), shuffled, rules, seed)["n"] == roles["n"][::-1]
    more = protocol(extra_unlabeled={"dataset": "n", "count": 40})
    few, many, other = (rows_with(assign_roles(Pair("a", "a"), tables, r, seed)["n"], "unlabeled")
                        for r, seed in ((rules, 0), (more, 0), (rules, 1)))  # fmt: skip
    assert few < many and few != other


def test_extra_unlabeled_images_that_are_tested_too() -> None:
    tables = night_tables()
    rules = protocol(extra_unlabeled={"dataset": "n", "count": 20}, transductive=True)
    roles = assign_roles(Pair("a", "a"), tables, rules, 0)
    assert set(roles["n"]) == {"test"}
    joined = transductive_rows(Pair("a", "a"), tables, roles, rules, 0)
    assert Counter(dataset for dataset, _ in joined) == {"a": 8, "n": 20}


def test_extra_unlabeled_images_by_name(tmp_path: Path) -> None:
    tables = night_tables()
    names = tmp_path / "night.csv"
    names.write_text("image\n0004.png\n0010.png\n")
    rules = protocol(extra_unlabeled={"dataset": "n", "names": str(names)})
    roles = assign_roles(Pair("a", "a"), tables, rules, 0)
    assert rows_with(roles["n"], "unlabeled") == {4, 10} and role_counts(roles["n"])["unused"] == 8
    names.write_text("image\n0004.png\nx.png\n")
    with pytest.raises(DataError, match=r"night\.csv: 1 of 2 images are not in n: x\.png"):
        assign_roles(Pair("a", "a"), tables, rules, 0)


@pytest.mark.parametrize(("count", "pair", "message"), [
    (61, "a:a", "n: the protocol takes 61 extra unlabeled images; it has 60"),
    (56, "a:a", "n: the extra unlabeled images of protocol p come from all its groups"),
    (5, "a:n", "takes extra unlabeled images of n, which the pair a:n has already"),
])  # fmt: skip
def test_extra_unlabeled_images_that_cannot_be_had(count: int, pair: str, message: str) -> None:
    rules = protocol(extra_unlabeled={"dataset": "n", "count": count})
    with pytest.raises(InputError, match=message):
        assign_roles(Pair.parse(pair), night_tables(), rules, 0)


def test_extra_unlabeled_images_without_scores() -> None:
    tables = {**night_tables(), "n": make_table("n", list(range(9)), [float("nan")] * 9)}
    roles = assign_roles(Pair("a", "a"), tables, protocol(extra_unlabeled={"dataset": "n", "count": 4}), 0)
    assert role_counts(roles["n"]) == {"unlabeled": 4, "unused": 5}


def test_extra_unlabeled_images_of_what_is_held_out_are_left_out() -> None:
    family = {"facts": {"groups_as": "a"}}
    tables = {"a": make_table("a", list(range(10)), **family),
              "n": make_table("n", [k // 4 for k in range(40)], [float("nan")] * 40, **family)}
    rules = protocol(extra_unlabeled={"dataset": "n", "count": 40}, validation=0.25)
    roles = assign_roles(Pair("a"), tables, rules, 0)
    held = {tables["a"].group[row] for row in rows_with(roles["a"], "test", "validation")}
    assert len(held) == 4 and role_counts(roles["n"]) == {"unlabeled": 24, "unused": 16}
    assert held.isdisjoint(tables["n"].group[row] for row in rows_with(roles["n"], "unlabeled"))
    check_roles(tables, roles)


def test_an_unlabeled_side_without_scores_needs_no_official_split() -> None:
    tables = {"a": make_table("a", [0, 1, 2, 3], split=("train", "train", "val", "test")),
              "b": make_table("b", [0, 1], [float("nan")] * 2)}
    roles = assign_roles(Pair("a", "b"), tables, protocol(split={"rule": "official"}), 0)
    assert roles["b"] == ("unlabeled", "unlabeled")
