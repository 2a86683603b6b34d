"""How fast the score mapping is, and whether scipy from many starts finds a better one.

    python benchmarks/speed/mapping.py                  median time at n = 2000
    python benchmarks/speed/mapping.py --cases 10000    compare as well; exit code 1 if any case fails

The random cases and the reference stand here once; the tests load this file. The reference shares no code with
the mapping: it standardises in extended precision and runs scipy's Levenberg-Marquardt over all four parameters.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit, leastsq

from ssliqa_bench.evaluation.mapping import Mapping, fit_mapping

Array = NDArray[Any]
SHAPES = ("logistic", "saturated", "linear", "flat", "step", "convex", "concave", "constant")
REPEATS = 9
SPREADS = ("normal", "uniform", "skewed", "clustered", "heavy-tailed", "tied", "outlier")


@dataclass(frozen=True)
class Case:
    """Predictions and scores, with how they were made."""

    shape: str
    spread: str
    negative: bool
    noise: float
    pred: Array
    scores: Array


def make_case(seed: int, *, largest: int = 2000) -> Case:
    """The random case of a seed: 5 to `largest` predictions of any scale and offset, in some relation to scores."""
    rng = np.random.default_rng([seed, 20240229])
    n = round(math.exp(rng.uniform(math.log(5), math.log(largest))))
    spread = SPREADS[rng.integers(len(SPREADS))]
    shape = SHAPES[rng.integers(len(SHAPES))] if rng.random() > 0.02 else "constant"
    if shape == "constant" and rng.random() > 0.1:
        shape = "logistic"
    negative = bool(rng.random() < 0.2)
    noise = float(rng.choice([0.0, 1e-6, 0.01, 0.1, 0.4, 1.5]))
    x = _latent(rng, spread, n)
    y = _relation(rng, shape, x)
    y = (-y if negative else y) + noise * rng.normal(size=n)
    if rng.random() < 0.15:
        y = np.round(y * 2) / 2
    scores = 10.0 ** rng.uniform(-3, 3) * (y + rng.choice([0.0, 3.0, -50.0]))
    scale = 10.0 ** (rng.uniform(-290, 290) if rng.random() < 0.05 else rng.uniform(-12, 12))
    offset = 0.0 if rng.random() < 0.4 else float(rng.choice([-1.0, 1.0])) * 10.0 ** rng.uniform(0, 4)
    pred = scale * (x + offset * max(float(x.std()), 1e-3))
    if shape == "constant":
        pred, scores = (np.full(n, pred[0]), scores) if rng.random() < 0.5 else (pred, np.full(n, scores[0]))
    return Case(shape, spread, negative, noise, pred, scores)


def _latent(rng: np.random.Generator, spread: str, n: int) -> Array:
    if spread == "uniform":
        return rng.uniform(-1.7, 1.7, n)
    if spread == "skewed":
        return rng.lognormal(0.0, 1.0, n)
    if spread == "clustered":
        return rng.choice([-1.0, 0.2, 1.5], n) + 10.0 ** rng.uniform(-5, -1) * rng.normal(size=n)
    if spread == "heavy-tailed":
        return rng.standard_t(1.2, n)
    x = rng.normal(size=n)
    if spread == "tied":
        return np.round(x * rng.integers(1, 6)) / 2
    if spread == "outlier":
        x[rng.integers(n)] *= 10.0 ** rng.uniform(1, 6)
    return x


def _relation(rng: np.random.Generator, shape: str, x: Array) -> Array:
    middle, unit = float(np.median(x)), float(np.subtract(*np.percentile(x, [80, 20]))) or 1.0
    z = (x - middle) / unit
    centre = rng.normal()
    if shape == "logistic":
        return 1 / (1 + np.exp(-np.clip((z - centre) / 10.0 ** rng.uniform(-0.7, 0.5), -500, 500)))
    if shape == "saturated":
        return 1 / (1 + np.exp(-np.clip((z - centre) / 10.0 ** rng.uniform(-3, -1), -500, 500)))
    if shape == "step":
        return (z > centre / 2).astype(float)
    if shape == "convex":
        return np.exp(np.clip(z * rng.uniform(0.3, 2), -30, 5))
    if shape == "concave":
        return -np.exp(np.clip(-z * rng.uniform(0.3, 2), -30, 5))
    return np.clip(z, -1e3, 1e3) if shape == "linear" else 0.0 * z


def standardised(pred: Array, scores: Array) -> tuple[Array, Array]:
    """Both sides of mean 0 and standard deviation 1 (0 for a constant), worked out in extended precision."""
    sides = []
    for values in (pred, scores):
        wide = values.astype(np.longdouble)
        wide = wide - wide[0]
        wide = wide - wide.mean()
        spread = np.sqrt(np.mean(wide * wide))
        sides.append((wide / spread if values.min() != values.max() else 0 * wide).astype(np.float64))
    return sides[0], sides[1]


def reference_error(pred: Array, scores: Array, *, starts: int = 20, seed: int = 0) -> float:
    """The least sum of squares that scipy finds over b1 ≥ b2, as a share of the total sum of squares."""
    x, y = standardised(pred, scores)
    if not x.any() or not y.any():
        return 1.0
    rng = np.random.default_rng(seed)
    total = float(y @ y)
    best = total
    distinct = np.unique(x)
    for _ in range(starts):
        centre = rng.choice(distinct) + rng.normal() * 10.0 ** rng.uniform(-2, 0.5)
        width = 10.0 ** rng.uniform(-3, 1)
        start = np.array([y.min(), math.sqrt(np.ptp(y)), centre, math.log(width)])
        with np.errstate(all="ignore"):
            found, *_ = leastsq(_residual, start, args=(x, y), Dfun=_jacobian, col_deriv=True, maxfev=150,
                                ftol=1e-11, xtol=1e-11, full_output=True)
            error = float(np.sum(_residual(found, x, y) ** 2))
        best = min(best, error) if math.isfinite(error) else best
    return best / total


# b1 - b2 is written as a square, so that every start stays among the increasing curves.
def _residual(p: Array, x: Array, y: Array) -> Array:
    return p[0] + p[1] ** 2 * _sigmoid(p, x) - y


def _jacobian(p: Array, x: Array, y: Array) -> Array:
    g = _sigmoid(p, x)
    slope = p[1] ** 2 * g * (1 - g)
    width = math.exp(min(max(p[3], -60.0), 60.0))
    return np.stack([np.ones_like(x), 2 * p[1] * g, -slope / width, -slope * (x - p[2]) / width])


def _sigmoid(p: Array, x: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip((x - p[2]) / math.exp(min(max(p[3], -60.0), 60.0)), -500, 500)))


def error_share(mapping: Mapping, pred: Array, scores: Array) -> float:
    """The sum of squares that a mapping leaves, as a share of the total sum of squares."""
    wide = scores.astype(np.longdouble)
    centred = wide - wide.mean()
    total = np.sum(centred * centred)
    left = np.sum((mapping.apply(pred).astype(np.longdouble) - wide) ** 2)
    return float(left / total) if scores.min() != scores.max() else 1.0


def line_error(pred: Array, scores: Array) -> float:
    """The sum of squares that the best increasing straight line leaves, as a share of the total."""
    x, y = standardised(pred, scores)
    r = float(np.mean(x * y))
    return float(np.mean((y - r * x) ** 2)) if r > 0 and y.any() else 1.0


def best_step_gain(pred: Array, scores: Array) -> float:
    """The largest covariance of the scores with a step between two predictions. Every increasing curve is a
    mixture of such steps, so none correlates positively unless this is positive."""
    order = np.argsort(pred, kind="stable")
    _, y = standardised(pred, scores)
    above = np.cumsum(y[order][::-1])[::-1][1:]
    between = np.diff(pred[order]) > 0
    return float(above[between].max(initial=-math.inf)) / len(y)


def complaints(case: Case, *, reference: bool = True) -> tuple[list[str], float, Mapping]:
    """What is wrong with the mapping of a case, how far it exceeds the reference (as a share of what is
    allowed), and the mapping."""
    mapping = fit_mapping(case.pred, case.scores)
    said = []
    mapped = mapping.apply(case.pred)
    order = np.argsort(case.pred, kind="stable")
    if not np.isfinite(mapped).all():
        said.append("mapped values are not finite")
    elif np.diff(mapped[order]).min() < 0:
        said.append("the curve decreases")
    # Scores that differ in their last digits only leave no room to tell one curve from another.
    digits = min(np.abs(case.scores).max() * 2**-48 / max(float(case.scores.std()), 1e-300), 9.0) + 1e-12
    gain = best_step_gain(case.pred, case.scores)
    allowed = 1e-9 + digits
    if (gain > allowed and mapping.status == "flat") or (gain < -allowed and mapping.status != "flat"):
        said.append(f"status {mapping.status}, but the best step has covariance {gain:.3g}")
    error = error_share(mapping, case.pred, case.scores)
    if error**0.5 > line_error(case.pred, case.scores) ** 0.5 * (1 + 1e-9) + digits:
        said.append(f"worse than a straight line: {error:.12g}")
    if error**0.5 > 1 + 1e-12 + digits:
        said.append(f"worse than the constant: {error:.12g}")
    excess = 0.0
    if reference:
        best = reference_error(case.pred, case.scores)
        excess = float((error - best) / (1e-6 * best + 1e-9 + digits**2))
        if excess > 1:
            said.append(f"scipy leaves {best:.12g}, the mapping {error:.12g}")
    return said, excess, mapping


def scipy_from_one_start(pred: Array, scores: Array) -> None:
    """The usual fit: scipy's curve_fit from the usual start; it may find no curve."""
    start = [float(scores.max()), float(scores.min()), float(pred.mean()), float(pred.std()) / 4]
    with contextlib.suppress(RuntimeError), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        curve_fit(lambda x, a, b, c, d: (a - b) / (1 + np.exp(-(x - c) / abs(d))) + b, pred, scores, start)


