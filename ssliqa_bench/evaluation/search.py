"""Where the best logistic curve lies: a grid that follows the data, then Newton steps from its peaks.

The curve is linear in its two levels, so only centre and width are searched (variable projection). What is
maximised is the correlation of g((z - centre)/width) with the scores, in its logarithm, which stays well
scaled when the relation is weak. Widths are steps on a logarithmic axis and centres are moved in units of the
width, so that neither the scale of the predictions nor an outlier among them matters.

An exponential curve is the logistic one whose centre stands `PIN` widths beyond the last prediction and moves
with the width: such a place is pinned to that end, and only its width is searched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.evaluation.curves import STEEPEST
from ssliqa_bench.types import FloatArray, IntArray

# exp(-40) is below the rounding of 1, so a pinned logistic curve is exponential to the last digit.
PIN = 40.0
# The box on standardised predictions. Wider than this is a straight line, further out an exponential curve,
# narrower than this share of the smallest gap a step: all three are fitted on their own.
WIDEST = 1e4
OUTSIDE = 15.0
NARROWEST = 0.02

_TINY = 1e-300
_ENDS = 12
_WIDE_GAP = 0.3
_GAPS = 24
_CENTRES = 41


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
        return math.log(max(float(np.diff(self.z).min()) * NARROWEST, _TINY)), math.log(WIDEST)

    def pooled(self, size: int) -> Sample:
        """About `size` points: the ends as they are, neighbours between them averaged in equal numbers.

        Nothing is averaged across a gap that is wide for its surroundings, so clusters stay what they are.
        """
        count = len(self)
        if count <= size:
            return self
        place = np.arange(count - 1)
        around = self.z[np.minimum(place + 1 + _ENDS, count - 1)] - self.z[np.maximum(place - _ENDS, 0)]
        share = np.diff(self.z) / around
        wide = np.flatnonzero(share > _WIDE_GAP)
        wide = wide[np.argsort(-share[wide], kind="stable")[:size // 4]]
        inner = np.linspace(_ENDS, count - _ENDS, size - 2 * _ENDS + 1).astype(np.int64)
        starts = np.unique(np.concatenate([place[:_ENDS], inner, place[-_ENDS:] + 1, wide + 1]))
        weight = np.add.reduceat(self.weight, starts)
        return Sample(np.add.reduceat(self.weight * self.z, starts) / weight, weight,
                      np.add.reduceat(self.weight * self.score, starts) / weight)


class Place(NamedTuple):
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

    place: Place
    slope: tuple[float, float] = (0.0, 0.0)
    bend: tuple[float, float, float] = (0.0, 0.0, 0.0)


def climb(sample: Sample, start: Place, *, tolerance: float, iterations: int, beaten: float) -> Place:
    """The maximum above a place, by Newton steps in a trust region.

    The last step is the first that is expected to gain less than `tolerance`, counted in the share of the
    variance that the curve leaves: the closer the fit, the finer. A climb on its way to an exponential curve or
    a line is given up while it is below the value `beaten` of another curve.
    """
    lowest, highest = sample.log_widths
    here = survey(sample, start._replace(log_width=min(max(start.log_width, lowest), highest)))
    radius = 1.0
    for _ in range(iterations):
        place = here.place
        if place.value == -math.inf:
            break
        move, widen, expected = _newton_step(here.slope, here.bend, radius)
        last = expected <= max(tolerance * -math.expm1(2.0 * min(place.value, 0.0)), 1e-16)
        log_width = min(max(place.log_width + widen, lowest), highest)
        there = _survey_within(sample, place, 0.0 if place.pinned else move, log_width)
        if not (last or place.pinned):
            # Ridges are curved: step back onto the ridge before the step is judged.
            for _ in range(2):
                if there.place.value - place.value > 0.25 * expected or there.bend[0] >= 0.0:
                    break
                back = min(max(-there.slope[0] / there.bend[0], -1.0), 1.0)
                again = _survey_within(sample, there.place, back, log_width)
                if again.place.value <= there.place.value:
                    break
                there = again
        gain = there.place.value - place.value
        length = math.hypot(move, widen)
        if gain < 0.25 * expected:
            radius = length / 4.0
        elif gain > 0.75 * expected:
            radius = min(max(2.0 * length, radius), 4.0)
        if gain > 0.0 or (last and gain > -1e-15):
            here = there
        if last or radius < 1e-8 or (here.place.value < beaten and _leaves(sample, here)):
            break
    return here.place


def _leaves(sample: Sample, hill: Hill) -> bool:
    """Whether the way up leads to an exponential curve or to a line, which are fitted on their own.

    On such a way the value is a function of exp(-t) for large t, t being the outward lag or the log width; as a
    parabola in exp(-t) it has its top at t = ∞, or nearer, as its slope and curvature say.
    """
    place, (by_lag, by_width), (lag_twice, mixed, width_twice) = hill
    bottom, _, top = sample.ends
    outside = max(place.centre - top, bottom - place.centre) / math.exp(place.log_width)
    if outside > 2.0 and width_twice < 0.0:
        slope = (by_lag - mixed * by_width / width_twice) * math.copysign(1.0, place.centre - bottom)
        if slope > 0.0 and lag_twice - mixed * mixed / width_twice + 2.0 * slope >= 0.0:
            return True
    if place.log_width > math.log(top - bottom) and lag_twice < 0.0:
        slope = by_width - mixed * by_lag / lag_twice
        return slope > 0.0 and width_twice - mixed * mixed / lag_twice + 2.0 * slope >= 0.0
    return False


def _survey_within(sample: Sample, place: Place, move: float, log_width: float) -> Hill:
    """The hill at a step from a place, its centre kept in the box."""
    lag = place.lag
    if not place.pinned:
        width = math.exp(log_width)
        lag = min(max(lag + move, (sample.ends[0] - place.anchor) / width - OUTSIDE),
                  (sample.ends[2] - place.anchor) / width + OUTSIDE)
    return survey(sample, Place(place.anchor, lag, log_width))


def survey(sample: Sample, place: Place) -> Hill:
    """The log correlation at a place, with its first and second derivatives (lag twice, mixed, width twice).

    The anchor of the place returned is the mean of the data, weighted by the slope of the curve there. The value
    is -inf where the correlation is not positive.
    """
    _, lag, log_width, _ = place
    anchor = place.anchor
    upper = place.centre >= sample.ends[1]
    terms = np.empty((6, len(sample)))
    g, by_lag, by_width, lag_twice, mixed, width_twice = terms
    with np.errstate(over="ignore"):
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
        if total > _TINY:
            mean = float(seen @ sample.z) / total
            anchor, lag = mean, lag + (anchor - mean) * math.exp(-log_width)
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
    here = Place(anchor, lag, log_width, math.log(a) - 0.5 * math.log(b))
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


def grid_peaks(sample: Sample, *, count: int) -> list[Place]:
    """Free places at the best local maxima of a grid, looked at more closely, and pinned ones of both ends.

    Centres stand at the data, widths are distances to the k-th neighbour, so that the grid is as fine as the
    data wherever they are dense. Best first.
    """
    z, size = sample.z, len(sample)
    if size <= 32:
        pairs = np.repeat(np.arange(size), 2)
        low, high = pairs[:-1], pairs[1:]
    else:
        low = high = np.unique(np.linspace(0, size - 1, _CENTRES).astype(np.int64))
    neighbours = np.unique(np.geomspace(1, size, 13).astype(np.int64))
    reach = (z[np.minimum(high + neighbours[:, None], size - 1)] - z[np.maximum(low - neighbours[:, None], 0)]) / 4
    width = np.concatenate([reach[:1] / 6, reach, reach[-1:] * 3, reach[-1:] * 9])
    centre = np.broadcast_to((z[low] + z[high]) / 2, width.shape)
    beyond_centre, beyond_width = _beyond_ends(z, neighbours)
    gap_centre, gap_width = _in_gaps(z)
    centres = np.concatenate([centre.ravel(), beyond_centre, gap_centre])
    widths = np.concatenate([width.ravel(), beyond_width, gap_width])
    value = grid_values(sample, centres, widths)

    inner = width.size
    best = [*_peaks(value[:inner].reshape(width.shape))[:count],
            *(inner + _highest(value[inner:inner + len(beyond_width)], 2)),
            *(inner + len(beyond_width) + _highest(value[inner + len(beyond_width):], count // 2))]
    near = np.linspace(-1.2, 1.2, 5)
    widths = widths[best][:, None, None] * np.exp(near / 2)
    centres = centres[best][:, None, None] + widths * near[:, None]
    widths = np.broadcast_to(widths, centres.shape)
    value = grid_values(sample, centres.ravel(), widths.ravel()).reshape(len(best), 25)
    at = np.argmax(value, axis=1)
    found = [free_place(sample, float(c.ravel()[k]), float(w.ravel()[k]), float(v[k]))
             for c, w, v, k in zip(centres, widths, value, at) if np.isfinite(v[k])]
    return sorted(found + _hung(sample, neighbours), key=lambda place: -place.value)


def free_place(sample: Sample, centre: float, width: float, value: float) -> Place:
    """The place of a curve given by centre and width."""
    width = max(width, _TINY)
    end = min(max(centre, sample.ends[0]), sample.ends[2])
    return Place(end, min(max((centre - end) / width, -OUTSIDE), OUTSIDE), math.log(width), value)


def _beyond_ends(z: FloatArray, neighbours: IntArray) -> tuple[FloatArray, FloatArray]:
    """Centres beyond both ends, with their widths: nearly exponential curves."""
    centre, width = [], []
    for end, sign in ((float(z[-1]), 1.0), (float(z[0]), -1.0)):
        scale = np.abs(end - z[::int(-sign)][np.minimum(neighbours, len(z) - 1)])
        scale = np.concatenate([scale / 3, scale[-1:] * np.array([1.0, 3.0])])
        for offset in (2.0, 6.0):
            centre.append(end + sign * offset * scale)
            width.append(scale)
    return np.concatenate(centre), np.concatenate(width)


def _in_gaps(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centres in wide gaps, with widths between the size of the cluster they lean on and that of the gap."""
    size = len(z)
    gap = np.diff(z)
    place = np.arange(size - 1)
    reach = 1 + size // 40
    centre, width = [np.empty(0)], [np.empty(0)]
    offsets = np.array([0.0, 1.0, 2.5, 5.0])[:, None]
    for near, far, sign in ((place, place - reach, 1.0), (place + 1, place + 1 + reach, -1.0)):
        inside = (far >= 0) & (far < size)
        local = np.where(inside, np.abs(z[near] - z[np.clip(far, 0, size - 1)]), np.inf)
        ratio = gap / local
        for j in _highest(ratio, _GAPS):
            if ratio[j] < 6.0:
                break
            widths = np.geomspace(local[j], gap[j], 2 + int(np.log(ratio[j])))
            centre.append((z[near[j]] + sign * offsets * widths).ravel())
            width.append(np.tile(widths, len(offsets)))
    return np.concatenate(centre), np.concatenate(width)


