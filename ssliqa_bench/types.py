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

Role = Literal["labeled", "unlabeled", "validation", "test", "unused"]
ROLES: tuple[Role, ...] = ("labeled", "unlabeled", "validation", "test", "unused")
Side = Literal["labeled", "unlabeled", "external"]

# Parameter values as YAML and --set give them.
Params = dict[str, Any]








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
