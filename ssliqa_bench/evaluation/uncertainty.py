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
    CONFIDENCE,
    DEFINED_SHARE,
    FEWEST_RESAMPLES,
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
    The standard error is that over draws of groups with replacement, the mapping fitted again in each. RMSE after a
    fit is too small on average, more so in draws: their mean shift from the figure is taken off it. Of very many images
    there are fewer draws (5 million images in all, at least 200 draws), and of more than 5,000 groups none: standard
    errors follow from influence values, which then agree with those of draws. `logistic5`, whose fit takes longest, has
    at most 200 draws.

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
        `resamples`, the number of draws made, 0 for `influence`. None where there are fewer than 30 groups or where the
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
    figures = evaluate(data.x, data.y, mapping=mapping)
    reach = float(student.ppf((1.0 + confidence) / 2.0, data.count - 1))
    draws = data.affordable(min(resamples, FEWEST_RESAMPLES) if mapping == "logistic5" else resamples)
    found: dict[str, tuple[float, float] | None]
    if draws:
        drawn = draw_figures(data, mapping, draws, seed, progress)
        found = {name: ends_of_draws(name, figures[name], drawn[name], reach) for name in NAMES}
    else:
        moves = influence_values(data, mapping)
        found = {name: ends_of_influence(name, figures[name], data, moves.get(name), reach) for name in NAMES}
    facts = {"method": "bootstrap" if draws else "influence", "units": data.count, "resamples": draws}
    return {name: None if ends is None else {"lo": ends[0], "hi": ends[1], **facts} for name, ends in found.items()}


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


def ends_of_draws(name: str, value: float | None, drawn: FloatArray, reach: float) -> tuple[float, float] | None:
    """The interval of a figure from its values in draws, `reach` standard errors to either side."""
    if value is None:
        return None
    middle, values = float(to_scale(name, np.asarray(value))), to_scale(name, drawn)
    values = values[np.isfinite(values)]
    if len(values) < max(DEFINED_SHARE * len(drawn), 2):
        return None
    if name == "rmse_mapped":
        middle -= float(values.mean()) - middle
    return _ends(name, middle, float(np.std(values, ddof=1)), reach)


def ends_of_influence(
    name: str, value: float | None, data: Grouped, moves: FloatArray | None, reach: float
) -> tuple[float, float] | None:
    """The interval of a figure from its influence values (n,), None where they are undefined."""
    if value is None or moves is None:
        return None
    error = influence.standard_error(data.sums(moves), len(data))
    return _ends(name, float(to_scale(name, np.asarray(value))), error, reach)


def _ends(name: str, middle: float, error: float, reach: float) -> tuple[float, float] | None:
    if not math.isfinite(middle) or not error > 0:
        return None
    low, high = middle - reach * error, middle + reach * error
    return (math.exp(low), math.exp(high)) if name == "rmse_mapped" else (math.tanh(low), math.tanh(high))
