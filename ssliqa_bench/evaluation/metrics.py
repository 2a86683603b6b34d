"""The table of metrics and the one function that computes them all for a set of predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ssliqa_bench.errors import InputError, unknown_name
from ssliqa_bench.evaluation import EVALUATION_VERSION as EVALUATION_VERSION
from ssliqa_bench.evaluation.classes import (
    ClassInputs,
    accuracy,
    kappa_quadratic,
    mae_argmax,
    mae_macro,
    mae_of,
)
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.evaluation.constants import MINIMUM_MAPPING
from ssliqa_bench.evaluation.correlations import krcc, mae, plcc, rmse, srcc
from ssliqa_bench.evaluation.mapping import fit_mapping
from ssliqa_bench.evaluation.noise import RatingSpread, noise_figures
from ssliqa_bench.types import FloatArray, Scale

# Parameters of each mapping, for rmse*; a scale of its own counts as one.
_FREEDOM = {"logistic4": 4, "logistic5": 5, "linear": 2, "none": 1}

Columns = Literal["raw", "units", "mapped", "classes", "expected and class", "expected and score", "native"]


@dataclass(frozen=True)
class MetricDefinition:
    """One row of the table; its name is also in `evaluation.names`.

    Attributes:
        name: key in records, JSON and boards.
        function: (predicted, true) -> value, None where undefined.
        higher_is_better: direction of the value.
        of: the two columns that the function is given. `raw`: predictions and scores; `units`: the same, predictions
            in the units of the scores where their scale is known; `mapped`: mapped predictions and scores; `classes`:
            predicted and true class; `expected and class`: the prediction as a place on the scale of classes, and the
            true class; `expected and score`: both as places on that scale; `native`: these in native units.
        always: computed every time and a key of its own; the others are in `extra` when asked for.
    """

    name: str
    function: Callable[[Any, Any], float | None]
    higher_is_better: bool
    of: Columns = "raw"
    always: bool = True


def main_score(pred: FloatArray, scores: FloatArray) -> float | None:
    """SRCC + PLCC, at most 2, by which the NTIRE challenges on perceptual image quality rank their entries.

    PLCC of the predictions as they are: neither the challenge's report nor its entries mention a mapping.

    Source: Gu et al., "NTIRE 2022 Challenge on Perceptual Image Quality Assessment", CVPR Workshops 2022.
    """
    rank, line = srcc(pred, scores), plcc(pred, scores)
    return None if rank is None or line is None else rank + line


METRICS: tuple[MetricDefinition, ...] = (
    MetricDefinition("srcc", srcc, higher_is_better=True),
    MetricDefinition("krcc", krcc, higher_is_better=True),
    MetricDefinition("plcc_raw", plcc, higher_is_better=True),
    MetricDefinition("plcc_mapped", plcc, higher_is_better=True, of="mapped"),
    MetricDefinition("rmse_mapped", rmse, higher_is_better=False, of="mapped"),
    MetricDefinition("mae_mapped", mae, higher_is_better=False, of="mapped", always=False),
    MetricDefinition("rmse_raw", rmse, higher_is_better=False, of="units", always=False),
    MetricDefinition("main_score", main_score, higher_is_better=True, always=False),
    MetricDefinition("accuracy", accuracy, higher_is_better=True, of="classes", always=False),
    MetricDefinition("kappa_quadratic", kappa_quadratic, higher_is_better=True, of="classes", always=False),
    MetricDefinition("mae_argmax", mae_argmax, higher_is_better=False, of="classes", always=False),
    MetricDefinition("mae_macro", mae_macro, higher_is_better=False, of="classes", always=False),
    MetricDefinition("mae_3", mae_of(3), higher_is_better=False, of="classes", always=False),
    MetricDefinition("mae_4", mae_of(4), higher_is_better=False, of="classes", always=False),
    MetricDefinition("mae_34", mae_of(3, 4), higher_is_better=False, of="classes", always=False),
    MetricDefinition("mae_expect", mae, higher_is_better=False, of="expected and class", always=False),
    MetricDefinition("mae_cont", mae, higher_is_better=False, of="expected and score", always=False),
    MetricDefinition("mae_mos", mae, higher_is_better=False, of="native", always=False),
)


def evaluate(
    pred: Any,
    scores: Any,
    *,
    mapping: str = "logistic4",
    extra: Sequence[str] = (),
    classes: ClassInputs | None = None,
    scale: tuple[float, float] | None = None,
    ratings: RatingSpread | None = None,
) -> dict[str, Any]:
    """All metrics of a set of predictions, ready for JSON; None where a value is undefined.

    With fewer than five values no curve is fitted: `mapping` is "none" and the mapped values are None. Asked for
    no mapping (`mapping="none"`), the mapped values are those of the predictions as they are.

    Args:
        pred: predicted quality, shape (n,), higher is better, any scale; of a model that predicts classes, on the
            learner's scale, 0 to 1.
        scores: native opinion scores, shape (n,), higher is better.
        mapping: see `fit_mapping`.
        extra: names of further metrics of the table.
        classes: predicted and true classes, for the metrics of classes. Without, predictions and scores that are
            whole numbers are classes themselves.
        scale: scores at 0 and 1 of predictions that are on [0, 1], by which `rmse_raw` converts them; None for
            predictions in the units of the scores or on a scale of their own, which it takes as they are.
        ratings: spread and number of the ratings behind the scores, where they are known.

    Returns:
        The keys n, srcc, krcc, plcc_raw, plcc_mapped, rmse_mapped, mapping (the status), extra, and with `ratings`
        `noise`, as `noise_figures` gives it.

    Raises:
        InputError: shapes differ, a value is not finite, n < 2, an unknown mapping or metric.
    """
    predicted, given = paired(pred, scores)
    optional = {metric.name: metric for metric in METRICS if not metric.always}
    for name in extra:
        if name not in optional:
            raise unknown_name("metric", name, optional, "ssliqa-bench evaluate --help")
    if classes is not None and classes.true.shape != given.shape:
        raise InputError(f"Got {len(classes.true)} classes and {len(given)} scores; expected one of each per image.")
    columns: dict[Columns, tuple[Any, Any] | None] = {"raw": (predicted, given), "mapped": None}
    columns["units"] = (predicted if scale is None else Scale(*scale).from01(predicted), given)
    status = "none"
    if mapping == "none" or len(given) >= MINIMUM_MAPPING:
        fitted = fit_mapping(predicted, given, kind=mapping)
        columns["mapped"], status = (fitted.apply(predicted), given), fitted.status
    columns.update({"classes": (predicted, given)} if classes is None else _class_columns(predicted, given, classes))

    def value(metric: MetricDefinition) -> float | None:
        found = columns.get(metric.of)
        return None if found is None else metric.function(*found)

    result: dict[str, Any] = {"n": len(given)}
    result.update((metric.name, value(metric)) for metric in METRICS if metric.always)
    result["mapping"] = status
    result["extra"] = {name: value(optional[name]) for name in extra}
    if ratings is not None:
        mapped = None if columns["mapped"] is None else columns["mapped"][0]
        freedom = _FREEDOM["linear" if status == "linear" else mapping]
        result["noise"] = noise_figures(given, mapped, ratings, parameters=freedom)
    return result


def _class_columns(
    predicted: FloatArray, given: FloatArray, classes: ClassInputs
) -> dict[Columns, tuple[Any, Any] | None]:
    """The columns that metrics of classes are given, over the images whose class is known; none without predicted
    classes."""
    pairs, known = classes.pairs(), classes.known
    if pairs is None:
        return {}
    expected, place = classes.expected(predicted[known]), classes.place(given[known])
    return {
        "classes": pairs,
        "expected and class": (expected, pairs[1]),
        "expected and score": (expected, place),
        "native": (classes.width * expected, classes.width * place),
    }


def input_checksum(names: Sequence[str], scores: Any, predictions: Any, classes: ClassInputs | None = None) -> str:
    """SHA-256 (64 hexadecimal digits) of what metrics are computed from, whatever the order of the rows.

    Raises:
        InputError: the columns differ in length.
    """
    columns = [np.asarray(values, dtype="<f8") + 0.0 for values in (scores, predictions)]  # -0.0 becomes 0.0
    if classes is not None:
        predicted = np.full(classes.true.shape, -1) if classes.predicted is None else classes.predicted
        columns += [np.asarray(values, dtype="<f8") for values in (classes.true, predicted)]
    if any(column.shape != (len(names),) for column in columns):
        raise InputError(f"Got {len(names)} names, scores of shape {columns[0].shape} and predictions of shape "
                         f"{columns[1].shape}; expected one of each per image.")
    rows = sorted(name.encode() + b"\0" + b"".join(value.tobytes() for value in values)
                  for name, *values in zip(names, *columns))
    hasher = hashlib.sha256()
    for row in rows:
        hasher.update(len(row).to_bytes(8, "little") + row)
    return hasher.hexdigest()
