"""How fast intervals are, beside a plain loop over scipy's functions, in one run.

    python benchmarks/speed/resampling.py [--turns 5] [--images 2000] [--resamples 1000]

Both draw images with replacement as often and compute SRCC, KRCC, PLCC, and PLCC and RMSE after a logistic mapping that
is fitted again in every draw. The plain loop starts each fit at the parameters of the fit of all images, as ours does.
Taken alternately; CPU seconds of one thread, so that other processes do not count. Exit code 1 where ours is not at
least ten times faster, by the medians of the turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from measuring import Figure, ratio, show
from scipy.optimize import curve_fit
from scipy.special import expit
from scipy.stats import kendalltau, pearsonr, spearmanr
from scipy.stats import t as student

from ssliqa_bench.evaluation.mapping import fit_mapping
from ssliqa_bench.evaluation.uncertainty import NAMES, intervals
from ssliqa_bench.types import FloatArray

AT_LEAST = 10.0
Ends = dict[str, tuple[float, float]]


def images(count: int) -> tuple[FloatArray, FloatArray]:
    """Predictions and scores of as many images, related by a logistic curve."""
    rng = np.random.default_rng(0)
    quality = rng.normal(size=count)
    return quality + 0.5 * rng.normal(size=count), 100 * expit(1.5 * quality) + 5 * rng.normal(size=count)


def logistic(x: FloatArray, b1: float, b2: float, b3: float, b4: float) -> FloatArray:
    """The four-parameter logistic."""
    return (b1 - b2) * expit((x - b3) / b4) + b2


def plain_loop(x: FloatArray, y: FloatArray, resamples: int) -> Ends:
    """Intervals from one draw after the other."""
    rng = np.random.default_rng(0)
    params = fit_mapping(x, y).params
    start = [params[name] for name in ("b1", "b2", "b3", "b4")]

    def figures(a: FloatArray, b: FloatArray) -> list[float]:
        fitted, _ = curve_fit(logistic, a, b, p0=start)
        mapped = logistic(a, *fitted)
        rmse = np.sqrt(np.mean((mapped - b) ** 2))
        along = [spearmanr(a, b), kendalltau(a, b), pearsonr(a, b), pearsonr(mapped, b)]
        return [*(np.arctanh(found.statistic) for found in along), np.log(rmse)]

    drawn = []
    for _ in range(resamples):
        rows = rng.integers(len(x), size=len(x))
        drawn.append(figures(x[rows], y[rows]))
    reach = student.ppf(0.975, len(x) - 1) * np.std(drawn, axis=0, ddof=1)
    middle = np.array(figures(x, y))
    low, high = ([*np.tanh(ends[:4]), np.exp(ends[4])] for ends in (middle - reach, middle + reach))
    return {name: (float(a), float(b)) for name, a, b in zip(NAMES, low, high)}


def ours(x: FloatArray, y: FloatArray, resamples: int) -> Ends:
    """Intervals of the product."""
    found = intervals(x, y, resamples=resamples)
    return {name: (found[name]["lo"], found[name]["hi"]) for name in NAMES}  # type: ignore[index]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    x, y = images(options.images)
    forms: dict[str, Callable[[FloatArray, FloatArray, int], Ends]] = {"plain loop": plain_loop, "ours": ours}
    times: dict[str, list[float]] = {name: [] for name in forms}
    ends: dict[str, Ends] = {}
    for form in forms.values():  # the first call warms up
        form(x, y, 5)
    for _ in range(options.turns):
        for name, form in forms.items():
            started = time.process_time()
            ends[name] = form(x, y, options.resamples)
            times[name].append(time.process_time() - started)
    rows = [
        [name, f"{statistics.median(taken):.2f}", *(f"{low:.4f} … {high:.4f}" for low, high in ends[name].values())]
        for name, taken in times.items()
    ]
    words = f"times faster: {options.resamples} draws of {options.images} images, one thread"
    reached = ratio(times["plain loop"], times["ours"])
    return show(("", "CPU s", *NAMES), rows, [Figure(words, reached, at_least=AT_LEAST)], rounds=options.turns)


if __name__ == "__main__":
    sys.exit(main())
