"""Draws of groups with replacement, and the correlations of a whole batch of draws at once.

A draw is a vector of counts, one per group: how often each group was taken. Order and ties of the images are the same
in every draw, so ranks follow from running sums of the counts, without sorting anything again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.evaluation.concordance import Counts, PairCounts
from ssliqa_bench.evaluation.constants import ANALYTIC_ABOVE, DRAWN_IMAGES, FEWEST_RESAMPLES
from ssliqa_bench.evaluation.correlations import centred, plcc
from ssliqa_bench.types import FloatArray, IntArray, derive_seed

# Numbers in one batch of weights: small enough for the cache of a core, large enough that numpy's calls do not count.
_BATCH = 1 << 17
# Below this share of the largest spread, a draw is computed alone: centring on all images has cost it its digits.
_LOST = 1e-7


@dataclass(frozen=True)
class Ties:
    """One side in increasing order: where each run of equal values starts.

    Attributes:
        order: rows in increasing order; None where the rows are in that order already.
        starts: positions, in that order, at which a new value starts; None where no two values are equal.
        size: how many rows there are.
    """

    order: IntArray | None
    starts: IntArray | None
    size: int

    @classmethod
    def of(cls, values: FloatArray) -> Ties:
        """The ties of one column."""
        ordered = bool(np.all(values[1:] >= values[:-1]))
        order = None if ordered else np.argsort(values, kind="stable")
        inside = values if order is None else values[order]
        starts = np.flatnonzero(np.concatenate([[True], inside[1:] > inside[:-1]]))
        return cls(order, None if len(starts) == len(values) else starts, len(values))

    def gather(self, weights: Counts) -> Counts:
        """Weights (draws, n) of the rows as weights (draws, distinct values), in increasing order of the values."""
        inside = weights if self.order is None else weights.take(self.order, axis=1)
        return inside if self.starts is None else np.add.reduceat(inside, self.starts, axis=1)

    def scatter(self, values: Counts) -> Counts:
        """Numbers (draws, distinct values) of the values as numbers (draws, n) of the rows."""
        if self.starts is not None:
            values = np.repeat(values, np.diff(np.append(self.starts, self.size)), axis=1)
        if self.order is None:
            return values
        out = np.empty_like(values)
        out[:, self.order] = values
        return out


@dataclass(frozen=True)
class Groups:
    """Which group each image belongs to; groups are numbered by what they hold, not by name.

    Attributes:
        group: number of the group of each row, shape (n,), 0 to count - 1.
        count: how many groups there are.
    """

    group: IntArray
    count: int

    def __len__(self) -> int:
        return len(self.group)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum of values (n,) over the images of each group."""
        return np.bincount(self.group, weights=values, minlength=self.count).astype(np.float64)

    def affordable(self, resamples: int) -> int:
        """How many draws are made where so many are asked for; 0 where influence values serve as well."""
        if self.count > ANALYTIC_ABOVE:
            return 0
        return min(resamples, max(DRAWN_IMAGES // len(self), FEWEST_RESAMPLES))

    def draws(self, resamples: int, seed: int) -> Iterator[Counts]:
        """Batches of draws, as weights (draws, n) of the images: how often each was taken."""
        rng = np.random.default_rng(derive_seed(seed, "bootstrap"))
        size = max(_BATCH // len(self), 1)
        for start in range(0, resamples, size):
            batch = min(size, resamples - start)
            taken = rng.integers(self.count, size=(batch, self.count)) + self.count * np.arange(batch)[:, None]
            counts = np.bincount(taken.ravel(), minlength=batch * self.count).astype(np.int32)
            yield counts.reshape(batch, self.count).take(self.group, axis=1)


@dataclass(frozen=True)
class Grouped(Groups):
    """Predictions and scores with their groups.

    Attributes:
        x, y: predictions and scores, shape (n,), in increasing order of x, then of y.
    """

    x: FloatArray
    y: FloatArray

    @classmethod
    def of(cls, pred: Any, scores: Any, groups: Sequence[Hashable] | None) -> Grouped:
        """Check the columns and put them in an order that depends neither on that given nor on names of groups.

        Raises:
            InputError: as `paired`, or not one group per image.
        """
        x, y = paired(pred, scores)
        order, found = arrange([x, y], groups)
        return cls(found.group, found.count, x[order], y[order])

    @cached_property
    def ties(self) -> tuple[Ties, Ties]:
        """Ties of predictions and of scores."""
        return Ties.of(self.x), Ties.of(self.y)

    def expand(self, weights: Counts) -> tuple[FloatArray, FloatArray]:
        """One draw (n,) written out: predictions and scores, as often as each image was taken."""
        return np.repeat(self.x, weights), np.repeat(self.y, weights)


def arrange(columns: Sequence[FloatArray], groups: Sequence[Hashable] | None) -> tuple[IntArray, Groups]:
    """An order of the rows by what their columns (n,) hold, the first column first, and the groups in that order.

    Args:
        groups: a name for each row; None makes each row a group of its own.

    Raises:
        InputError: not one group per row.
    """
    order = np.lexsort(columns[::-1])
    if groups is None:
        return order, Groups(np.arange(len(order)), len(order))
    if len(groups) != len(order):
        raise InputError(f"Got {len(groups)} groups and {len(order)} predictions; expected one group per image.")
    number: dict[Hashable, int] = {}
    given = np.array([number.setdefault(name, len(number)) for name in groups])[order]
    inside = [column[order] for column in columns]
    new_row = np.any([column[1:] != column[:-1] for column in inside], axis=0)
    content = np.concatenate([[0], np.cumsum(new_row)])
    held: list[list[int]] = [[] for _ in number]
    for own, row in zip(given.tolist(), content.tolist()):
        held[own].append(row)
    place = np.empty(len(number), dtype=np.int64)
    place[sorted(range(len(number)), key=lambda k: held[k])] = np.arange(len(number))
    # Equal rows of different groups are in the order of the groups.
    group = place[given]
    return order, Groups(group[np.lexsort((group, content))], len(number))


def batch_srcc(data: Grouped, weights: Counts) -> FloatArray:
    """SRCC of every draw, weights (draws, n); NaN where it is undefined."""
    return rank_correlations(weights, *data.ties)


def rank_correlations(weights: Counts, one: Ties, other: Ties) -> FloatArray:
    """SRCC of two columns, given by their ties, in every draw, weights (draws, n); NaN where it is undefined."""
    total = weights.sum(axis=1, keepdims=True, dtype=np.int32)
    a, b = (_doubled_ranks(ties, weights, total) for ties in (one, other))
    return _cosines(weights.astype(np.float64), a, b)


def _doubled_ranks(ties: Ties, weights: Counts, total: Counts) -> FloatArray:
    """Twice the rank of each row from its mean in the draw, a whole number, so that sums are exact."""
    held = ties.gather(weights)
    ranks = np.cumsum(held, axis=1, dtype=np.int32)
    ranks *= 2
    ranks -= held
    ranks -= total
    return ties.scatter(ranks).astype(np.float64)


def _cosines(weights: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    weighted = weights * a
    across = np.vecdot(weighted, b)
    norm = np.vecdot(weighted, a) * np.vecdot(weights * b, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, np.clip(across / np.sqrt(norm), -1.0, 1.0), np.nan)


def batch_plcc(data: Grouped, weights: Counts) -> FloatArray:
    """PLCC of every draw, weights (draws, n); NaN where it is undefined."""
    a, b = centred(data.x), centred(data.y)
    total, sum_a, sum_b, sum_aa, sum_bb, sum_ab = (
        weights @ np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], axis=1)
    ).T
    across = sum_ab - sum_a * sum_b / total
    spreads = [sum_aa - sum_a * sum_a / total, sum_bb - sum_b * sum_b / total]
    lost = np.zeros(len(weights), dtype=bool)
    for spread, column in zip(spreads, (a, b)):
        lost |= spread <= _LOST * float(column @ column)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: FloatArray = np.clip(across / np.sqrt(spreads[0] * spreads[1]), -1.0, 1.0)
    for row in np.flatnonzero(lost).tolist():
        value = plcc(*data.expand(weights[row]))
        found[row] = np.nan if value is None else value
    return found


def batch_rmse(data: Grouped, weights: Counts) -> FloatArray:
    """RMSE of predictions and scores as they are in every draw, weights (draws, n)."""
    top = max(float(np.abs(data.x).max()), float(np.abs(data.y).max())) or 1.0
    squares = (data.x / top - data.y / top) ** 2
    return np.asarray(top * np.sqrt(weights @ squares / weights.sum(axis=1)))


class BatchKrcc:
    """KRCC of draws; what does not depend on the draw is prepared once."""

    def __init__(self, data: Grouped) -> None:
        self._ties = data.ties
        self._pairs = PairCounts(data.x, data.y)

    def __call__(self, weights: Counts) -> FloatArray:
        """τ-b of every draw, weights (draws, n); NaN where it is undefined."""
        total = weights.sum(axis=1, dtype=np.float64)
        untied = []
        for ties in self._ties:
            held = weights if ties.starts is None else ties.gather(weights)
            untied.append((total * total - np.einsum("ij,ij->i", held, held, dtype=np.float64)) / 2.0)
        alike = self._pairs.difference(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where((untied[0] > 0) & (untied[1] > 0),
                            np.clip(alike / np.sqrt(untied[0]) / np.sqrt(untied[1]), -1.0, 1.0), np.nan)
