"""From the rows of a record to its metrics: what a run writes, what `store verify` compares, what an older record gets.

Imports scipy, no torch.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.table import Table
from ssliqa_bench.evaluation.breakdown import breakdown
from ssliqa_bench.evaluation.classes import ClassInputs, class_facts
from ssliqa_bench.evaluation.metrics import EVALUATION_VERSION, evaluate, input_checksum
from ssliqa_bench.evaluation.noise import RatingSpread
from ssliqa_bench.evaluation.uncertainty import intervals
from ssliqa_bench.runner.classes import ClassRule
from ssliqa_bench.store.predictions import Classes, Predictions
from ssliqa_bench.store.record import ClassFacts, DatasetResult, Metrics, Record
from ssliqa_bench.types import FloatArray

_PARTS = ("distortion", "level", "part")  # columns that results are broken down by
_log = logging.getLogger("ssliqa_bench")


@dataclass(frozen=True)
class DatasetEvaluation:
    """Everything that a dataset's predictions determine."""

    metrics: Metrics
    stages: dict[str, Metrics]
    classes: ClassFacts | None
    inputs: str

    def changed(self, result: DatasetResult) -> DatasetResult:
        """A result with these values, evaluated by the version of today."""
        values = {"metrics": self.metrics, "stages": self.stages, "classes": self.classes, "inputs": self.inputs}
        return result.model_copy(update={**values, "evaluation_version": EVALUATION_VERSION})


def evaluate_rows(
    rows: Predictions,
    *,
    mapping: str,
    extra: Sequence[str],
    rule: ClassRule | None,
    scale: tuple[float, float] | None = None,
    mean_ratings: float | None = None,
) -> DatasetEvaluation:
    """Metrics of the final model and of those before it, from the columns of a record; intervals and breakdowns of the
    final model alone.

    Args:
        mapping, extra: as the protocol states them.
        rule: how images fall into classes, where the protocol sees any.
        scale: scores at 0 and 1 of a learner's predictions; None for predictions of another kind.
        mean_ratings: how many ratings an image has on average, for rows that do not state it of each image.

    Raises:
        InputError: a value is not finite, or there are fewer than two rows.
    """
    scores = np.array(rows.score, dtype=np.float64)

    def judged(
        values: Sequence[float], classes: ClassInputs | None, ratings: RatingSpread | None = None
    ) -> dict[str, Any]:
        return evaluate(
            np.array(values), scores, mapping=mapping, extra=extra, classes=classes, scale=scale, ratings=ratings
        )

    def classes_of(predicted: Classes | None) -> ClassInputs | None:
        return None if rule is None else rule.inputs(rows.true_class, predicted, len(rows))

    final = classes_of(rows.predicted_class)
    labels = {name: own for name in _PARTS if (own := getattr(rows, name)) is not None}
    # Without groups it is not known what may be drawn.
    ends = None if rows.group is None else intervals(rows.prediction, scores, rows.group, mapping=mapping)
    by = breakdown(rows.prediction, scores, labels) if labels else None
    own = judged(rows.prediction, final, _ratings(rows, mean_ratings))
    return DatasetEvaluation(
        metrics=Metrics.model_validate({**own, "intervals": ends, "by": by}),
        stages={
            name: Metrics(**judged(stage.prediction, classes_of(stage.predicted_class)))
            for name, stage in rows.stages.items()
        },
        classes=None if final is None else ClassFacts(**class_facts(final)),
        inputs=input_checksum(rows.image, scores, rows.prediction, final),
    )


def reevaluate(record: Record, dataset: str, rows: Predictions) -> DatasetResult:
    """The result of a record on a dataset as today's evaluation gives it, from the predictions on record.

    Metrics of stages whose predictions are not on record cannot be computed again and are left out.
    """
    result = record.results[dataset]
    lost = [name for name in result.stages if name not in rows.stages]
    if lost:
        _log.warning(
            "Record %s: %s: metrics after %s are left out; their predictions are not on record.",
            record.key[:12], dataset, ", ".join(lost),
        )  # fmt: skip
    return evaluate_rows(rows, **how_evaluated(record, dataset)).changed(result)


def how_evaluated(record: Record, dataset: str) -> dict[str, Any]:
    """How the metrics of a record on a dataset are computed: the arguments of `evaluate_rows`."""
    result = record.results[dataset]
    return {
        "mapping": record.facts.protocol.mapping,
        "extra": tuple(result.metrics.extra),
        "rule": ClassRule.recorded(result.classes),
        "scale": result.dataset.scale,
        "mean_ratings": result.dataset.mean_ratings,
    }


def prediction_columns(table: Table, prediction: FloatArray, true_class: Classes | None = None) -> Predictions:
    """The columns of a record for the images of a table, in its order.

    Reference images are named by their file alone: the folder differs from machine to machine.
    """
    names = None if table.reference is None else tuple(Path(path).name for path in table.reference)
    return Predictions(
        image=table.name,
        score=tuple(table.score.tolist()),
        prediction=tuple(prediction.tolist()),
        true_class=true_class,
        group=table.group,
        reference=names,
        distortion=table.distortion,
        level=table.level,
        part=table.part,
        rating_std=_numbers(table.rating_std),
        n_ratings=_numbers(table.n_ratings),
    )


def with_images(rows: Predictions, table: Table, true_class: Classes | None) -> Predictions:
    """Predictions without images, completed with what a dataset at hand states about these."""
    whole = prediction_columns(table, np.array(rows.prediction), true_class)
    return replace(whole, predicted_class=rows.predicted_class, stages=rows.stages)


def _ratings(rows: Predictions, mean_ratings: float | None) -> RatingSpread | None:
    """Spread and number of the ratings; None where either is unknown of all images."""
    if rows.rating_std is None or (rows.n_ratings is None and mean_ratings is None):
        return None
    number = mean_ratings if rows.n_ratings is None else np.array(rows.n_ratings, dtype=np.float64)
    return RatingSpread(np.array(rows.rating_std, dtype=np.float64), number)


def _numbers(column: FloatArray | None) -> tuple[float | None, ...] | None:
    return None if column is None else tuple(None if np.isnan(value) else float(value) for value in column)
