"""Where a run is right and wrong, from its predictions: the fitted curve, errors by score range, SRCC by group."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssliqa_bench.evaluation.breakdown import breakdown
from ssliqa_bench.evaluation.constants import MINIMUM_MAPPING, MINIMUM_PART
from ssliqa_bench.evaluation.mapping import Mapping, fit_mapping
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.types import FloatArray

# Fifths of the test images in the order of their scores.
_RANGES = 5
_CURVE_POINTS = 32


def fitted_mapping(rows: Predictions, kind: str) -> Mapping | None:
    """The mapping that PLCC and RMSE use; None where the protocol has none, or with too few images."""
    if len(rows.image) < MINIMUM_MAPPING or kind == "none":
        return None
    return fit_mapping(rows.prediction, rows.score, kind=kind)


def curve(rows: Predictions, mapping: Mapping | None) -> list[float]:
    """The fitted mapping at evenly spaced points from the lowest to the highest prediction."""
    if mapping is None:
        return []
    points = np.linspace(min(rows.prediction), max(rows.prediction), _CURVE_POINTS)
    return [float(value) for value in mapping.apply(points)]


def errors_by_range(rows: Predictions, mapping: Mapping | None) -> list[dict[str, Any]]:
    """Errors of the mapped predictions over fifths of the scores, in native units.

    Images of equal scores stay in one range, so that the ranges do not depend on the order of the images.

    Returns:
        For each range: lowest and highest score, how many images, mean error (positive: quality overestimated), RMSE.
        Empty without a mapping, and with fewer images than `MINIMUM_PART` for each range.
    """
    if mapping is None or len(rows.image) < _RANGES * MINIMUM_PART:
        return []
    scores: FloatArray = np.array(rows.score, dtype=np.float64)
    errors = mapping.apply(np.array(rows.prediction, dtype=np.float64)) - scores
    ends = np.quantile(scores, np.arange(1, _RANGES) / _RANGES)
    place = np.searchsorted(ends, scores, side="right")
    found = []
    for k in np.unique(place):
        own = place == k
        found.append({
            "from": float(scores[own].min()), "to": float(scores[own].max()), "n": int(own.sum()),
            "bias": float(errors[own].mean()), "rmse": float(np.sqrt(np.mean(errors[own] ** 2))),
        })  # fmt: skip
    return found


def srcc_by_group(rows: Predictions) -> dict[str, float | None]:
    """SRCC within each group of images that has enough of them; empty where groups are single images."""
    if rows.group is None or not rows.image:
        return {}
    values = breakdown(rows.prediction, rows.score, {"group": rows.group})["group"]["values"]
    return {label: own["srcc"] for label, own in values.items() if own["n"] >= MINIMUM_PART}
