"""How much a correlation would vary with other test images: percentile bootstrap intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.inputs import paired
from ssliqa_bench.evaluation.metrics import METRICS
from ssliqa_bench.types import derive_seed

# Intervals of mapped values would need a fit per replicate, with a status of its own each time.
INTERVALS = ("srcc", "krcc", "plcc_raw")


def bootstrap_intervals(pred: Any, scores: Any, *, replicates: int = 1000, level: float = 0.95,
                        seed: int = 0) -> dict[str, float | None]:
    """Percentile intervals of srcc, krcc and plcc_raw over images drawn with replacement.

    The same input and seed give the same interval. A replicate in which a value is undefined (all scores equal)
    is left out of it; with fewer than half of the replicates left, the interval is None.

    Args:
        pred, scores: as in `evaluate`, shape (n,).
        replicates: how many times images are drawn, at least 1.
        level: share of the replicates between the two ends, in (0, 1).
        seed: of the draws.

    Returns:
        `NAME_lo` and `NAME_hi` for each of the three.

    Raises:
        InputError: as `evaluate`, or replicates or level out of range.
    """
    predicted, given = paired(pred, scores)
    if replicates < 1 or not 0.0 < level < 1.0:
        raise InputError(f"Bootstrap: got {replicates} replicates at level {level}; expected at least 1 and a level "
                         f"between 0 and 1.")
    functions = {metric.name: metric.function for metric in METRICS if metric.name in INTERVALS}
    values: dict[str, list[float]] = {name: [] for name in INTERVALS}
    rng = np.random.default_rng(derive_seed(seed, "bootstrap"))
    for _ in range(replicates):
        rows = rng.integers(len(given), size=len(given))
        for name, function in functions.items():
            value = function(predicted[rows], given[rows])
            if value is not None:
                values[name].append(value)
    ends: dict[str, float | None] = {}
    for name, found in values.items():
        enough = 2 * len(found) >= replicates
        low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2]) if enough else (None, None)
        ends[f"{name}_lo"] = None if low is None else float(low)
        ends[f"{name}_hi"] = None if high is None else float(high)
    return ends
