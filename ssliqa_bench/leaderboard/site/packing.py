"""Numbers of the site in few bytes: steps of 16 bits between two ends, as text that every browser decodes."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_STEPS = 65_535
# Shorter columns take no less space packed.
_SHORTEST = 12
# Numbers that share a step become equal. Where more do, an outlier squeezes the rest and the numbers are written out.
_CROWD = 4


def short(value: float, digits: int = 6) -> float:
    """A number with some significant digits, which is enough to draw and to compare."""
    found = float(f"{value:.{digits}g}")
    return int(found) if found.is_integer() else found


def pack(values: Sequence[float], digits: int = 6) -> list[Any]:
    """Numbers as `[low, high, text]`: little-endian steps of 16 bits from low to high in Base64; `site.js` unpacks it.

    The error is at most a 131,070th of the range. Columns that this would not shorten, or in which it would make
    many different numbers equal, are a plain list of numbers with some significant digits.

    Args:
        values: finite numbers.
        digits: of the numbers of a plain list.
    """
    plain: list[Any] = [short(value, digits) for value in values]
    if len(values) < _SHORTEST:
        return plain
    low, high = min(values), max(values)
    if not high > low or not math.isfinite(high - low):
        return plain
    steps = np.rint((np.asarray(values, dtype=np.float64) - low) / (high - low) * _STEPS).astype("<u2")
    different = np.unique(np.stack([steps.astype(np.float64), np.asarray(values)]), axis=1)[0]
    if np.unique(different, return_counts=True)[1].max() > _CROWD + len(values) // 200:
        return plain
    return [short(low, 9), short(high, 9), _text(steps)]


def pack_places(values: Sequence[int]) -> list[Any]:
    """Places from 0 to 65,535 in the same form, without any error; a plain list where one is higher."""
    if len(values) < _SHORTEST or max(values) > _STEPS:
        return list(values)
    return [0, _STEPS, _text(np.asarray(values, dtype="<u2"))]


def _text(steps: Any) -> str:
    return base64.b64encode(steps.tobytes()).decode("ascii")
