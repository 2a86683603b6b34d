"""Small records passed between layers. Numpy and the standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ByteImage = NDArray[np.uint8]  # (height, width, 3), RGB

Role = Literal["labeled", "unlabeled", "validation", "test", "unused"]
ROLES: tuple[Role, ...] = ("labeled", "unlabeled", "validation", "test", "unused")
Side = Literal["labeled", "unlabeled", "external"]

# Parameter values as YAML and --set give them.
Params = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """Where the native scores of a dataset lie: their nominal ends, and which of the two is the better one.

    The only place where a direction is turned. Learners see scores on [0, 1], 1 the better end; metrics are computed
    on native scores of which higher is better.
    """

    low: float
    high: float
    higher_is_better: bool = True

    @property
    def ends(self) -> tuple[float, float]:
        """The worse and the better end, of scores that are `turned`."""
        return (self.low, self.high) if self.higher_is_better else (0.0 - self.high, 0.0 - self.low)

    def turned(self, native: FloatArray) -> FloatArray:
        """Native scores such that higher is better, negated where it is not."""
        return native if self.higher_is_better else 0.0 - native  # not -x: no score becomes -0.0

    def to01(self, native: FloatArray) -> FloatArray:
        """Native scores on [0, 1], higher is better; scores beyond the ends leave it."""
        width = self.high - self.low
        return (native - self.low) / width if self.higher_is_better else (self.high - native) / width

    def from01(self, values: FloatArray) -> FloatArray:
        """The inverse of `to01`: values on [0, 1] in the units and the direction of native scores."""
        offset = values * (self.high - self.low)
        return self.low + offset if self.higher_is_better else self.high - offset


@dataclass(frozen=True)
class Artifact:
    """What a stage leaves: named arrays and a JSON object."""

    tensors: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What a model says of n images.

    Attributes:
        quality: (n,), float64, higher is better.
        classes: (n,), the predicted class of quality, 0 the worst; None of a model that predicts none.
    """

    quality: FloatArray
    classes: IntArray | None = None


def derive_seed(*parts: Any) -> int:
    """A 63-bit seed from named parts, equal on every machine and in every process.

    `derive_seed(seed, "blocks")` and `derive_seed(seed, "order", epoch)` are independent streams.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
