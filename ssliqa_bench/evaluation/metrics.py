"""The table of metrics and the one function that computes them all for a set of predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssliqa_bench.errors import InputError, unknown_name
from ssliqa_bench.evaluation import EVALUATION_VERSION as EVALUATION_VERSION
from ssliqa_bench.evaluation.classes import accuracy, kappa_quadratic, mae_argmax, mae_macro, mae_of
from ssliqa_bench.evaluation.correlations import krcc, mae, plcc, rmse, srcc
from ssliqa_bench.evaluation.inputs import paired
from ssliqa_bench.evaluation.mapping import MINIMUM, fit_mapping
from ssliqa_bench.types import FloatArray


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    Attributes:
        name: key in records, JSON and boards.
        function: (predictions, scores) -> value, None where undefined.
        higher_is_better: direction of the value.
        needs_map: whether the function is given mapped predictions.
        always: computed every time and a key of its own; the others stand in `extra` when asked for.
    """

    name: str
    function: Callable[[FloatArray, FloatArray], float | None]
    higher_is_better: bool
    needs_map: bool
    always: bool = True


def main_score(pred: FloatArray, scores: FloatArray) -> float | None:
    """SRCC + PLCC, at most 2, by which the NTIRE challenges on perceptual image quality rank their entries.

    PLCC of the predictions as they are: neither the challenge's report nor its entries mention a mapping.

    Source: Gu et al., "NTIRE 2022 Challenge on Perceptual Image Quality Assessment", CVPR Workshops 2022.
    """
    rank, line = srcc(pred, scores), plcc(pred, scores)
    return None if rank is None or line is None else rank + line


METRICS: tuple[Metric, ...] = (
    Metric("srcc", srcc, higher_is_better=True, needs_map=False),
    Metric("krcc", krcc, higher_is_better=True, needs_map=False),
    Metric("plcc_raw", plcc, higher_is_better=True, needs_map=False),
    Metric("plcc_mapped", plcc, higher_is_better=True, needs_map=True),
    Metric("rmse_mapped", rmse, higher_is_better=False, needs_map=True),
    Metric("mae_mapped", mae, higher_is_better=False, needs_map=True, always=False),
    Metric("rmse_raw", rmse, higher_is_better=False, needs_map=False, always=False),
    Metric("main_score", main_score, higher_is_better=True, needs_map=False, always=False),
    # Of predicted classes, where both columns hold classes.
    Metric("accuracy", accuracy, higher_is_better=True, needs_map=False, always=False),
    Metric("kappa_quadratic", kappa_quadratic, higher_is_better=True, needs_map=False, always=False),
    Metric("mae_argmax", mae_argmax, higher_is_better=False, needs_map=False, always=False),
    Metric("mae_macro", mae_macro, higher_is_better=False, needs_map=False, always=False),
    Metric("mae_3", mae_of(3), higher_is_better=False, needs_map=False, always=False),
    Metric("mae_4", mae_of(4), higher_is_better=False, needs_map=False, always=False),
    Metric("mae_34", mae_of(3, 4), higher_is_better=False, needs_map=False, always=False),
)


def evaluate(pred: Any, scores: Any, *, mapping: str = "logistic4",
             extra: Sequence[str] = ()) -> dict[str, Any]:
    """All metrics of a set of predictions, ready for JSON; None where a value is undefined.

    With fewer than five values no curve is fitted: `mapping` is "none" and the mapped values are None. Asked for
    no mapping (`mapping="none"`), the mapped values are those of the predictions as they are.

    Args:
        pred: predicted quality, shape (n,), higher is better, any scale.
        scores: native opinion scores, shape (n,), higher is better.
        mapping: see `fit_mapping`.
        extra: names of further metrics of the table.

    Returns:
        The keys n, srcc, krcc, plcc_raw, plcc_mapped, rmse_mapped, mapping (the status), extra.

    Raises:
        InputError: shapes differ, a value is not finite, n < 2, an unknown mapping or metric.
    """
    predicted, given = paired(pred, scores)
    optional = {metric.name: metric for metric in METRICS if not metric.always}
    for name in extra:
        if name not in optional:
            raise unknown_name("metric", name, optional, "ssliqa-bench evaluate --help")
    mapped: FloatArray | None = None
    status = "none"
    if mapping == "none" or len(given) >= MINIMUM:
        fitted = fit_mapping(predicted, given, kind=mapping)
        mapped, status = fitted.apply(predicted), fitted.status

    def value(metric: Metric) -> float | None:
        if not metric.needs_map:
            return metric.function(predicted, given)
        return None if mapped is None else metric.function(mapped, given)

    result: dict[str, Any] = {"n": len(given)}
    result.update((metric.name, value(metric)) for metric in METRICS if metric.always)
    result["mapping"] = status
    result["extra"] = {name: value(optional[name]) for name in extra}
    return result


def input_checksum(names: Sequence[str], scores: Any, predictions: Any) -> str:
    """SHA-256 (64 hexadecimal digits) of what metrics are computed from, whatever the order of the rows.

    Raises:
        InputError: the three columns differ in length.
    """
    columns = [np.asarray(values, dtype="<f8") + 0.0 for values in (scores, predictions)]  # -0.0 becomes 0.0
    if any(column.shape != (len(names),) for column in columns):
        raise InputError(f"Got {len(names)} names, scores of shape {columns[0].shape} and predictions of shape "
                         f"{columns[1].shape}; expected one of each per image.")
    rows = sorted(name.encode() + b"\0" + score.tobytes() + prediction.tobytes()
                  for name, score, prediction in zip(names, *columns))
    hasher = hashlib.sha256()
    for row in rows:
        hasher.update(len(row).to_bytes(8, "little") + row)
    return hasher.hexdigest()
