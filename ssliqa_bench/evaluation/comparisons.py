"""Whether one method is better than another: over random splits, over a family of pairs, on one fixed test part.

Four verdicts. `better` and `worse`: the interval of the difference leaves out zero. `equivalent`: it does not, and two
one-sided tests place the difference within a declared margin. `not distinguished`: neither, which is not equality.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from scipy.stats import t as student

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation import influence
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.evaluation.constants import (
    CONFIDENCE,
    DEFINED_SHARE,
    EQUIVALENCE_MARGIN,
    MINIMUM_GROUPS,
    MINIMUM_SPLITS,
    MOST_RESAMPLES,
    RESAMPLES,
)
from ssliqa_bench.evaluation.correlations import srcc
from ssliqa_bench.evaluation.resampling import Groups, Ties, arrange, rank_correlations
from ssliqa_bench.types import FloatArray

Verdict = Literal["better", "worse", "equivalent", "not distinguished"]


@dataclass(frozen=True)
class Comparison:
    """What is known about a difference, first method less second.

    Attributes:
        mean: the difference.
        lo, hi: ends of its interval; None where there is too little to give one.
        p: two-sided p-value of no difference, corrected for its family where `holm` made it; None as lo and hi.
        n: what was counted: splits, or groups of the fixed test part.
        verdict: see above.
        error: standard error of the difference; None as lo and hi.
        degrees: degrees of freedom of Student's t.
        margin: differences within it, on either side, are equivalent.
        confidence: of the interval; tests reject at 1 - confidence.
    """

    mean: float
    lo: float | None
    hi: float | None
    p: float | None
    n: int
    verdict: Verdict
    error: float | None
    degrees: float | None
    margin: float
    confidence: float


@dataclass(frozen=True)
class FixedComparison(Comparison):
    """A difference on one fixed test part.

    Attributes:
        seeds: how many training seeds the mean is over. With one, the verdict is about these two models and says
            nothing about training them again.
        seed_spread: standard deviation of the difference over training seeds; None with one.
        resamples: draws behind the standard error, 0 where it follows from influence values.
    """

    seeds: int
    seed_spread: float | None
    resamples: int


Kind = TypeVar("Kind", bound=Comparison)


def compare_splits(
    differences: Sequence[float] | FloatArray,
    test_fraction: float,
    *,
    margin: float = EQUIVALENCE_MARGIN,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Corrected resampled t-test of differences over random splits of one dataset.

    Training parts of random splits overlap, so differences over splits are not independent, and the usual t-test finds
    differences that are none. The variance of the mean is taken as (1/n + f/(1 - f)) · variance of the differences, for
    n splits with a fraction f of the images in the test part. f/(1 - f) is the ratio of test images to images that are
    trained on. It stays that of the split at every label budget: budgets draw from the training part, whose images
    are shared by the splits to the same degree.

    Args:
        differences: figure of the first method less that of the second on each split, shape (n,), for example of SRCC.
        test_fraction: share f of the images, or groups, in the test part of the tested dataset, in (0, 1).
        margin: differences within it, on either side, are equivalent.
        confidence: of the interval, in (0, 1).

    Returns:
        A Comparison; with fewer splits than `MINIMUM_SPLITS` without interval.

    Raises:
        InputError: no differences, one that is not finite, or a number out of range.

    Source: Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52 (2003).
    """
    values = np.asarray(differences, dtype=np.float64)
    _check(margin, confidence)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InputError(f"Comparison over splits: got {values.tolist()}; expected one finite difference per split.")
    if not 0.0 < test_fraction < 1.0:
        raise InputError(f"Comparison over splits: got test fraction {test_fraction}; expected one between 0 and 1.")
    n = len(values)
    error = None
    if n >= MINIMUM_SPLITS:
        error = float(np.std(values, ddof=1) * np.sqrt(1.0 / n + test_fraction / (1.0 - test_fraction)))
    return _judged(Comparison(float(np.mean(values)), None, None, None, n, "not distinguished", error, float(n - 1),
                              margin, confidence))


def mean_correlation(values: Sequence[float] | FloatArray, test_fraction: float) -> tuple[float, float] | None:
    """Ends of the 95 % interval of a mean correlation over random splits of one dataset.

    The variance of a mean over random splits is corrected as in `compare_splits`, for a figure as for a difference. The
    interval is laid out where correlations are nearly normal (Fisher's z), around the mean, so that it ends below one.

    Args:
        values: correlation on each split, shape (n,), in [-1, 1].
        test_fraction: as in `compare_splits`.

    Returns:
        Both ends; None for fewer splits than `MINIMUM_SPLITS`, and where a value is -1 or 1.

    Raises:
        InputError: as `compare_splits`.
    """
    found = np.asarray(values, dtype=np.float64)
    if np.abs(found).max(initial=0.0) >= 1.0:
        return None
    spread = compare_splits([math.atanh(value) for value in found], test_fraction)
    if spread.lo is None or spread.hi is None:
        return None
    middle, reach = math.atanh(math.fsum(found) / len(found)), (spread.hi - spread.lo) / 2.0
    return math.tanh(middle - reach), math.tanh(middle + reach)


def holm(family: Mapping[str, Kind], *, declared: int | None = None) -> dict[str, Kind]:
    """A family of comparisons with p-values and verdicts corrected for their number; intervals stay as they are.

    Args:
        family: the comparisons that were declared before looking, by name.
        declared: how many were declared, if some of them are missing here; at least as many as there are.

    Raises:
        InputError: fewer declared than given.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979).
    """
    size = len(family) if declared is None else declared
    if size < len(family):
        raise InputError(f"Family of comparisons: got {len(family)}, but {size} declared.")
    corrected: dict[str, float] = {}
    largest = 0.0
    tested = sorted((comparison.p, name) for name, comparison in family.items() if comparison.p is not None)
    for rank, (p, name) in enumerate(tested):
        largest = max(largest, min(1.0, (size - rank) * p))
        corrected[name] = largest
    return {name: replace(comparison, p=corrected[name], verdict=_verdict(comparison, corrected[name]))
            if name in corrected else comparison for name, comparison in family.items()}


