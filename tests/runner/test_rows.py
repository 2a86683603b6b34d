"""Which images each set is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ssliqa_bench.runner.rows import set_rows, told_of
from ssliqa_bench.types import Role
from tests.runner.test_sets import source

ROLES: dict[str, list[Role]] = {
    "a": ["labeled", "test", "validation", "labeled", "unused"],
    "b": ["unlabeled", "test", "unlabeled", "test"],
}


def test_every_set_gets_the_images_of_its_role() -> None:
    rows = set_rows(ROLES, labels_for_unlabeled=False)
    assert set(rows.labeled) == {("a", 0), ("a", 3)} and set(rows.validation) == {("a", 2)}
    assert set(rows.unlabeled) == {("b", 0), ("b", 2)}
    assert rows.counts == {"labeled": 2, "unlabeled": 2, "sides": 2}


def test_the_oracle_gets_both_sides_as_labeled_and_the_counts_of_the_sides() -> None:
    rows = set_rows(ROLES, labels_for_unlabeled=True)
    assert set(rows.labeled) == {("a", 0), ("a", 3), ("b", 0), ("b", 2)} and rows.unlabeled == ()
    assert rows.counts == set_rows(ROLES, labels_for_unlabeled=False).counts


def test_a_transductive_image_that_cannot_be_read_stays_out() -> None:
    joining = [("b", 1), ("b", 3)]
    rows = set_rows(ROLES, labels_for_unlabeled=False, transductive=joining)
    assert set(rows.unlabeled) == {("b", 0), ("b", 2), *joining} and rows.counts["unlabeled"] == 4
    broken: dict[str, list[Role]] = {**ROLES, "b": ["unlabeled", "unused", "unlabeled", "test"]}
    rows = set_rows(broken, labels_for_unlabeled=False, transductive=joining)
    assert set(rows.unlabeled) == {("b", 0), ("b", 2), ("b", 3)} and rows.counts["unlabeled"] == 3


@pytest.mark.parametrize("asked", [{}, {"distribution": True}, {"rating_std": True}])
def test_statistics_of_ratings_are_told_where_asked_for_and_every_image_has_them(asked: dict[str, bool]) -> None:
    full = source("a", ["labeled"] * 2, [1, 2], distribution=np.eye(2), rating_std=np.array([1.0, 2.0])).table
    tables = {"a": full, "b": source("b", ["labeled"], [3]).table}
    told = told_of(tables, [("a", 1), ("a", 0)], **asked)
    assert told.score01.tolist() == [full.score01[1], full.score01[0]]
    assert (told.distribution is not None) == ("distribution" in asked)
    assert (told.rating_std is not None) == ("rating_std" in asked)
    assert len(told.of(0)) == 1 + len(asked)
    mixed = told_of(tables, [("a", 1), ("b", 0)], **asked)
    assert mixed.distribution is None and mixed.rating_std is None
    some = source("c", ["labeled"] * 3, [1, 2, 3], rating_std=np.array([1.0, 2.0, np.nan])).table
    assert told_of({"c": some}, [("c", 0), ("c", 1)], **asked).rating_std is None
    unscored = replace(some, score=np.array([1.0, 2.0, np.nan]))
    told = told_of({"c": unscored}, [("c", 0), ("c", 1)], **asked)
    assert (told.rating_std is not None) == ("rating_std" in asked)
