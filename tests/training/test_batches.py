"""Batches of an epoch, against a plain loop."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import numpy as np
import pytest
import torch

from ssliqa_bench.training.batches import drawn_batches, in_batches, step_batches
from ssliqa_bench.training.views import View, draw


@pytest.mark.parametrize(("pool", "size", "steps"), [(5, 3, 4), (7, 7, 2), (3, 8, 2), (1, 2, 3)])
def test_rows_come_equally_often_and_visits_count_them(pool: int, size: int, steps: int) -> None:
    seen: Counter[int] = Counter()
    for epoch in range(pool):
        earlier: Counter[int] = Counter()
        batches = list(step_batches(pool, size, steps, epoch, 7, "rows"))
        assert [len(rows) for rows, _ in batches] == [size] * steps
        for rows, visits in batches:
            for row, visit in zip(rows.tolist(), visits.tolist(), strict=True):
                assert visit == earlier[row]
                earlier[row] += 1
        seen += earlier
    assert set(seen.values()) == {size * steps}


def test_the_last_batch_may_be_smaller() -> None:
    found = [(rows.tolist(), visits.tolist()) for rows, visits in in_batches(np.array([4, 4, 2, 4, 0]), 2)]
    assert found == [([4, 4], [0, 1]), ([2, 4], [0, 2]), ([0], [0])]


def test_views_are_drawn_for_the_rows_of_every_step(made: ModuleType) -> None:
    context, images, view = made.context("phase-2", seed=5), made.image_set(made.noise(4)), View(6, crops=2, flip=True)
    for views in (None, "strong"):
        drawn = list(drawn_batches(context, images, view.draw, 3, 4, 1, "labeled", views))
        rows = list(step_batches(4, 3, 4, 1, 5, "phase-2", "labeled"))
        assert len(drawn) == len(rows) == 4
        for (positions, crops), (expected, visits) in zip(drawn, rows, strict=True):
            np.testing.assert_array_equal(positions, expected)
            purpose = (5, "phase-2", views or "labeled", 1)
            assert torch.equal(crops, draw(images, expected, view, *purpose, visits=visits))
