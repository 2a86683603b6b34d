"""Small records passed between layers. Numpy and the standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Role = Literal["labeled", "unlabeled", "validation", "test", "unused"]
ROLES: tuple[Role, ...] = ("labeled", "unlabeled", "validation", "test", "unused")
Side = Literal["labeled", "unlabeled", "external"]

# Parameter values as YAML and --set give them.
Params = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """`A:B`: dataset A gives labeled images, B unlabeled ones. `A` alone has no unlabeled side."""

    labeled: str
    unlabeled: str | None = None

    @classmethod
    def parse(cls, text: str) -> Pair:
        """Read `A` or `A:B`; names are resolved by the registry, not here."""
        parts = text.split(":")
        if len(parts) > 2 or not all(parts):
            raise InputError(f'Pair "{text}": expected A or A:B, for example demo-syn:demo-wild.')
        return cls(parts[0], parts[1] if len(parts) == 2 else None)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The one or two different datasets, A first."""
        return (self.labeled,) if self.unlabeled in (None, self.labeled) else (self.labeled, str(self.unlabeled))

    def side(self, dataset: str) -> Side:
        """Which side a dataset stands on; a dataset of neither side is external."""
        if dataset == self.labeled:
            return "labeled"
        return "unlabeled" if dataset == self.unlabeled else "external"

    def __str__(self) -> str:
        return self.labeled if self.unlabeled is None else f"{self.labeled}:{self.unlabeled}"


@dataclass(frozen=True)
class RunSpec:
    """One run as asked for: method × pair × protocol × seed, with what was overridden.

    Budgets: a count (int ≥ 1) or a fraction (float in (0, 1]); None means what the protocol says.
    """

    method: str
    pair: Pair
    protocol: str = "standard"
    seed: int = 0
    recipe: str | None = None
    overrides: tuple[tuple[str, Any], ...] = ()
    budget: int | float | None = None
    unlabeled_budget: int | float | None = None
    tests: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.pair} {self.protocol} seed {self.seed}"


@dataclass(frozen=True)
class Table:
    """A dataset as read: one row per image, all columns of length n, nothing on disk decoded yet.

    Attributes:
        dataset: canonical id.
        name: image names, unique, as the official files spell them.
        path: absolute path of each image file.
        score: native opinion score, turned so that higher is better; NaN for an image without score.
        score01: the same mapped to [0, 1] by the registry's scale; may leave it where scores leave the scale.
        group: what must not be torn between train and test.
        scale_width: native units from 0 to 1 of `score01`.
        split_as: the dataset whose random splits and budgets it shares, "" for its own.
        rating_std: standard deviation of the ratings in native units, or None.
        distribution: shares of the rating levels, shape (n, P), worst level first, rows sum to 1, or None.
        reference: path of the pristine image, "" where there is none, or None.
        distortion, level, split, role: as the dataset states them, "" where it does not, or None.
    """

    dataset: str
    name: tuple[str, ...]
    path: tuple[str, ...]
    score: FloatArray
    score01: FloatArray
    group: tuple[str, ...]
    scale_width: float = 1.0
    split_as: str = ""
    rating_std: FloatArray | None = None
    distribution: FloatArray | None = None
    reference: tuple[str, ...] | None = None
    distortion: tuple[str, ...] | None = None
    level: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    role: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.name)

    @property
    def rating_std01(self) -> FloatArray | None:
        """`rating_std` on the scale of `score01`."""
        return None if self.rating_std is None else self.rating_std / self.scale_width

    def take(self, rows: Sequence[int] | IntArray) -> Table:
        """The same columns for some rows, in the order given."""
        index = np.asarray(rows, dtype=np.int64)
        columns: dict[str, Any] = {}
        for column in ("name", "path", "group", "reference", "distortion", "level", "split", "role"):
            value = getattr(self, column)
            columns[column] = None if value is None else tuple(value[i] for i in index)
        for column in ("score", "score01", "rating_std", "distribution"):
            value = getattr(self, column)
            columns[column] = None if value is None else value[index]
        return replace(self, **columns)


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
