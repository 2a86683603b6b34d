"""Predictions and scores as two finite columns of equal length."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.types import FloatArray


def paired(pred: Any, scores: Any, *, minimum: int = 2) -> tuple[FloatArray, FloatArray]:
    """Predictions and scores as float64 vectors of one length, checked.

    Raises:
        InputError: not numeric, not one-dimensional, different lengths, fewer than `minimum` values, or a
            value that is not finite.
    """
    columns = []
    for name, values in (("predictions", pred), ("scores", scores)):
        try:
            column = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: expected numbers ({error}).") from error
        if column.ndim != 1:
            raise InputError(f"{name}: got an array of shape {column.shape}; expected shape (n,).")
        columns.append(column)
    predicted, given = columns
    if len(predicted) != len(given):
        raise InputError(f"Got {len(predicted)} predictions and {len(given)} scores; expected one of each per image.")
    if len(given) < minimum:
        raise InputError(f"Got {len(given)} predictions with a score; expected at least {minimum}.")
    for name, column in (("predictions", predicted), ("scores", given)):
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            raise InputError(f"{name}: {len(bad)} of {len(column)} values are not finite "
                             f"(first: {column[bad[0]]} at position {bad[0]}).")
    return predicted, given
