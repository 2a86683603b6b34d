"""Where the best logistic curve lies: Newton steps from places that `grid.py` suggests.

The curve is linear in its two levels, so only centre and width are searched (variable projection). What is
maximised is the correlation of g((z - centre)/width) with the scores, in its logarithm, which stays well
scaled when the relation is weak. Widths are steps on a logarithmic axis and centres are moved in units of the
width, so that neither the scale of the predictions nor an outlier among them matters.

An exponential curve is the logistic one whose centre lies `PIN` widths beyond the last prediction and moves
with the width: such a place is pinned to that end, and only its width is searched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ssliqa_bench.evaluation.curves import STEEPEST
from ssliqa_bench.types import FloatArray, IntArray

# exp(-40) is below the rounding of 1, so a pinned logistic curve is exponential to the last digit.
PIN = 40.0
# The box on standardised predictions. Wider than this is a straight line, further out an exponential curve,
# narrower than this share of the smallest gap a step: all three are fitted on their own.
WIDEST = 1e4
OUTSIDE = 15.0
NARROWEST = 0.02
# The smallest width that a curve is given.
TINY = 1e-300

# Pooling: single points at either end, and what share of its surroundings makes a gap wide.
_ENDS = 12
_WIDE_GAP = 0.3
# A climb takes the value as exact for gains down to here, and ends for good at a gain of nothing.
_BELOW_ROUNDING = 1e-12
_NOTHING = 1e-24
# A ridge is followed from this log width down, in steps of 1.
_RIDGE_TOP = 2.0
_RIDGE_STEPS = 16


@dataclass(frozen=True)
class Sample:
    """Distinct standardised predictions in increasing order, shape (m,), each with its share of the images
    (summing to 1) and the mean of its standardised scores (weighted mean 0)."""

    z: FloatArray
    weight: FloatArray
    score: FloatArray

    def __len__(self) -> int:
        return len(self.z)

    @cached_property
    def ends(self) -> tuple[float, float, float]:
        """The smallest prediction, the one half-way between, the largest."""
        bottom, top = float(self.z[0]), float(self.z[-1])
        return bottom, bottom / 2 + top / 2, top

    @cached_property
    def pull(self) -> FloatArray:
        """Weighted scores."""
        return self.weight * self.score

    @cached_property
    def log_widths(self) -> tuple[float, float]:
        """The narrowest and the widest curve that is looked at."""
        return math.log(max(float(np.diff(self.z).min()) * NARROWEST, TINY)), math.log(WIDEST)

    def pooled(self, size: int) -> Sample:
        """About `size` points: the ends as they are, neighbours between them averaged in equal numbers."""
        if len(self) <= size:
            return self
        starts = pool_starts(self.z, size)
        weight = np.add.reduceat(self.weight, starts)
        return Sample(np.add.reduceat(self.weight * self.z, starts) / weight, weight,
                      np.add.reduceat(self.weight * self.score, starts) / weight)


def pool_starts(z: FloatArray, size: int) -> IntArray:
    """Where about `size` runs of more increasing values (m,) start: single values at the ends, equal numbers between.

    No run spans a gap that is wide for its surroundings, so clusters stay what they are.
    """
    count = len(z)
    place = np.arange(count - 1)
    around = z[np.minimum(place + 1 + _ENDS, count - 1)] - z[np.maximum(place - _ENDS, 0)]
    share = np.diff(z) / around
    wide = np.flatnonzero(share > _WIDE_GAP)
    wide = wide[np.argsort(-share[wide], kind="stable")[:size // 4]]
    inner = np.linspace(_ENDS, count - _ENDS, size - 2 * _ENDS + 1).astype(np.int64)
    return np.unique(np.concatenate([place[:_ENDS], inner, place[-_ENDS:] + 1, wide + 1]))


class SearchPoint(NamedTuple):
    """One curve. Its centre lies `lag` widths from the anchor; `value` is its log correlation with the scores.

    The anchor is where the data see the curve rise. With it held fixed, the ridges along which curves hardly
    differ (towards exponential curves and lines, between clusters) are straight.
    """

    anchor: float
    lag: float
    log_width: float
    value: float = -math.inf

    @property
    def centre(self) -> float:
        """Where the logistic curve is half-way up."""
        return self.anchor + self.lag * math.exp(self.log_width)

    @property
    def pinned(self) -> bool:
        """Whether the curve is exponential: its lag stays what it is."""
        return abs(self.lag) == PIN


class Hill(NamedTuple):
    """A place with the slope and the curvature of the value there, by lag and by log width."""

    place: SearchPoint
    slope: tuple[float, float] = (0.0, 0.0)
    bend: tuple[float, float, float] = (0.0, 0.0, 0.0)


def climb(sample: Sample, start: SearchPoint, *, tolerance: float, iterations: int, beaten: float) -> SearchPoint:
    """The maximum above a place, by Newton steps in a trust region.

    The last step is the first that is expected to gain less than `tolerance`, counted in the share of the
    variance that the curve leaves: the closer the fit, the finer. A climb on its way to an exponential curve,
    a line or a step is given up while it is below the value `beaten` of another curve.
    """
    lowest, highest = sample.log_widths
    here = survey(sample, start._replace(log_width=min(max(start.log_width, lowest), highest)))
    radius = 1.0
    for _ in range(iterations):
        place = here.place
        if place.value == -math.inf:
            break
        move, widen, expected = _newton_step(here.slope, here.bend, radius)
        last = expected <= max(tolerance * -math.expm1(2.0 * min(place.value, 0.0)), _NOTHING)
        log_width = min(max(place.log_width + widen, lowest), highest)
        there = _survey_within(sample, place, 0.0 if place.pinned else move, log_width)
        if expected < _BELOW_ROUNDING:
            # The value says no more; the slopes still do.
            if there.place.value > place.value - 1e-14 and _newton_step(there.slope, there.bend, 1.0)[2] < expected / 2:
                here = there
                if not last:
                    continue
            break
        if not (last or place.pinned):
            there = _back_onto_ridge(sample, there, place.value + 0.25 * expected)
        gain = there.place.value - place.value
        length = math.hypot(move, widen)
        if gain < 0.25 * expected:
            radius = length / 4.0
        elif gain > 0.75 * expected:
            radius = min(max(2.0 * length, radius), 4.0)
        if gain > 0.0:
            here = there
        if last or radius < 1e-8 or (here.place.value < beaten and _leaves(sample, here)):
            break
    return here.place


def _back_onto_ridge(sample: Sample, hill: Hill, enough: float) -> Hill:
    """A hill at the same width, its lag improved until the value is enough: ridges are curved, and a straight
    step is judged by where it lands after that."""
    for _ in range(2):
        if hill.place.value > enough or hill.bend[0] >= 0.0:
            break
        better = _survey_within(sample, hill.place, min(max(-hill.slope[0] / hill.bend[0], -1.0), 1.0),
                                hill.place.log_width)
        if better.place.value <= hill.place.value:
            break
        hill = better
    return hill


def _leaves(sample: Sample, hill: Hill) -> bool:
    """Whether the way up leads to an exponential curve, a step or a line, which are fitted on their own.

    On such a way the value is a function of exp(-t) for large t, t being the size of the lag or the log width;
    as a parabola in exp(-t) it has its top at t = ∞, or nearer, as its slope and curvature say.
    """
    place, (by_lag, by_width), (lag_twice, mixed, width_twice) = hill
    if abs(place.lag) > 3.0 and width_twice < 0.0:
        slope = (by_lag - mixed * by_width / width_twice) * math.copysign(1.0, place.lag)
        if slope > 0.0 and lag_twice - mixed * mixed / width_twice + 2.0 * slope >= 0.0:
            return True
    if place.log_width > math.log(sample.ends[2] - sample.ends[0]) and lag_twice < 0.0:
        slope = by_width - mixed * by_lag / lag_twice
        return slope > 0.0 and width_twice - mixed * mixed / lag_twice + 2.0 * slope >= 0.0
    return False


def _survey_within(sample: Sample, place: SearchPoint, move: float, log_width: float) -> Hill:
    """The hill at a step from a place, its centre kept in the box."""
    lag = place.lag
    if not place.pinned:
        width = math.exp(log_width)
        lag = min(max(lag + move, (sample.ends[0] - place.anchor) / width - OUTSIDE),
                  (sample.ends[2] - place.anchor) / width + OUTSIDE)
    return survey(sample, SearchPoint(place.anchor, lag, log_width))


def along_ridge(sample: Sample, start: SearchPoint) -> list[SearchPoint]:
    """Places at the local maxima over the width, the lag being the best for each width.

    Between clusters of predictions the lag is settled to many digits by the levels of the clusters, and the
    width hardly at all: there a grid does not see which width is best.
    """
    start = start._replace(log_width=min(start.log_width, _RIDGE_TOP))
    lowest, highest = max(sample.log_widths[0], start.log_width - _RIDGE_STEPS), _RIDGE_TOP
    found: list[SearchPoint] = []
    for step in (-1.0, 1.0):
        place = start
        while lowest < place.log_width + step < highest:
            hill = survey(sample, place._replace(log_width=place.log_width + step))
            hill = _back_onto_ridge(sample, hill, math.inf)
            if hill.place.value == -math.inf:
                break
            place = hill.place
            found.append(place)
    found = sorted([survey(sample, start).place, *found], key=lambda place: place.log_width)
    value = [-math.inf, *(place.value for place in found), -math.inf]
    # Of a plateau, its edges: where one neighbour is lower.
    return [place for k, place in enumerate(found)
            if value[k + 1] >= max(value[k], value[k + 2]) and value[k + 1] > min(value[k], value[k + 2]) + 1e-13]


def free_place(sample: Sample, centre: float, width: float, value: float) -> SearchPoint:
    """The place of a curve given by centre and width."""
    width = max(width, TINY)
    end = min(max(centre, sample.ends[0]), sample.ends[2])
    return SearchPoint(end, min(max((centre - end) / width, -OUTSIDE), OUTSIDE), math.log(width), value)


def survey(sample: Sample, place: SearchPoint) -> Hill:
    """The log correlation at a place, with its first and second derivatives (lag twice, mixed, width twice).

    The anchor of the place returned is the mean of the data, weighted by the slope of the curve there. The value
    is -inf where the correlation is not positive.
    """
    _, lag, log_width, _ = place
    anchor = place.anchor
    upper = place.centre >= sample.ends[1]
    terms = np.empty((6, len(sample)))
    g, by_lag, by_width, lag_twice, mixed, width_twice = terms
    u = (sample.z - anchor) * math.exp(-log_width)
    u -= lag
    np.minimum(np.maximum(u, -STEEPEST, out=u), STEEPEST, out=u)
    # σ(u) above the middle, σ(u) - 1 below it: small where it hardly varies, so that centring keeps the digits.
    e = np.exp(-u if upper else u)
    np.divide(1.0, 1.0 + e, out=g)
    e *= g
    np.multiply(g, e, out=by_lag)
    if not place.pinned:
        seen = by_lag * sample.weight
        total = float(seen.sum())
        if total > TINY:
            mean = float(seen @ u) / total
            anchor, lag = anchor + (lag + mean) * math.exp(log_width), -mean
    u += lag
    np.multiply(by_lag, e - g, out=lag_twice)
    if not upper:
        np.negative(g, out=g)
        np.negative(lag_twice, out=lag_twice)
    np.negative(by_lag, out=by_lag)
    np.multiply(by_lag, u, out=by_width)
    np.multiply(lag_twice, u, out=mixed)
    np.subtract(mixed, by_lag, out=width_twice)
    width_twice *= u
    terms -= (terms @ sample.weight)[:, None]
    a, a0, a1, a00, a01, a11 = (terms @ sample.pull).tolist()
    norms = ((terms[:3] * sample.weight) @ terms.T).tolist()
    b, b0, b1, b00, b01, b11 = norms[0]
    if not (a > 0.0 and b > 0.0):
        return Hill(place._replace(value=-math.inf))
    here = SearchPoint(anchor, lag, log_width, math.log(a) - 0.5 * math.log(b))
    a0, a1, b0, b1 = a0 / a, a1 / a, b0 / b, b1 / b
    bend_by_width = a11 / a - a1 * a1 - (norms[2][2] + b11) / b + 2.0 * b1 * b1
    if place.pinned:
        return Hill(here, (0.0, a1 - b1), (-1.0, 0.0, bend_by_width))
    return Hill(here, (a0 - b0, a1 - b1), (
        a00 / a - a0 * a0 - (norms[1][1] + b00) / b + 2.0 * b0 * b0,
        a01 / a - a0 * a1 - (norms[1][2] + b01) / b + 2.0 * b0 * b1,
        bend_by_width))


def _newton_step(slope: tuple[float, float], bend: tuple[float, float, float],
                 radius: float) -> tuple[float, float, float]:
    """An uphill step no longer than the radius, and the gain that the quadratic model expects of it.

    The Hessian is used with the sizes of its eigenvalues: uphill in every direction, however the surface bends.
    """
    p, q = slope
    a, b, c = bend
    half = math.hypot((a - c) / 2.0, b)
    upper, lower = (a + c) / 2.0 + half, (a + c) / 2.0 - half
    f_upper, f_lower = 1.0 / max(abs(upper), 1e-12), 1.0 / max(abs(lower), 1e-12)
    tilt = (f_upper - f_lower) / (upper - lower) if upper > lower else 0.0
    level = f_upper - tilt * upper
    x = level * p + tilt * (a * p + b * q)
    y = level * q + tilt * (b * p + c * q)
    length = math.hypot(x, y)
    if length > radius:
        x, y = x * radius / length, y * radius / length
    return x, y, p * x + q * y + 0.5 * (a * x * x + 2.0 * b * x * y + c * y * y)
