"""How far a figure would move with other test images: intervals over groups of images drawn with replacement.

What is drawn is the group, never the image: images of one photograph rise and fall together, and an interval over
single images would be too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from ssliqa_bench.errors import InputError, unknown_name
from ssliqa_bench.evaluation import influence
from ssliqa_bench.evaluation.constants import (
    ANALYTIC_ABOVE,
    CONFIDENCE,
    DEFINED_SHARE,
    MINIMUM_GROUPS,
    MOST_RESAMPLES,
    RESAMPLES,
)
from ssliqa_bench.evaluation.correlations import krcc, plcc, srcc
from ssliqa_bench.evaluation.mapping import KINDS, fit_mapping
from ssliqa_bench.evaluation.metrics import METRICS, evaluate
from ssliqa_bench.evaluation.refit import BatchMapping
from ssliqa_bench.evaluation.resampling import BatchKrcc, Grouped, batch_plcc, batch_rmse, batch_srcc
from ssliqa_bench.types import FloatArray

NAMES = tuple(metric.name for metric in METRICS if metric.always)
Interval = dict[str, Any]
# Called with the share of the work that is done, from 0 to 1.
Progress = Callable[[float], None]


def intervals(
    predictions: Any,
    scores: Any,
    groups: Sequence[Hashable] | None = None,
    *,
    mapping: str = "logistic4",
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    progress: Progress | None = None,
) -> dict[str, Interval | None]:
    """Intervals of srcc, krcc, plcc_raw, plcc_mapped and rmse_mapped of one set of predictions.

    Each is the figure ± t · standard error on a scale on which it is nearly normal: Fisher's z = artanh r of a
    correlation, the logarithm of RMSE; t is Student's quantile with one degree of freedom less than there are groups.
    The standard error is that over draws of groups with replacement, the mapping fitted again in each. Of more than
    5,000 images, or with `logistic5`, it follows from influence values, to which the draws then lead as well.

    The result depends neither on the order of the rows nor on the names of the groups.

    Args:
        predictions: predicted quality, shape (n,), higher is better.
        scores: native opinion scores, shape (n,), higher is better.
        groups: what belongs together (photograph, content, scene), n hashable names; None makes each image its own.
        mapping: see `fit_mapping`.
        seed: of the draws.
        resamples: how many draws.
        confidence: share of samples in which the interval should hold the true value, in (0, 1).
        progress: called with the share that is done.

    Returns:
        For each name, `lo` and `hi`, `method` (`bootstrap` or `influence`), `units`, the number of groups, and
        `resamples`, the number of draws, 0 for `influence`. None where there are fewer than 20 groups or where the
        figure is undefined, or is so in more than 5 % of the draws, or does not vary.

    Raises:
        InputError: as `evaluate`; not one group per image; resamples or confidence out of range.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 12 and 21; Fieller, Hartley and
    Pearson, "Tests for rank correlation coefficients I", Biometrika 44 (1957). Coverage: docs/uncertainty.md.
    """
    if not 1 <= resamples <= MOST_RESAMPLES or not 0.0 < confidence < 1.0:
        raise InputError(f"Intervals: got {resamples} resamples at confidence {confidence}; expected 1 to "
                         f"{MOST_RESAMPLES:,} resamples and a confidence between 0 and 1.")
    if mapping not in KINDS:
        raise unknown_name("mapping", mapping, KINDS, "ssliqa-bench evaluate --help")
    data = Grouped.of(predictions, scores, groups)
    if data.count < MINIMUM_GROUPS:
        return dict.fromkeys(NAMES)
    drawn = len(data) <= ANALYTIC_ABOVE and mapping != "logistic5"
    if drawn:
        draws = draw_figures(data, mapping, resamples, seed, progress)
        errors = {name: _spread(to_scale(name, values)) for name, values in draws.items()}
    else:
        errors = {name: influence.standard_error(data.sums(values), len(data))
                  for name, values in influence_values(data, mapping).items()}
    method, draws_made = ("bootstrap", resamples) if drawn else ("influence", 0)
    facts = {"method": method, "units": data.count, "resamples": draws_made}
    reach = float(student.ppf((1.0 + confidence) / 2.0, data.count - 1))
    found: dict[str, Interval | None] = {}
    for name, value in evaluate(data.x, data.y, mapping=mapping).items():
        if name in NAMES:
            ends = _ends(name, value, errors.get(name), reach)
            found[name] = None if ends is None else {"lo": ends[0], "hi": ends[1], **facts}
    return found


def draw_figures(data: Grouped, mapping: str, resamples: int, seed: int,
                 progress: Progress | None = None) -> dict[str, FloatArray]:
    """The five figures in every draw, shape (resamples,), NaN where undefined."""
    ranked = BatchKrcc(data)
    mapped = None if mapping == "none" else BatchMapping(data, mapping)
    found: dict[str, list[FloatArray]] = {name: [] for name in NAMES}
    done = 0
    for weights in data.draws(resamples, seed):
        raw = batch_plcc(data, weights)
        along, error = (raw, batch_rmse(data, weights)) if mapped is None else mapped(weights)
        for name, values in zip(NAMES, (batch_srcc(data, weights), ranked(weights), raw, along, error)):
            found[name].append(values)
        done += len(weights)
        if progress is not None:
            progress(done / resamples)
    return {name: np.concatenate(values) for name, values in found.items()}


def influence_values(data: Grouped, mapping: str) -> dict[str, FloatArray]:
    """Influence values (n,) of the figures on the scale of `to_scale`; those that are undefined are left out."""
    x, y = data.x, data.y
    mapped = x if mapping == "none" else fit_mapping(x, y, kind=mapping).apply(x)
    after_mapping = influence.of_plcc if mapping == "none" else influence.of_fitted
    found: dict[str, FloatArray] = {}
    for name, figure, of, left in (
        ("srcc", srcc, influence.of_srcc, x),
        ("krcc", krcc, influence.of_krcc, x),
        ("plcc_raw", plcc, influence.of_plcc, x),
        ("plcc_mapped", plcc, after_mapping, mapped),
    ):
        value = figure(left, y)
        if value is not None and abs(value) < 1.0:
            found[name] = of(left, y) / (1.0 - value * value)
    if (mapped != y).any():
        found["rmse_mapped"] = influence.of_log_rmse(mapped, y)
    return found


def to_scale(name: str, values: FloatArray) -> FloatArray:
    """Figures on the scale on which they are nearly normal; infinite at the ends."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values) if name == "rmse_mapped" else np.arctanh(values)


def _ends(name: str, value: float | None, error: float | None, reach: float) -> tuple[float, float] | None:
    if value is None or error is None or not error > 0:
        return None
    middle = float(to_scale(name, np.asarray(value)))
    if not math.isfinite(middle):
        return None
    low, high = middle - reach * error, middle + reach * error
    return (math.exp(low), math.exp(high)) if name == "rmse_mapped" else (math.tanh(low), math.tanh(high))


def _spread(values: FloatArray) -> float | None:
    """Standard deviation over the draws; None where too many are undefined or perfect."""
    kept = values[np.isfinite(values)]
    if len(kept) < max(DEFINED_SHARE * len(values), 2):
        return None
    return float(np.std(kept, ddof=1))