def compare_fixed(
    pred_a: Any,
    pred_b: Any,
    scores: Any,
    groups: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    margin: float = EQUIVALENCE_MARGIN,
    confidence: float = CONFIDENCE,
) -> FixedComparison:
    """SRCC of one method less that of another on the same test images, with what else might have come out.

    Two things might have been others: the test images, for which groups of them are drawn with replacement, the same
    for both methods; and the training seeds, whose spread is added where there are several. The degrees of freedom are
    those of a sum of two variances (Satterthwaite).

    Args:
        pred_a, pred_b: predictions, shape (n,), or (k, n) of k training seeds; both methods at the same seeds.
        scores: native opinion scores, shape (n,), higher is better.
        groups: as in `intervals`.
        seed: of the draws.
        resamples: how many draws, as in `intervals`.
        margin, confidence: as in `compare_splits`.

    Returns:
        A FixedComparison, n being the number of groups; without interval for fewer than `MINIMUM_GROUPS`, and where
        SRCC is undefined in more than 5 % of the draws.

    Raises:
        InputError: shapes differ, a value is not finite, a constant side, or a number out of range.
    """
    _check(margin, confidence)
    if not 1 <= resamples <= MOST_RESAMPLES:
        raise InputError(f"Comparison: got {resamples} resamples; expected 1 to {MOST_RESAMPLES:,}.")
    ours, theirs = np.atleast_2d(np.asarray(pred_a, np.float64)), np.atleast_2d(np.asarray(pred_b, np.float64))
    if ours.shape != theirs.shape or ours.ndim != 2:
        raise InputError(f"Comparison: got predictions of shapes {ours.shape} and {theirs.shape}; expected both of the "
                         f"same training seeds and images.")
    given = paired(ours[0], scores)[1]
    seeds = len(ours)
    gaps = np.array([_srcc(a, given) - _srcc(b, given) for a, b in zip(ours, theirs)])
    order, found = arrange([given, *ours, *theirs], groups)
    draws = found.affordable(resamples)
    error, degrees = None, None
    if found.count >= MINIMUM_GROUPS:
        columns = given[order], ours[:, order], theirs[:, order]
        sampling = _sampling_error(found, *columns, draws, seed) if draws else _analytic_error(found, *columns)
        error, degrees = sampling, float(found.count - 1)
        training = float(np.std(gaps, ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
        if sampling is not None and training > 0:
            error = float(np.hypot(sampling, training))
            degrees = error**4 / (sampling**4 / (found.count - 1) + training**4 / (seeds - 1))
    return _judged(FixedComparison(float(np.mean(gaps)), None, None, None, found.count, "not distinguished", error,
                                   degrees, margin, confidence, seeds,
                                   float(np.std(gaps, ddof=1)) if seeds > 1 else None, draws))


def _sampling_error(groups: Groups, scores: FloatArray, ours: FloatArray, theirs: FloatArray, resamples: int,
                    seed: int) -> float | None:
    """Standard deviation over draws of the mean difference of SRCC over training seeds."""
    right = Ties.of(scores)
    left = [(Ties.of(a), Ties.of(b)) for a, b in zip(ours, theirs)]
    drawn = np.concatenate([
        np.mean([rank_correlations(weights, a, right) - rank_correlations(weights, b, right) for a, b in left], axis=0)
        for weights in groups.draws(resamples, seed)
    ])
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < max(DEFINED_SHARE * resamples, 2):
        return None
    return float(np.std(drawn, ddof=1))


def _analytic_error(groups: Groups, scores: FloatArray, ours: FloatArray, theirs: FloatArray) -> float:
    """The same from influence values."""
    moves = np.mean([influence.of_srcc(a, scores) - influence.of_srcc(b, scores) for a, b in zip(ours, theirs)], axis=0)
    return influence.standard_error(groups.sums(moves), len(scores))


def _srcc(pred: FloatArray, scores: FloatArray) -> float:
    value = srcc(pred, scores)
    if value is None:
        raise InputError("Comparison: predictions or scores are all equal, so SRCC is undefined.")
    return value


def _check(margin: float, confidence: float) -> None:
    if not 0.0 < confidence < 1.0 or not 0.0 <= margin < np.inf:
        raise InputError(f"Comparison: got margin {margin} at confidence {confidence}; expected a margin from 0 up and "
                         f"a confidence between 0 and 1.")


def _judged(found: Kind) -> Kind:
    """A comparison of known error with its interval, p-value and verdict."""
    if found.error is None or found.degrees is None:
        return found
    reach = float(student.ppf((1.0 + found.confidence) / 2.0, found.degrees)) * found.error
    if found.error > 0:
        p = float(2.0 * student.sf(abs(found.mean) / found.error, found.degrees))
    else:
        p = 0.0 if found.mean else 1.0
    return replace(found, lo=found.mean - reach, hi=found.mean + reach, p=p, verdict=_verdict(found, p))


def _verdict(found: Comparison, p: float) -> Verdict:
    if found.error is None or found.degrees is None:
        return "not distinguished"
    if p <= 1.0 - found.confidence:
        return "better" if found.mean > 0 else "worse"
    # Two one-sided tests: the difference lies within the margin if an interval of 1 - 2·level does.
    reach = float(student.ppf(found.confidence, found.degrees)) * found.error
    inside = -found.margin < found.mean - reach and found.mean + reach < found.margin
    return "equivalent" if inside else "not distinguished"
