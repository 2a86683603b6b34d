"""The five-parameter logistic, restricted to curves that increase everywhere.

With slope c of the line and rise a of the logistic part of width w, the curve increases everywhere if c ≥ 0 and
a/(4w) + c ≥ 0. These curves are the mixtures, with weights that are not negative, of two columns: the logistic
curve, and the line from which the steepest logistic curve is taken away. So centre and width are searched and
two weights and a constant are solved for, as for the four-parameter curve.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize

from ssliqa_bench.evaluation.curves import STEEPEST, Logistic, half_logistic
from ssliqa_bench.evaluation.search import Sample
from ssliqa_bench.types import FloatArray

_STARTS = 4
_POOLED = 128
_CENTRES = 17
_WIDTHS = 10


def sloped_curves(sample: Sample) -> list[Logistic]:
    """The best increasing five-parameter curves that several starts lead to, on standardised predictions."""
    coarse = sample.pooled(_POOLED)
    z = coarse.z
    narrow, extent = _box(z)
    centres = np.unique(z[np.linspace(0, len(z) - 1, _CENTRES).astype(np.int64)])
    starts = sorted((_error(coarse, float(centre), float(width))[0], float(centre), float(width))
                    for centre in centres for width in np.geomspace(narrow, 2 * extent, _WIDTHS))
    return [_descend(sample, centre, width, narrow, extent) for _, centre, width in starts[:_STARTS]]


def refined(sample: Sample, curve: Logistic) -> Logistic:
    """The best increasing five-parameter curve near another one, on standardised predictions."""
    return _descend(sample, curve.centre, curve.width, *_box(sample.z))


def _box(z: FloatArray) -> tuple[float, float]:
    """The width of a narrow curve, and the extent of the predictions."""
    extent = float(z[-1] - z[0])
    return max(float(np.median(np.diff(z))) / 2, 1e-9 * extent), extent


def _descend(sample: Sample, centre: float, width: float, narrow: float, extent: float) -> Logistic:
    """The local optimum below a start."""
    def objective(move: FloatArray) -> tuple[float, FloatArray]:
        new_width = width * math.exp(move[1])
        error, by_lag, by_width, _ = _error(sample, centre + move[0] * width, new_width)
        return error, np.array([by_lag * width / new_width, by_width])

    bounds = [((sample.ends[0] - extent - centre) / width, (sample.ends[2] + extent - centre) / width),
              (math.log(narrow / 100 / width), math.log(4 * extent / width))]
    found = minimize(objective, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds,
                     options={"maxiter": 300, "ftol": 1e-16, "gtol": 1e-13})
    new_centre, new_width = centre + float(found.x[0]) * width, width * math.exp(float(found.x[1]))
    return _error(sample, new_centre, new_width)[3]


def _error(sample: Sample, centre: float, width: float) -> tuple[float, float, float, Logistic]:
    """Weighted squared error of the best curve of this centre and width, its derivatives by the centre in units
    of the width and by the log width, and the curve."""
    weight, score = sample.weight, sample.score
    upper = centre >= sample.ends[1]
    along = sample.z - centre
    u = np.clip(along / width, -STEEPEST, STEEPEST)
    g = half_logistic(u, upper)
    columns = np.stack([g, along - 4.0 * width * g])
    mean = columns @ weight
    centred = columns - mean[:, None]
    norms = (centred * weight) @ centred.T
    cross = centred @ sample.pull
    rise, slope = _nonnegative(norms, cross)
    rest = score - rise * centred[0] - slope * centred[1]
    pull = weight * rest
    steepness = (rise - 4.0 * width * slope) * g * ((1.0 - g) if upper else -(1.0 + g))
    by_lag = 2.0 * float(pull @ steepness)
    by_width = 2.0 * float(pull @ (steepness * u + 4.0 * width * slope * g))
    curve = Logistic(-rise * float(mean[0]) - slope * float(mean[1]), rise - 4.0 * width * slope, centre, width, upper,
                     slope)
    return float(pull @ rest), by_lag, by_width, curve


def _nonnegative(norms: FloatArray, cross: FloatArray) -> tuple[float, float]:
    """The weights of two columns, neither negative, with the least squared error."""
    (a, b), (_, c) = norms.tolist()
    p, q = cross.tolist()
    determinant = a * c - b * b
    if determinant > 1e-14 * a * c:
        first, second = (c * p - b * q) / determinant, (a * q - b * p) / determinant
        if first >= 0.0 and second >= 0.0:
            return first, second
    first = max(p / a, 0.0) if a > 0.0 else 0.0
    second = max(q / c, 0.0) if c > 0.0 else 0.0
    return (first, 0.0) if first * p >= second * q else (0.0, second)