def _hung(sample: Sample, neighbours: IntArray) -> list[Place]:
    """The best places pinned to either end, on a grid of widths."""
    found = []
    for pin in (PIN, -PIN):
        distance = sample.z[-1] - sample.z[::-1] if pin > 0 else sample.z - sample.z[0]
        scale = distance[np.minimum(neighbours, len(sample) - 1)]
        width = np.maximum(np.concatenate([scale[:1] / 10, scale / 3, scale[-1:] * np.array([1.0, 3.0, 9.0])]), _TINY)
        with np.errstate(over="ignore"):
            shape = np.exp((-distance / width[:, None]).astype(np.float32))
        if pin > 0:
            score, weight = sample.score[::-1], sample.weight[::-1]
        else:
            score, weight, shape = sample.score, sample.weight, -shape
        value = _log_correlation(shape, weight, score)
        end = sample.ends[2] if pin > 0 else sample.ends[0]
        found += [Place(end, pin, math.log(width[k]), float(value[k])) for k in _peaks(value[:, None])[:2]]
    return found


def grid_values(sample: Sample, centre: FloatArray, width: FloatArray) -> FloatArray:
    """Log correlation for many centres and widths, without derivatives; -inf where it is not positive."""
    with np.errstate(over="ignore"):
        shape = sample.z - centre[:, None]
        shape *= (0.5 / np.maximum(width, _TINY))[:, None]
        # Single precision ranks places well enough, in half the time.
        single = shape.astype(np.float32)
    return _log_correlation(np.tanh(single, out=single), sample.weight, sample.score)


