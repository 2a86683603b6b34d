"""True classes of test images beside the predicted ones; on the runner's side of the label firewall only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssliqa_bench.datasets.classes import UNKNOWN, classes_of
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.evaluation.classes import ClassInputs
from ssliqa_bench.registry.schema import ClassFields, DatasetEntry
from ssliqa_bench.store.records import Predictions
from ssliqa_bench.types import IntArray


def class_inputs(
    table: Table, entry: DatasetEntry, fields: ClassFields, names: Sequence[str], predicted: IntArray | None
) -> ClassInputs:
    """What metrics of classes are computed from, for the images of a dataset in the order of `names`."""
    row = {name: k for k, name in enumerate(table.name)}
    true = classes_of(table, fields)[[row[name] for name in names]]
    low, high = entry.scale
    scale = (low, high) if entry.higher_is_better else (0.0 - high, 0.0 - low)
    return ClassInputs(true, predicted, fields.levels, fields.rule, scale)


def class_columns(inputs: ClassInputs | None) -> dict[str, tuple[int | None, ...]]:
    """The columns of a record's predictions that hold classes."""
    if inputs is None:
        return {}
    true = tuple(None if value == UNKNOWN else value for value in inputs.true.tolist())
    return {"true_class": true, "predicted_class": () if inputs.predicted is None else tuple(inputs.predicted.tolist())}


def recorded_classes(told: Mapping[str, Any], rows: Predictions) -> ClassInputs:
    """The inputs that a record was evaluated with.

    Args:
        told: what its facts say of the classes of a dataset.
        rows: its predictions for that dataset.
    """
    true = np.array([UNKNOWN if value is None else value for value in rows.true_class], dtype=np.int64)
    return ClassInputs(true, predicted_of(rows), told["levels"], told["rule"], tuple(told["scale"]))


def predicted_of(rows: Predictions) -> IntArray | None:
    """Predicted classes in a record; None of a model that predicts none."""
    said = [value for value in rows.predicted_class if value is not None]
    return np.array(said, dtype=np.int64) if said else None
