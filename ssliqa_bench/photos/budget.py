"""How many more labels would help: SRCC over the number of labels, and how far a power law carries it on.

A curve rises as a - b · m^(-c) in the number m of labels that are trained on. It is linear in a and b, so that c alone
is searched; what is expected at another m is then a weighted sum of the figures at the budgets, and its error follows
from the splits by the corrected resampled t-test, as that of every other figure here. The few budgets seldom show which
c is right, so that several are averaged, each by how well it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.comparisons import compare_splits
from ssliqa_bench.evaluation.constants import CONFIDENCE, SMALLEST_BUDGET
from ssliqa_bench.evaluation.correlations import krcc, srcc
from ssliqa_bench.photos.fold_fits import Candidate, Photographs, fit, predicted, predictor
from ssliqa_bench.photos.folds import FOLDS, folds
from ssliqa_bench.types import FloatArray, IntArray, derive_seed

# Is given rows to train on, rows to test on and the number of the split; gives predictions of the latter.
Judged = Callable[[IntArray, IntArray, int], FloatArray]

BUDGETS = 6
# Curves of SRCC on frozen features rise nearly as the logarithm of the labels, as the smallest of these does. With an
# exponent of 1 they were carried on too low, by 0.09 SRCC at twice the labels (photographs of LIVE In the Wild).
_EXPONENTS = (0.125, 0.25, 0.5)
_ROUNDING = 1e-12  # variance below which splits agree
_MOST = 1_000_000


@dataclass(frozen=True)
class Curve:
    """SRCC over the number of labels.

    Attributes:
        labels: numbers of labels that were trained on, ascending, shape (k,).
        srcc: SRCC on the test part, shape (splits, k).
        shares: how much each exponent counts, by the exponent c; they sum to 1.
    """

    labels: FloatArray
    srcc: FloatArray
    shares: Mapping[float, float]

    @classmethod
    def of(cls, labels: FloatArray, srcc: FloatArray) -> Curve:
        """The curve; the share of an exponent is its likelihood, as if the residuals at the budgets were independent.

        The variance of a residual is that of a mean over splits, corrected as in `compare_splits`.
        """
        misfit = []
        for exponent in _EXPONENTS:
            residuals = srcc - srcc @ _weights(labels, labels, exponent).T
            errors = [compare_splits(column, 1.0 / FOLDS).error or 0.0 for column in residuals.T]
            misfit.append(float((np.square(residuals.mean(axis=0)) / (np.square(errors) + _ROUNDING)).sum()))
        shares = np.exp(-0.5 * (np.array(misfit) - min(misfit)))
        return cls(labels, srcc, dict(zip(_EXPONENTS, (shares / shares.sum()).tolist(), strict=True)))

    @property
    def exponent(self) -> float:
        """The exponent whose power law fits best."""
        return max(self.shares, key=lambda exponent: self.shares[exponent])

    def expected(self, labels: float, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
        """SRCC that is expected with so many labels, and the ends of its interval.

        Two errors are added: that of the splits, as the corrected resampled t-test has it, and how far the exponents
        disagree, as the standard deviation of what they give, by their shares. The quantile is the normal one; 95 %
        intervals then held the truth in 95.0 % of 200 simulations (`benchmarks/claims/label_budget.py`).
        """
        at = np.array([float(labels)])
        each = {c: (self.srcc @ _weights(self.labels, at, c).T)[:, 0] for c in self.shares}
        found = compare_splits(np.sum([share * each[c] for c, share in self.shares.items()], axis=0), 1.0 / FOLDS)
        spread = sum(share * (float(each[c].mean()) - found.mean) ** 2 for c, share in self.shares.items())
        total = float(np.hypot(found.error or 0.0, np.sqrt(spread)))
        reach = NormalDist().inv_cdf((1.0 + confidence) / 2.0) * total
        middle = float(np.clip(found.mean, -1.0, 1.0))
        return middle, float(np.clip(middle - reach, -1.0, 1.0)), float(np.clip(middle + reach, -1.0, 1.0))

    def needed(self, target: float) -> tuple[int | None, int | None, int | None]:
        """Labels with which a target is expected, and the ends of the interval: the first is that of the upper end.

        None where the curve, or that end of its interval, does not reach the target with a million labels.
        """
        grid = np.unique(np.geomspace(self.labels[0], _MOST, 400).astype(int))
        values = np.array([self.expected(labels) for labels in grid])
        found = [np.flatnonzero(values[:, end] >= target) for end in (0, 2, 1)]
        middle, few, many = (None if not len(rows) else int(grid[rows[0]]) for rows in found)
        return middle, few, many


def learning_curve(
    candidate: Candidate, photos: Photographs, seed: int = 0, *, repeats: int = 4, device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Curve:  # fmt: skip
    """The curve of a learner on one's own photographs, as `measured_curve`.

    Raises:
        InputError: a learner from unlabeled images, whose curve depends on those too.
    """
    if candidate.learns_from_unlabeled:
        raise InputError(f"--method {candidate.name}: learns from unlabeled images; take a learner from labels.")

    def judged(training: IntArray, test: IntArray, number: int) -> FloatArray:
        model = predictor(candidate, fit(candidate, photos, training, derive_seed(seed, number), device), device)
        return predicted(model, photos.labeled, test)

    return measured_curve(judged, photos.score01, photos.groups, seed, repeats=repeats, progress=progress)


def measured_curve(
    judged: Judged, scores: FloatArray, groups: Sequence[str], seed: int = 0, *, repeats: int = 4,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Curve:  # fmt: skip
    """Train on nested shares of the training part of every split of repeated five-fold cross-validation.

    Args:
        judged: trains and predicts.
        scores: (n,).
        groups: (n,), as for `folds`.
    """
    splits = list(folds(groups, repeats, derive_seed(seed, "budget")))
    most = min(len(training) for _, training, _ in splits)
    budgets = np.unique(np.geomspace(min(SMALLEST_BUDGET, most), most, BUDGETS).astype(int))
    found = np.empty((len(splits), len(budgets)))
    for number, (_, training, test) in enumerate(splits):
        random = np.random.Generator(np.random.Philox(key=derive_seed(seed, "budget", number)))
        order = random.permutation(training)
        for k, budget in enumerate(budgets):
            found[number, k] = unbiased_srcc(judged(np.sort(order[:budget]), test, number), scores[test])
            progress(number * len(budgets) + k + 1, len(splits) * len(budgets))
    return Curve.of(budgets.astype(np.float64), found)


def unbiased_srcc(predictions: FloatArray, scores: FloatArray) -> float:
    """SRCC whose mean over test parts of n images is that of large ones: ((n + 1) r - 3 τ) / (n - 2).

    SRCC of few images is too low on average, by 0.03 of twenty where it is 0.65. 0 where it is undefined, and plain
    SRCC of two images.

    Source: Kendall and Gibbons, "Rank Correlation Methods" (1990), chapter 5, on the mean of r in samples.
    """
    plain, tau, n = srcc(predictions, scores), krcc(predictions, scores), len(scores)
    if plain is None or tau is None:
        return 0.0
    return plain if n < 3 else ((n + 1) * plain - 3.0 * tau) / (n - 2)


def _weights(labels: FloatArray, at: FloatArray, exponent: float) -> FloatArray:
    """Weights (len(at), k) of the figures at `labels` (k,) in what their least-squares power law gives elsewhere.

    Figures count as the labels behind them: those of few labels vary most.
    """
    root = np.sqrt(labels / labels.sum())
    design = np.column_stack([np.ones(len(labels)), -(labels**-exponent)]) * root[:, None]
    wanted = np.column_stack([np.ones(len(at)), -(at**-exponent)])
    found: FloatArray = (wanted @ np.linalg.pinv(design)) * root
    return found
