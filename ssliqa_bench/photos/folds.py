"""Repeated cross-validation by group, and figures over its splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssliqa_bench.errors import DataError
from ssliqa_bench.evaluation.comparisons import compare_splits, mean_correlation
from ssliqa_bench.evaluation.correlations import plcc, srcc
from ssliqa_bench.types import FloatArray, IntArray, Scale, derive_seed

FOLDS = 5
FIGURES = ("srcc", "plcc", "mae")


@dataclass(frozen=True)
class Expected:
    """A figure that is expected on new images of the same kind: its mean over splits, and the interval of the mean.

    `lo` and `hi` are None of fewer than three splits.
    """

    mean: float
    lo: float | None
    hi: float | None
    splits: int


def folds(
    groups: Sequence[str], repeats: int, seed: int, *, least: int = FOLDS
) -> Iterator[tuple[int, IntArray, IntArray]]:
    """Splits of repeated five-fold cross-validation by group: number of the repeat, training rows, test rows.

    Groups are dealt in random order, each to the fold with the fewest images.

    Args:
        least: groups that are needed; where there are fewer than five, there are as many folds as groups.

    Raises:
        DataError: fewer groups.
    """
    names, of_row = np.unique(np.asarray(groups), return_inverse=True)
    count = min(FOLDS, len(names))
    if len(names) < least:
        raise DataError(f"{len(names)} groups of images with a score; cross-validation needs at least {least}. Add "
                        f"photographs, or leave the column group out where images do not belong together.")  # fmt: skip
    sizes = np.bincount(of_row)
    for repeat in range(repeats):
        random = np.random.Generator(np.random.Philox(key=derive_seed(seed, "folds", repeat)))
        filled, fold_of = np.zeros(count, dtype=np.int64), np.empty(len(names), dtype=np.int64)
        for group in random.permutation(len(names)):
            fold_of[group] = int(filled.argmin())
            filled[fold_of[group]] += sizes[group]
        for fold in range(count):
            test = fold_of[of_row] == fold
            yield repeat, np.flatnonzero(~test), np.flatnonzero(test)


def measured(predictions: FloatArray, scores: FloatArray, scale: Scale) -> dict[str, float]:
    """SRCC, PLCC and mean absolute error, the last in native units, of values (n,) on [0, 1].

    A correlation of predictions that are all equal is undefined; it counts as 0, since they order nothing.
    """
    return {
        "srcc": srcc(predictions, scores) or 0.0,
        "plcc": plcc(predictions, scores) or 0.0,
        "mae": float(np.mean(np.abs(predictions - scores))) * (scale.high - scale.low),
    }


def expected(values: Sequence[float] | FloatArray, fraction: float = 1.0 / FOLDS) -> Expected:
    """The mean of a figure over splits with the interval of the corrected resampled t-test.

    Args:
        fraction: share of the images in a test part.
    """
    found = compare_splits(values, fraction)
    return Expected(found.mean, found.lo, found.hi, found.n)


def expected_of(splits: Sequence[Mapping[str, float]]) -> dict[str, Expected]:
    """The figures of some splits, each with its interval, which ends within the values that the figure can take."""
    found = {}
    for name in FIGURES:
        values = [split[name] for split in splits]
        own = expected(values)
        if name == "mae":
            lo, hi = (None if end is None else max(0.0, end) for end in (own.lo, own.hi))
        else:
            lo, hi = mean_correlation(values, 1.0 / FOLDS) or (None, None)
        found[name] = Expected(own.mean, lo, hi, own.splits)
    return found