def median_seconds(n: int, fit: Callable[[Array, Array], object] = fit_mapping, *, repeats: int = REPEATS) -> float:
    """Median CPU time of one fit over relations of several shapes, each noisy, n predictions."""
    times = []
    for shape in SHAPES[:-1]:
        rng = np.random.default_rng(n)
        x = rng.normal(size=n)
        y = _relation(rng, shape, x) + 0.3 * rng.normal(size=n)
        fit(x, y)
        for _ in range(repeats):
            start = time.process_time()
            fit(x, y)
            times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> int:
    """Print the timing and, with --cases, the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=0, help="compare this many random cases with scipy")
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    options = parser.parse_args()
    from measuring import Figure, show  # here, since tests load this file by its path

    ours, other = median_seconds(2000, fit_mapping), median_seconds(2000, scipy_from_one_start)
    figures = [
        Figure("logistic4, n = 2000", 1e3 * ours, "ms", at_most=8),
        Figure("scipy from one start, over it", other / ours),
    ]
    rows = [["our mapping", f"{1e3 * ours:.2f}"], ["scipy's curve_fit, one start", f"{1e3 * other:.2f}"]]
    code = show(("", "CPU ms"), rows, figures, rounds=REPEATS * len(SHAPES[:-1]))
    if not options.cases:
        return code
    failed, worst = 0, (-math.inf, -1)
    statuses: dict[str, int] = {}
    for seed in range(options.first, options.first + options.cases):
        case = make_case(seed)
        said, excess, mapping = complaints(case)
        worst = max(worst, (excess, seed))
        statuses[mapping.status] = statuses.get(mapping.status, 0) + 1
        if said:
            failed += 1
            print(f"case {seed} ({case.shape}, {case.spread}, n = {len(case.pred)}, noise {case.noise:g}, "
                  f"{mapping.status}): {'; '.join(said)}", flush=True)
    print(f"{options.cases} cases, {failed} failed; worst excess {worst[0]:.3g} of what is allowed (case {worst[1]}); "
          + ", ".join(f"{name} {count}" for name, count in sorted(statuses.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
