"""The mapping from predictions to opinion scores before PLCC and RMSE, with a status that says what was fitted.

Of all increasing four-parameter logistic curves and of their limits (straight line, step, exponential) the one
with the least squared error is taken. On five or more finite values nothing raises, the straight line is never
better, and no decreasing curve is ever fitted: a negative relation stays visible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ssliqa_bench.errors import unknown_name
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.evaluation.constants import MINIMUM_MAPPING
from ssliqa_bench.evaluation.curves import Curve, Exponential, Logistic, Step, StraightLine, Units
from ssliqa_bench.evaluation.grid import grid_peaks, is_clustered
from ssliqa_bench.evaluation.search import Sample, SearchPoint, along_ridge, climb, free_place, survey
from ssliqa_bench.types import FloatArray

MappingStatus = Literal["ok", "linear", "step", "exponential", "flat", "none"]
KINDS = ("logistic4", "logistic5", "linear", "none")

# The first search looks at the images pooled to so many, coarsely and finely: what is a hill in the one may be hidden
# in the other. The best few of either are finished on all images.
_POOLED = (128, 512)
# A limit is named instead of a logistic curve that is no better than this.
_SAME_ERROR = 1e-10
_SAME_CORRELATION = 1e-11
# 1 - r² is 1 in float64: no curve beats the constant.
NO_CORRELATION = 1.5e-8
# What is too large or too small for float64 becomes infinite or zero, and is meant to.
_QUIET = np.errstate(over="ignore", under="ignore")
_PREFERENCE: tuple[MappingStatus, ...] = ("linear", "exponential", "step", "ok")


@dataclass(frozen=True)
class Mapping:
    """A fitted curve.

    Attributes:
        kind: what was asked for.
        status: what was fitted: `ok` (the curve of that name), its limits `linear`, `step`, `exponential`,
            `flat` (no increasing curve beats the constant) or `none` (identity).
        params: the parameters in the units of predictions and scores. logistic4 `ok`: b1, b2, b3, b4;
            logistic5 `ok`: b1 to b5; linear: slope, intercept; step: threshold, low, middle, high; exponential:
            base, rise, anchor, width of base + rise·exp((x - anchor)/width); flat: level.
    """

    kind: str
    status: MappingStatus
    params: dict[str, float]
    _curve: Curve | None = field(default=None, repr=False)
    _units: Units | None = field(default=None, repr=False)

    @_QUIET
    def apply(self, x: Any) -> FloatArray:
        """The mapped values of predictions of any shape, in the units of the scores."""
        values = np.asarray(x, dtype=np.float64)
        if self._curve is None or self._units is None:
            return values.copy()
        return self._units.score(self._curve.value(self._units.standardise(values)))


@dataclass(frozen=True)
class FittedCurve:
    """A curve with its correlation and its mean squared error on the standardised scores, of variance 1."""

    status: MappingStatus
    curve: Curve
    correlation: float
    error: float


@_QUIET
def fit_mapping(pred: Any, scores: Any, *, kind: str = "logistic4") -> Mapping:
    """The increasing curve that takes predictions to opinion scores with the least squared error.

    Args:
        pred: predicted quality, shape (n,), higher is better, any scale and offset.
        scores: opinion scores, shape (n,), higher is better, in dataset units.
        kind: `logistic4`: (b1 - b2)/(1 + exp(-(x - b3)/b4)) + b2 with b1 ≥ b2, b4 > 0; `logistic5`:
            b1·(1/2 - 1/(1 + exp(b2·(x - b3)))) + b4·x + b5, increasing everywhere; `linear`; `none`: identity.

    Raises:
        InputError: shapes differ, a value is not finite, n < 5 (n < 2 for `none`), or an unknown kind.

    Source: VQEG, final report on the validation of objective models of video quality assessment, phase I
    (2000; logistic4) and phase II (2003); Sheikh, Sabir, Bovik (2006; logistic5).
    """
    if kind not in KINDS:
        raise unknown_name("mapping", kind, KINDS, "ssliqa-bench evaluate --help")
    predicted, given = paired(pred, scores, minimum=2 if kind == "none" else MINIMUM_MAPPING)
    if kind == "none":
        return Mapping(kind, "none", {})
    return _fit(predicted, given, kind)


def _fit(pred: FloatArray, scores: FloatArray, kind: str) -> Mapping:
    units, candidates = candidates_of(pred, scores, kind)
    if max((c.correlation for c in candidates), default=0.0) <= NO_CORRELATION:
        return _flat(kind, units)
    best = _choose(candidates)
    if kind == "logistic5" and isinstance(best.curve, Logistic):
        return Mapping(kind, best.status, best.curve.params_with_slope(units), best.curve, units)
    return Mapping(kind, best.status, best.curve.params(units), best.curve, units)


@_QUIET
def candidates_of(pred: FloatArray, scores: FloatArray, kind: str) -> tuple[Units, list[FittedCurve]]:
    """The units, and the local optima among the increasing curves of a kind; none where either side is constant.

    Args:
        pred, scores: shape (n,), float64, finite.
        kind: `logistic4`, `logistic5` or `linear`.
    """
    units, z, y = _standardised(pred, scores)
    sample, spread_at_ties = _sample(z, y)
    if len(sample) < 2 or units.spread == 0:
        return units, []
    candidates = [_line(sample, spread_at_ties)]
    if kind == "linear":
        return units, candidates
    steps = _steps(sample, spread_at_ties)
    # Any increasing curve is a mixture of steps: where no step correlates, none does.
    if max((c.correlation for c in steps), default=0.0) <= NO_CORRELATION:
        return units, []
    candidates += steps
    candidates += _logistic(sample, spread_at_ties, candidates)
    if kind == "logistic5":
        # scipy.optimize is needed for this kind alone.
        from ssliqa_bench.evaluation.logistic5 import sloped_curves

        candidates += [_candidate("ok", curve, sample, spread_at_ties) for curve in sloped_curves(sample)]
    return units, candidates


def _candidate(status: MappingStatus, curve: Curve, sample: Sample, spread_at_ties: float) -> FittedCurve:
    """A curve together with how well it does; its levels are taken as they are."""
    value = curve.value(sample.z)
    error = float(np.dot(sample.weight, (sample.score - value) ** 2)) + spread_at_ties
    deviation = value - float(np.dot(sample.weight, value))
    norm = float(np.sqrt(np.dot(sample.weight, deviation * deviation)))
    along = float(np.dot(sample.weight * sample.score, deviation))
    return FittedCurve(status, curve, along / norm if norm > 0 else 0.0, error)


def _regress(sample: Sample, shape: FloatArray) -> tuple[float, float]:
    """Base and rise of the least-squares fit of the scores by base + rise·shape."""
    mean = float(np.dot(sample.weight, shape))
    deviation = shape - mean
    norm = float(np.dot(sample.weight, deviation * deviation))
    rise = float(np.dot(sample.weight * sample.score, deviation)) / norm if norm > 0 else 0.0
    return -rise * mean, rise


def _standardised(pred: FloatArray, scores: FloatArray) -> tuple[Units, FloatArray, FloatArray]:
    """The units, predictions in increasing order as z, and the scores of mean 0 and variance 1 in that order."""
    order = np.argsort(pred)
    pred, scores = pred[order], scores[order]
    exponent = int(np.frexp(max(abs(pred[0]), abs(pred[-1])))[1])
    scaled = np.ldexp(pred, -exponent)
    location = float(scaled[len(scaled) // 2])
    scale = _deviation(scaled - location)
    power = int(np.frexp(np.abs(scores).max())[1])
    small = np.ldexp(scores, -power)
    mean = float(small.mean())
    mean += float((small - mean).mean())
    spread = _deviation(small - mean) if scores.min() != scores.max() else 0.0
    units = Units(exponent, location, scale or 1.0, float(np.ldexp(mean, power)), float(np.ldexp(spread, power)))
    return units, units.standardise(pred), (small - mean) / (spread or 1.0)


def _deviation(values: FloatArray) -> float:
    """Population standard deviation without overflow or underflow."""
    top = float(np.abs(values).max())
    if top == 0:
        return 0.0
    values = values / top
    return float(np.sqrt(np.mean((values - values.mean()) ** 2))) * top


def _sample(z: FloatArray, y: FloatArray) -> tuple[Sample, float]:
    """Ties in the predictions drawn together, and the variance of the scores that no curve can explain."""
    starts = np.flatnonzero(np.concatenate([[True], z[1:] > z[:-1]]))
    if len(starts) == len(z):
        return Sample(z, np.full(len(z), 1.0 / len(z)), y), 0.0
    counts = np.diff(np.append(starts, len(z)))
    mean = np.add.reduceat(y, starts) / counts
    rest = y - np.repeat(mean, counts)
    return Sample(z[starts], counts / len(z), mean), float(np.mean(rest * rest))


def _flat(kind: str, units: Units) -> Mapping:
    curve = StraightLine(0.0, 0.0)
    return Mapping(kind, "flat", curve.params(units), curve, units)


def _line(sample: Sample, spread_at_ties: float) -> FittedCurve:
    base, slope = _regress(sample, sample.z)
    line = StraightLine(base, slope) if slope > 0 else StraightLine(0.0, 0.0)
    return _candidate("linear", line, sample, spread_at_ties)


def _steps(sample: Sample, spread_at_ties: float) -> list[FittedCurve]:
    """The best step between two predictions, and the best with a level of its own at one prediction."""
    z, weight, score = sample.z, sample.weight, sample.score
    below = np.cumsum(weight)[:-1]
    total = np.cumsum(weight * score)[:-1]
    gain = np.where(total < 0, total * total / (below * (1.0 - below)), 0.0)
    k = int(np.argmax(gain))
    low, high = _mean(sample, 0, k + 1), _mean(sample, k + 1, len(z))
    if not low < high:
        return []
    threshold = float(z[k] / 2 + z[k + 1] / 2)
    middle = low if threshold == z[k] else high if threshold == z[k + 1] else (low + high) / 2
    found = [_candidate("step", Step(threshold, low, middle, high), sample, spread_at_ties)]
    if len(z) < 3:
        return found
    w_low, w_high = below[:-1], 1.0 - below[1:]
    m_low, m_high = total[:-1] / w_low, -total[1:] / w_high
    inner = score[1:-1]
    between = (m_low <= inner) & (inner <= m_high)
    gain = np.where(between, w_low * m_low**2 + weight[1:-1] * inner**2 + w_high * m_high**2, 0.0)
    k = int(np.argmax(gain)) + 1
    if between[k - 1]:
        curve = Step(float(z[k]), _mean(sample, 0, k), float(score[k]), _mean(sample, k + 1, len(z)))
        if curve.low <= curve.middle <= curve.high:
            found.append(_candidate("step", curve, sample, spread_at_ties))
    return found


def _mean(sample: Sample, start: int, stop: int) -> float:
    weight = sample.weight[start:stop]
    return float(np.dot(weight, sample.score[start:stop]) / weight.sum())


def _logistic(sample: Sample, spread_at_ties: float, limits: list[FittedCurve]) -> list[FittedCurve]:
    """The best logistic curves of finite width and centre, and the best exponential ones of either side.

    `limits`: line and steps, which a climb may approach and need not follow.
    """
    places: list[SearchPoint] = []
    for size in _POOLED[: 1 + sum(len(sample) > size for size in _POOLED[:-1])]:
        places += _best(_seen_from(sample.pooled(size)), 0.02, 5)
    beaten = max(math.log(limit.correlation) for limit in limits if limit.correlation > 0)
    places = _nearly_straight(sample) + _best(places + _around(sample, limits), 0.05, 8)
    places = _climb_all(sample, places, tolerance=1e-11, iterations=50, beaten=beaten)
    return [_candidate_of_place(place, sample, spread_at_ties) for place in places if place.value > -math.inf]


def _seen_from(coarse: Sample) -> list[SearchPoint]:
    """The highest places of a pooled sample."""
    places = _best(grid_peaks(coarse, count=16), 0.5, 20)
    places = _climb_all(coarse, places, tolerance=1e-2, iterations=5)
    places = _climb_all(coarse, _best(places, 0.1, 5), tolerance=1e-7, iterations=20)
    if is_clustered(coarse):
        ridges = [place for free in _best(places, 0.1, 2) if not free.pinned for place in along_ridge(coarse, free)]
        places += _climb_all(coarse, _best(ridges, 0.1, 5), tolerance=1e-7, iterations=20)
    return places


def _climb_all(sample: Sample, places: list[SearchPoint], *, tolerance: float, iterations: int,
               beaten: float = -math.inf) -> list[SearchPoint]:
    found = []
    for place in places:
        found.append(climb(sample, place, tolerance=tolerance, iterations=iterations, beaten=beaten))
        beaten = max(beaten, found[-1].value)
    return found


def _around(sample: Sample, limits: list[FittedCurve]) -> list[SearchPoint]:
    """Narrow places at the thresholds of the best steps, where a pooled search may see nothing."""
    found = []
    for step in limits:
        if isinstance(step.curve, Step) and step.correlation > 0:
            at = int(np.searchsorted(sample.z, step.curve.threshold))
            near = sample.z[max(at - 1, 0):at + 2]
            found.append(free_place(sample, step.curve.threshold, float(near[-1] - near[0]) / 6,
                                    math.log(step.correlation)))
    return found


def _nearly_straight(sample: Sample) -> list[SearchPoint]:
    """The best of some very wide places, worked out from what a parabola and a cubic take off the best straight line.

    There the curve is z + k z² + c z³ up to terms of the next order, k = (1 - 2p) / 2w and c = k² - 1 / 12w² for the
    width w and the value p of the sigmoid at z = 0; its best width and centre are a matter of the last digits,
    which no search sees.
    """
    root = np.sqrt(sample.weight)
    powers = np.vander(sample.z, 4, increasing=True)
    if len(sample) < 4:
        return []
    _, slope, k, c = np.linalg.lstsq(powers * root[:, None], sample.score * root, rcond=None)[0]
    _, slope_2, k_2 = np.linalg.lstsq(powers[:, :3] * root[:, None], sample.score * root, rcond=None)[0]
    found = []
    if slope > 0 and (k / slope) ** 2 > c / slope:
        found.append((k / slope, 1.0 / math.sqrt(12.0 * ((k / slope) ** 2 - c / slope))))
    if slope_2 > 0:
        found += [(k_2 / slope_2, math.exp(log_width)) for log_width in (4.0, 5.5, 7.0, 8.5)]
    places = [
        survey(sample, free_place(sample, width * math.log((1.0 - p) / p), width, -math.inf)).place
        for bend, width in found
        if 1e-3 < (p := 0.5 - bend * width) < 1.0 - 1e-3
    ]
    return _best(places, 0.0, 1)


def _best(places: list[SearchPoint], margin: float, count: int) -> list[SearchPoint]:
    """The best of places on different hills, in log correlation no further than a margin from the very best:
    `count` free ones, after one pinned to each end."""
    chosen: list[SearchPoint] = []
    top = max((place.value for place in places), default=-math.inf)
    for place in sorted(places, key=lambda place: -place.value):
        alike = [other for other in chosen
                 if other.pinned == place.pinned and (not place.pinned or other.lag == place.lag)]
        if (place.value >= top - margin and len(alike) < (1 if place.pinned else count)
                and not any(_same(place, other) for other in alike)):
            chosen.append(place)
    return sorted(chosen, key=lambda place: (not place.pinned, -place.value))


def _same(one: SearchPoint, other: SearchPoint) -> bool:
    """Whether two places lie on one hill, seen from their widths."""
    return (abs(one.log_width - other.log_width) < 0.3
            and abs(one.centre - other.centre) < 0.3 * math.exp(one.log_width))


def _candidate_of_place(place: SearchPoint, sample: Sample, spread_at_ties: float) -> FittedCurve:
    width = math.exp(place.log_width)
    if place.pinned:
        sign = math.copysign(1.0, place.lag)
        shape = sign * np.exp(sign * (sample.z - place.anchor) / width)
        base, rise = _regress(sample, shape)
        curve = Exponential(base, sign * rise, place.anchor, sign * width)
        return _candidate("exponential", curve, sample, spread_at_ties)
    upper = place.centre >= sample.ends[1]
    base, rise = _regress(sample, Logistic(0.0, 1.0, place.centre, width, upper).value(sample.z))
    return _candidate("ok", Logistic(base, rise, place.centre, width, upper), sample, spread_at_ties)


def _choose(candidates: list[FittedCurve]) -> FittedCurve:
    """The best candidate, or a simpler one that is as good."""
    error = min(c.error for c in candidates)
    correlation = max(c.correlation for c in candidates)
    good = [c for c in candidates if c.error <= error * (1.0 + _SAME_ERROR) + 1e-20
            and c.correlation >= correlation * (1.0 - _SAME_CORRELATION)]
    return min(good or candidates, key=lambda c: (_PREFERENCE.index(c.status), c.error))

