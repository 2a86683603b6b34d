"""SRCC by kind of distortion, by level, by part of a dataset: where a method is good and where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.evaluation.constants import MINIMUM_PART
from ssliqa_bench.evaluation.correlations import srcc


def breakdown(
    predictions: Any, scores: Any, labels_by_name: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """SRCC over the images of each label, ready for JSON.

    Args:
        predictions: predicted quality, shape (n,), higher is better.
        scores: native opinion scores, shape (n,), higher is better.
        labels_by_name: for `distortion`, `level`, `part` or any other name, one label per image; an empty one means
            that the dataset gives none.

    Returns:
        For each name: `values`, by label in increasing order (as numbers where all labels are), `n` and `srcc`, None
        for fewer than 10 images or a constant side; `within`, the mean of those SRCC weighted by their images, None
        without any; `n`, how many images that mean is over; `unlabeled`, how many images have no label.

    Raises:
        InputError: as `srcc`, or not one label per image.
    """
    predicted, given = paired(predictions, scores)
    found = {}
    for name, labels in labels_by_name.items():
        if len(labels) != len(given):
            raise InputError(f"{name}: got {len(labels)} labels and {len(given)} predictions; expected one per image.")
        rows: dict[str, list[int]] = {}
        for row, label in enumerate(labels):
            rows.setdefault(str(label), []).append(row)
        unlabeled = len(rows.pop("", []))
        values: dict[str, dict[str, Any]] = {}
        images, total = 0, 0.0
        for label in _in_order(rows):
            at = np.array(rows[label])
            value = srcc(predicted[at], given[at]) if len(at) >= MINIMUM_PART else None
            values[label] = {"n": len(at), "srcc": value}
            if value is not None:
                images, total = images + len(at), total + len(at) * value
        within = total / images if images else None
        found[name] = {"values": values, "within": within, "n": images, "unlabeled": unlabeled}
    return found


def _in_order(labels: Mapping[str, Any]) -> list[str]:
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)
