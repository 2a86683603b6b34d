"""Repeated cross-validation by group, and figures over its splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from ssliqa_bench.errors import DataError
from ssliqa_bench.evaluation.comparisons import compare_splits, mean_correlation
from ssliqa_bench.evaluation.constants import CONFIDENCE
from ssliqa_bench.evaluation.correlations import plcc, srcc
from ssliqa_bench.evaluation.uncertainty import intervals
from ssliqa_bench.types import FloatArray, IntArray, Scale, derive_seed

FOLDS = 5
FIGURES = ("srcc", "plcc", "mae")


@dataclass(frozen=True)
class Expected:
    """A figure that is expected on new images of the same kind: its mean over splits, and the interval of the mean.

    Of one split, it is the figure on its test part; the interval then is over the groups of that part. `lo` and `hi`
    are None of two splits, and where the interval is undefined.
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
    """The figures of some splits, each with its interval, which ends within the values that the figure can take.

    Fisher's z of a correlation of 1, as small test parts give it, is infinite: its interval is laid out as it is. Where
    all splits have one value, they do not say how sure it is: a correlation has no interval then.
    """
    found = {}
    for name in FIGURES:
        values = [split[name] for split in splits]
        own = expected(values)
        least, most = (0.0, np.inf) if name == "mae" else (-1.0, 1.0)
        within = None if name == "mae" else mean_correlation(values, 1.0 / FOLDS)
        if within is None and own.lo is not None and own.hi is not None and own.lo < own.hi:
            within = max(least, own.lo), min(most, own.hi)
        lo, hi = within or (None, None)
        found[name] = Expected(own.mean, lo, hi, own.splits)
    return found


def expected_of_part(
    predictions: FloatArray, scores: FloatArray, groups: Sequence[str], scale: Scale
) -> dict[str, Expected]:
    """The figures on one test part of n images, each with its 95 % interval over groups of images.

    That of a correlation is as in `evaluation.uncertainty.intervals`, that of the mean absolute error Student's t of
    the sums over groups.

    Args:
        predictions, scores: (n,), on [0, 1].
    """
    figures, found = measured(predictions, scores, scale), {}
    known = intervals(predictions, scores, groups, mapping="none")
    for name, own in (("srcc", known["srcc"]), ("plcc", known["plcc_raw"])):
        lo, hi = (None, None) if own is None else (own["lo"], own["hi"])
        found[name] = Expected(figures[name], lo, hi, 1)
    names, of_row = np.unique(np.asarray(groups), return_inverse=True)
    errors = np.abs(predictions - scores) * (scale.high - scale.low)
    sums = np.bincount(of_row, weights=errors - errors.mean())
    spread = np.sqrt(np.square(sums).sum() * len(names) / (len(names) - 1)) / len(errors)
    reach = float(student.ppf((1.0 + CONFIDENCE) / 2.0, len(names) - 1) * spread)
    found["mae"] = Expected(figures["mae"], max(0.0, figures["mae"] - reach), figures["mae"] + reach, 1)
    return found