def _log_correlation(shape: NDArray[np.float32], weight: FloatArray, score: FloatArray) -> FloatArray:
    """Log of the correlation of each row with the scores, up to what pooling hides; `shape` is overwritten."""
    sides = np.stack([weight, weight * score], axis=1).astype(np.float32)
    mean, a = (shape @ sides).astype(np.float64).T
    b = np.square(shape, out=shape) @ sides[:, 0] - mean * mean
    good = (a > 0) & (b > 1e-6)
    return np.where(good, np.log(np.where(good, a, 1.0)) - 0.5 * np.log(np.where(good, b, 1.0)), -np.inf)


def _peaks(value: FloatArray) -> IntArray:
    """Flat indices of the local maxima of a table, highest first."""
    rows, columns = value.shape
    padded = np.full((rows + 2, columns + 2), -np.inf)
    padded[1:-1, 1:-1] = value
    tall = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    around = np.maximum(np.maximum(tall[:, :-2], tall[:, 1:-1]), tall[:, 2:])
    at = np.flatnonzero((value >= around) & (value > -np.inf))
    return at[np.argsort(-value.ravel()[at], kind="stable")]


def _highest(value: FloatArray, count: int) -> IntArray:
    """Indices of the highest values, highest first."""
    return np.argsort(-value, kind="stable")[:count]
