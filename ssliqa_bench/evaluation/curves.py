"""The increasing curves that a mapping can be, on standardised predictions, and their parameters in user units.

Overflow to infinity and underflow to zero are meant to happen here; the callers keep numpy quiet about both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssliqa_bench.types import FloatArray

# exp() of this neither overflows when squared nor matters to a sum when negated.
STEEPEST = 300.0
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Units:
    """Standardisation of both sides: z = (x·2^-exponent - location)/scale, score = mean + spread·y.

    `location` is the median prediction rather than the mean: an outlier of any size then takes no digits from
    the rest, and neither does an offset.
    """

    exponent: int
    location: float
    scale: float
    mean: float
    spread: float

    def standardise(self, x: FloatArray) -> FloatArray:
        """Predictions in user units to z."""
        return (np.ldexp(x, -self.exponent) - self.location) / self.scale

    def score(self, y: FloatArray) -> FloatArray:
        """Standardised scores back to the units of the scores, no further out than float64 reaches."""
        return np.clip(self.mean + self.spread * y, -_LARGEST, _LARGEST)

    def position(self, z: float) -> float:
        """A place on the axis of the predictions, in user units."""
        return self.length(z + self.location / self.scale)

    def length(self, z: float) -> float:
        """A difference of predictions, in user units; infinite where float64 ends."""
        return float(np.ldexp(z * self.scale, self.exponent))

    def slope(self, per_z: float) -> float:
        """A slope, in score units per user unit of the predictions; infinite where float64 ends."""
        return float(np.ldexp(self.spread * per_z / self.scale, -self.exponent))


@dataclass(frozen=True)
class StraightLine:
    """base + slope·z with slope > 0; slope 0 is the constant of status `flat`."""

    base: float
    slope: float

    def value(self, z: FloatArray) -> FloatArray:
        """The curve at z."""
        return self.base + self.slope * z if self.slope else np.full_like(z, self.base)

    def params(self, units: Units) -> dict[str, float]:
        """Slope and intercept, or the level of a constant."""
        if not self.slope:
            return {"level": units.mean + units.spread * self.base}
        intercept = self.base - self.slope * (units.location / units.scale)
        return {"slope": units.slope(self.slope), "intercept": units.mean + units.spread * intercept}


@dataclass(frozen=True)
class Step:
    """low below the threshold, high above it, middle at it: the limit of a logistic curve of no width."""

    threshold: float
    low: float
    middle: float
    high: float

    def value(self, z: FloatArray) -> FloatArray:
        """The curve at z."""
        return np.where(z < self.threshold, self.low, np.where(z > self.threshold, self.high, self.middle))

    def params(self, units: Units) -> dict[str, float]:
        """Threshold and the three levels."""
        levels = {"low": self.low, "middle": self.middle, "high": self.high}
        return {"threshold": units.position(self.threshold),
                **{name: units.mean + units.spread * level for name, level in levels.items()}}


@dataclass(frozen=True)
class Exponential:
    """base + rise·exp((z - anchor)/width); rise and width are both positive (convex) or both negative (concave)."""

    base: float
    rise: float
    anchor: float
    width: float

    def value(self, z: FloatArray) -> FloatArray:
        """The curve at z."""
        return self.base + self.rise * np.exp(np.clip((z - self.anchor) / self.width, -STEEPEST, STEEPEST))

    def params(self, units: Units) -> dict[str, float]:
        """score = base + rise·exp((x - anchor)/width)."""
        return {"base": units.mean + units.spread * self.base, "rise": units.spread * self.rise,
                "anchor": units.position(self.anchor), "width": units.length(self.width)}


@dataclass(frozen=True)
class Logistic:
    """base + rise·g((z - centre)/width) + slope·(z - centre), with g = σ(u) or σ(u) - 1, whichever is smaller in
    size on the data, so that a far centre costs no digits. `slope` is 0 except in the five-parameter curve."""

    base: float
    rise: float
    centre: float
    width: float
    upper: bool
    slope: float = 0.0

    def value(self, z: FloatArray) -> FloatArray:
        """The curve at z."""
        u = np.clip((z - self.centre) / self.width, -STEEPEST, STEEPEST)
        curve = self.base + self.rise * half_logistic(u, self.upper)
        return curve + self.slope * (z - self.centre) if self.slope else curve

    def params(self, units: Units) -> dict[str, float]:
        """β1 to β4 of the four-parameter logistic."""
        bottom = self.base - (0.0 if self.upper else self.rise)
        return {"b1": units.mean + units.spread * (bottom + self.rise), "b2": units.mean + units.spread * bottom,
                "b3": units.position(self.centre), "b4": units.length(self.width)}

    def params_with_slope(self, units: Units) -> dict[str, float]:
        """β1 to β5 of the five-parameter logistic b1·(1/2 - 1/(1 + exp(b2·(x - b3)))) + b4·x + b5."""
        four = self.params(units)
        slope = units.slope(self.slope)
        return {"b1": units.spread * self.rise, "b2": 1.0 / four["b4"] if four["b4"] else float("inf"),
                "b3": four["b3"], "b4": slope,
                "b5": (four["b1"] + four["b2"]) / 2 - (slope * four["b3"] if slope else 0.0)}


Curve = StraightLine | Step | Exponential | Logistic


def half_logistic(u: FloatArray, upper: bool) -> FloatArray:
    """σ(u) if `upper` (the centre lies in the upper half of the data), else σ(u) - 1; both without cancellation."""
    return 1.0 / (1.0 + np.exp(-u)) if upper else -1.0 / (1.0 + np.exp(u))
