"""The mapping fitted again in every draw of a batch, from the curves that fit all images best.

Line and steps have closed forms. Logistic and exponential curves are climbed as in `search.py`, by Newton steps in
centre and log width with their levels projected out, for all draws at a time. The first step is the cheapest: all draws
start from one curve, so their sums are products of matrices. A draw that no start serves is fitted alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.evaluation.concordance import Counts
from ssliqa_bench.evaluation.correlations import plcc, rmse
from ssliqa_bench.evaluation.curves import STEEPEST, Exponential, Logistic, Step
from ssliqa_bench.evaluation.mapping import NO_CORRELATION, FittedCurve, candidates_of, fit_mapping
from ssliqa_bench.evaluation.resampling import Grouped
from ssliqa_bench.evaluation.search import NARROWEST, OUTSIDE, PIN, TINY, WIDEST, Sample, pool_starts
from ssliqa_bench.types import FloatArray

# More distinct predictions are pooled to about so many for the climbs: errors of curves move by a share below 5e-4 .
_POINTS = 512
# A curve is started from where its squared error is no further above the least, in units of that over the number of
# groups: a draw then prefers it in less than one case of a hundred.
_RIVAL = 25.0
# A climb ends where the next step is expected to raise the log correlation by less than this share of the variance that
# the curve leaves, or after so many steps, on a ridge towards a line or an exponential curve. It is given up where even
# so many times the gain expected of it would not beat another curve by a share of the variance that matters.
_SETTLED = 1e-7
_STEPS = 8
_HOPE = 3.0
_WORTH = 1e-4
# Two starts closer than this, in widths and in log width, lie on one hill.
_SAME = 1e-3
# Below this share of the second moment, the variance of a draw has lost its digits.
_LOST = 1e-8


@dataclass(frozen=True)
class _Start:
    """Where a climb starts; pinned ones keep their lag."""

    anchor: float
    lag: float
    log_width: float

    @property
    def pinned(self) -> bool:
        return abs(self.lag) == PIN

    @property
    def centre(self) -> float:
        return self.anchor + self.lag * math.exp(self.log_width)


class BatchMapping:
    """PLCC and RMSE after mapping of draws; what does not depend on the draw is prepared once.

    Attributes:
        kind: `logistic4`, `logistic5` or `linear`.
    """

    def __init__(self, data: Grouped, kind: str) -> None:
        self.kind = kind
        self._data = data
        self._units, candidates = candidates_of(data.x, data.y, kind)
        self._all_z = self._units.standardise(data.x)
        self._y = (data.y / 2 - self._units.mean / 2) / ((self._units.spread or 1.0) / 2)
        starts = data.ties[0].starts
        self._z = self._all_z if starts is None else self._all_z[starts]
        gap = max(float(np.diff(self._z).min(initial=np.inf)) * NARROWEST, TINY)
        self._box = (math.log(gap), math.log(WIDEST))
        self._runs = starts
        if len(self._z) > _POINTS:
            runs = pool_starts(self._z, _POINTS)
            self._z = np.add.reduceat(self._z, runs) / np.diff(np.append(runs, len(self._z)))
            self._runs = runs if starts is None else starts[runs]
        rivals = _rivals(candidates, data.count)
        self._steps = any(isinstance(c.curve, Step) for c in rivals) or not candidates
        self._sloped = next((c.curve for c in rivals if isinstance(c.curve, Logistic) and c.curve.slope), None)
        self._starts = _distinct(start for c in rivals if (start := _start(c, self._z)) is not None)

    def __call__(self, weights: Counts) -> tuple[FloatArray, FloatArray]:
        """PLCC and RMSE after mapping of every draw, weights (draws, n).

        PLCC is NaN where no increasing curve beats the constant; RMSE is the standard deviation of the scores there.
        """
        own = weights / weights.sum(axis=1, keepdims=True)
        mean_z, mean_y, zz, yy, zy = (own @ np.stack([self._all_z, self._y, self._all_z**2, self._y**2,
                                                      self._all_z * self._y], axis=1)).T
        alone = (zz - mean_z * mean_z < _LOST * zz) | (yy - mean_y * mean_y < _LOST * yy)
        zz, yy, zy = zz - mean_z * mean_z, yy - mean_y * mean_y, zy - mean_z * mean_y
        with np.errstate(invalid="ignore", divide="ignore"):
            best = np.where((zy > 0) & (zz > 0), zy / np.sqrt(zz), 0.0)
        pull = own * self._y - own * mean_y[:, None]
        if self._runs is not None:
            own, pull = (np.add.reduceat(values, self._runs, axis=1) for values in (own, pull))
        if self.kind != "linear" and len(self._z) > 1:
            if self._steps:
                best = np.maximum(best, _best_steps(own, pull))
            with np.errstate(divide="ignore", invalid="ignore"):
                best = np.exp(self._climb_all(own, pull, np.log(best), 0.5 * np.log(yy)))
            if self._sloped is not None:
                best = np.maximum(best, self._best_sloped(own, pull, self._sloped))
            if not self._steps:
                alone |= best <= 0
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.minimum(best / np.sqrt(yy), 1.0)
            error = np.sqrt(np.maximum(yy - best * best, 0.0)) * self._units.spread
        value[~(value > NO_CORRELATION)] = np.nan
        for row in np.flatnonzero(alone):
            value[row], error[row] = self._alone(weights[row])
        return value, error

    def _alone(self, weights: Counts) -> tuple[float, float]:
        x, y = self._data.expand(weights)
        mapped = fit_mapping(x, y, kind=self.kind).apply(x)
        along, error = plcc(mapped, y), rmse(mapped, y)
        return math.nan if along is None else along, math.nan if error is None else error

    def _best_sloped(self, own: FloatArray, pull: FloatArray, start: Logistic) -> FloatArray:
        """As `_best_steps`, of the five-parameter curves near the one that fits all images; draw by draw."""
        # scipy.optimize is needed for this kind alone.
        from ssliqa_bench.evaluation.logistic5 import refined

        found = np.empty(len(own))
        for row, (weight, weighted) in enumerate(zip(own, pull)):
            score = np.divide(weighted, weight, out=np.zeros_like(weight), where=weight > 0)
            value = refined(Sample(self._z, weight, score), start).value(self._z)
            value = value - float(weight @ value)
            spread = float(weight @ (value * value))
            found[row] = float(weighted @ value) / math.sqrt(spread) if spread > 0 else 0.0
        return found

    def _climb_all(self, own: FloatArray, pull: FloatArray, beaten: FloatArray, limit: FloatArray) -> FloatArray:
        """The highest value that a start leads to, for every draw, or that of curves known already, `beaten`.

        A value is the logarithm of the covariance with the scores over the standard deviation of the curve; `limit` is
        that of a curve through all scores.
        """
        first = [self._survey(own, pull, np.array([[start.anchor, start.lag, start.log_width]]), start.pinned)
                 for start in self._starts]
        for start, hill in zip(self._starts, first):
            beaten = self._climb(own, pull, hill, start.pinned, beaten, limit)
        return beaten

    def _climb(self, own: FloatArray, pull: FloatArray, hill: _Hills, pinned: bool, beaten: FloatArray,
               limit: FloatArray) -> FloatArray:
        """The higher of `beaten` and of the tops above the places of `hill`."""
        best, rows, radius = beaten.copy(), np.arange(len(own)), np.ones(len(own))
        for _ in range(_STEPS):
            move, expected = _newton_step(hill, radius)
            left = -np.expm1(2.0 * np.minimum(hill.value - limit[rows], 0.0))
            small = expected < _SETTLED * left + 1e-15
            done = small | ~(hill.value + _HOPE * expected > beaten[rows] + _WORTH * left)
            best[rows[done]] = np.fmax(best[rows[done]], np.where(small, hill.value + expected, hill.value)[done])
            if done.all():
                return best
            going = ~done
            rows, hill, radius, move, expected = rows[going], hill[going], radius[going], move[going], expected[going]
            there = self._survey(own[rows], pull[rows], self._moved(hill.place, move, pinned), pinned)
            gain, length = there.value - hill.value, np.hypot(*move.T)
            radius = np.where(gain < 0.25 * expected, length / 4.0, radius)
            radius = np.where(gain > 0.75 * expected, np.minimum(np.maximum(2.0 * length, radius), 4.0), radius)
            hill = there.where(gain > 0.0, hill)
        best[rows] = np.fmax(best[rows], hill.value)
        return best

    def _moved(self, place: FloatArray, move: FloatArray, pinned: bool) -> FloatArray:
        """Places after a step, kept in the box."""
        anchor, lag, log_width = place.T
        log_width = np.clip(log_width + move[:, 1], *self._box)
        if not pinned:
            width = np.exp(log_width)
            lag = np.clip(lag + move[:, 0], (self._z[0] - anchor) / width - OUTSIDE,
                          (self._z[-1] - anchor) / width + OUTSIDE)
        return np.stack([anchor, lag, log_width], axis=1)

    def _survey(self, own: FloatArray, pull: FloatArray, place: FloatArray, pinned: bool) -> _Hills:
        """Log correlation and its derivatives, as `search.survey`, for draws (b, m) at places (b, 3) or at one (1, 3).

        `place` is returned with its anchor moved to where the curve rises in the draw.
        """
        anchor, lag, log_width = (column[:, None] for column in place.T)
        width = np.exp(log_width)
        u = (self._z - anchor) / width
        u -= lag
        np.clip(u, -STEEPEST, STEEPEST, out=u)
        upper = anchor + lag * width >= (self._z[0] + self._z[-1]) / 2
        # As in search.survey: σ(u) above the middle, σ(u) - 1 below it, small where it hardly varies.
        sign = np.where(upper, 1.0, -1.0)
        e = np.exp(-sign * u)
        g = 1.0 / (1.0 + e)
        e *= g
        by_lag = g * e
        if not pinned:
            weights = np.ones_like(by_lag) if len(place) == 1 else own
            mean = (np.vecdot(by_lag * u, weights) / np.maximum(np.vecdot(by_lag, weights), TINY))[:, None]
            anchor, lag = anchor + (lag + mean) * width, -mean
        u += lag
        lag_twice = by_lag * (e - g) * sign
        g *= sign
        by_lag = -by_lag
        by_width = by_lag * u
        mixed = lag_twice * u
        mixed -= by_lag
        width_twice = mixed * u
        mixed = lag_twice * u
        return _Hills.of(own, pull, (g, by_lag, by_width, lag_twice, mixed, width_twice),
                         np.concatenate([anchor, lag, log_width], axis=1), pinned)


@dataclass(frozen=True)
class _Hills:
    """For each draw: the place (b, 3), the log correlation (b,), its slope (b, 2) and its curvature (b, 3)."""

    place: FloatArray
    value: FloatArray
    slope: FloatArray
    bend: FloatArray

    @classmethod
    def of(cls, own: FloatArray, pull: FloatArray, terms: tuple[FloatArray, ...], place: FloatArray,
           pinned: bool) -> _Hills:
        """From the shape of the curves and its derivatives, each (b, m) or (1, m)."""
        a, a0, a1, a00, a01, a11 = (_dot(term, pull) for term in terms)
        g, by_lag, by_width = (_centred(term, own) for term in terms[:3])
        along = [g, by_lag, by_width, *terms[3:]]
        b, b0, b1, b00, b01, b11 = (_product(own, g, term) for term in along)
        n00, n01 = _product(own, by_lag, by_lag), _product(own, by_lag, by_width)
        n11 = _product(own, by_width, by_width)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            value = np.where((a > 0) & (b > 0), np.log(a) - 0.5 * np.log(b), -np.inf)
            a0, a1, b0, b1 = a0 / a, a1 / a, b0 / b, b1 / b
            slope = np.stack([a0 - b0, a1 - b1], axis=1)
            bend = np.stack([a00 / a - a0 * a0 - (n00 + b00) / b + 2.0 * b0 * b0,
                             a01 / a - a0 * a1 - (n01 + b01) / b + 2.0 * b0 * b1,
                             a11 / a - a1 * a1 - (n11 + b11) / b + 2.0 * b1 * b1], axis=1)
        if pinned:
            slope[:, 0], bend[:, 0], bend[:, 1] = 0.0, -1.0, 0.0
        return cls(np.broadcast_to(place, (len(own), 3)).copy(), value, slope, bend)

    def __getitem__(self, rows: NDArray[np.bool_]) -> _Hills:
        return _Hills(self.place[rows], self.value[rows], self.slope[rows], self.bend[rows])

    def where(self, better: NDArray[np.bool_], other: _Hills) -> _Hills:
        """These where `better`, else the other ones."""
        pick = better[:, None]
        return _Hills(np.where(pick, self.place, other.place), np.where(better, self.value, other.value),
                      np.where(pick, self.slope, other.slope), np.where(pick, self.bend, other.bend))


def _dot(term: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(weights @ term[0] if len(term) == 1 else np.vecdot(term, weights))


def _centred(term: FloatArray, own: FloatArray) -> FloatArray:
    """A term less its weighted mean; of a shared term, less its mean over all draws, which `_product` corrects."""
    if len(term) == 1:
        return np.asarray(term - np.mean(term))
    return np.asarray(term - np.vecdot(term, own)[:, None])


def _product(own: FloatArray, one: FloatArray, other: FloatArray) -> FloatArray:
    """Weighted covariance of two terms, of which at least the first is centred."""
    if len(one) == 1:
        return np.asarray(own @ (one[0] * other[0]) - (own @ one[0]) * (own @ other[0]))
    return np.asarray(np.vecdot(own * one, other))


def _newton_step(hill: _Hills, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
    """As `search.climb` steps: uphill, no further than the radius, and the gain expected of it."""
    p, q = hill.slope.T
    a, b, c = hill.bend.T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        half = np.hypot((a - c) / 2.0, b)
        upper, lower = (a + c) / 2.0 + half, (a + c) / 2.0 - half
        f_upper, f_lower = 1.0 / np.maximum(np.abs(upper), 1e-12), 1.0 / np.maximum(np.abs(lower), 1e-12)
        tilt = np.where(upper > lower, (f_upper - f_lower) / (upper - lower), 0.0)
        level = f_upper - tilt * upper
        x = level * p + tilt * (a * p + b * q)
        y = level * q + tilt * (b * p + c * q)
        length = np.hypot(x, y)
        shrink = np.where(length > radius, radius / length, 1.0)
        x, y = x * shrink, y * shrink
        return np.stack([x, y], axis=1), p * x + q * y + 0.5 * (a * x * x + 2.0 * b * x * y + c * y * y)


def _best_steps(own: FloatArray, pull: FloatArray) -> FloatArray:
    """Covariance with the scores over the standard deviation of the best step, and of the best with a level of its own
    at one prediction, for every draw; 0 where no step rises."""
    below, total = np.cumsum(own, axis=1)[:, :-1], np.cumsum(pull, axis=1)[:, :-1]
    above = 1.0 - below
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = np.where((total < 0) & (below > 0) & (above > 1e-12), total * total / (below * above), 0.0)
        best = gain.max(axis=1, initial=0.0)
        if own.shape[1] > 2:
            inner = pull[:, 1:-1] / own[:, 1:-1]
            low, high = total[:, :-1] / below[:, :-1], -total[:, 1:] / above[:, 1:]
            gain = below[:, :-1] * low**2 + pull[:, 1:-1] * inner + above[:, 1:] * high**2
            between = (low <= inner) & (inner <= high) & (below[:, :-1] > 0) & (above[:, 1:] > 1e-12)
            best = np.maximum(best, np.where(between, gain, 0.0).max(axis=1))
    return np.asarray(np.sqrt(best))


def _rivals(candidates: list[FittedCurve], groups: int) -> list[FittedCurve]:
    """The candidates that a draw may prefer to the best one."""
    best = max((c.correlation for c in candidates), default=0.0)
    allowed = best * best - _RIVAL * max(1.0 - best * best, 1e-12) / groups
    return sorted((c for c in candidates if c.correlation > 0 and c.correlation**2 >= allowed),
                  key=lambda c: -c.correlation)


def _distinct(starts: Iterable[_Start]) -> list[_Start]:
    """Starts on different hills; the first of each."""
    found: list[_Start] = []
    for start in starts:
        if not any(start.pinned == other.pinned and abs(start.log_width - other.log_width) < _SAME
                   and abs(start.centre - other.centre) < _SAME * math.exp(start.log_width) for other in found):
            found.append(start)
    return found


def _start(candidate: FittedCurve, z: FloatArray) -> _Start | None:
    """The place of a curve; None of lines, steps and curves of five parameters."""
    curve = candidate.curve
    if isinstance(curve, Exponential):
        end = float(z[-1] if curve.width > 0 else z[0])
        return _Start(end, math.copysign(PIN, curve.width), math.log(abs(curve.width)))
    if isinstance(curve, Logistic) and not curve.slope:
        end = min(max(curve.centre, float(z[0])), float(z[-1]))
        return _Start(end, (curve.centre - end) / curve.width, math.log(max(curve.width, TINY)))
    return None
