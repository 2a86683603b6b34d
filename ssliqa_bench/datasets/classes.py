"""From opinions to a few ordered classes, worst first, for the studies that classify quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import InputError
from ssliqa_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    from ssliqa_bench.registry.schema import ClassFields

UNKNOWN = -1


def classes_of(table: Table, fields: ClassFields) -> IntArray:
    """The class (n,) of every image by a protocol's rule; -1 where it is not known."""
    if fields.rule == "equal_width":
        return equal_width_classes(table.score01, fields.levels)
    if table.distribution is None or table.distribution.shape[1] != fields.levels:
        return np.full(len(table), UNKNOWN, dtype=np.int64)
    return modal_classes(table.distribution)


def modal_classes(distribution: FloatArray) -> IntArray:
    """The most frequent rating of each image, the worst of them at a tie; -1 for an image without ratings.

    Args:
        distribution: counts or shares of the rating levels, shape (n, P), worst level first.
    """
    if distribution.ndim != 2 or distribution.shape[1] < 2:
        raise InputError(f"Rating distributions of shape {distribution.shape}; expected (images, levels), two or more.")
    rated = np.isfinite(distribution).all(axis=1) & (distribution.sum(axis=1) > 0)
    classes = np.full(len(distribution), UNKNOWN, dtype=np.int64)
    classes[rated] = distribution[rated].argmax(axis=1)
    return classes


def equal_width_classes(score01: FloatArray, levels: int) -> IntArray:
    """The equally wide interval of [0, 1] that each score lies in, the upper end in the last; -1 for NaN.

    A score on a boundary belongs to the class above; scores beyond the scale belong to the first or last class.
    """
    if levels < 2:
        raise InputError(f"{levels} classes; expected two or more.")
    known = ~np.isnan(score01)
    classes = np.full(len(score01), UNKNOWN, dtype=np.int64)
    classes[known] = np.clip(np.floor(score01[known] * levels), 0, levels - 1).astype(np.int64)
    return classes
