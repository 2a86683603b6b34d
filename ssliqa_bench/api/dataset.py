"""`load_dataset`: a dataset of the registry as a dataset of PyTorch, with roles and splits. Imports torch."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.splits import assign_roles, role_counts
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import InputError
from ssliqa_bench.pixels.decode import decode, resize_short
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair
from ssliqa_bench.types import ROLES, Role

Transform = Callable[[torch.Tensor], Any]


class QualityDataset(Dataset[tuple[Any, float]]):
    """Images with their scores, as PyTorch expects them: `dataset[k]` is (image, score).

    The image is a uint8 tensor (3, H, W), or what `transform` makes of it. The score is native, turned so that higher
    is better; NaN of an image without one, and of every image whose role is unlabeled: its score is withheld.

    Attributes:
        table: all that the dataset states about the images, one row each.
        roles: the role of each image in the split: labeled, unlabeled, validation, test or unused.
        scale: worse and better end of the scores, higher is better.
    """

    def __init__(
        self,
        table: Table,
        roles: Sequence[Role],
        scale: tuple[float, float],
        short_side: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.table, self.roles, self.scale = table, tuple(roles), scale
        self._short_side, self._transform = short_side, transform

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> tuple[Any, float]:
        """Image and score at a position; errors of `open_picture` for an unreadable file."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        pixels = decode(self.table.path[index])
        if self._short_side is not None:
            pixels = resize_short(pixels, self._short_side)
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        shown = image if self._transform is None else self._transform(image)
        return shown, self._score(index)

    @property
    def scores(self) -> tuple[float, ...]:
        """Native scores (n,), higher is better; NaN where withheld or not known."""
        return tuple(self._score(row) for row in range(len(self)))

    def _score(self, row: int) -> float:
        return math.nan if self.roles[row] == "unlabeled" else float(self.table.score[row])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images."""
        return self.table.name

    def part(self, *roles: Role) -> QualityDataset:
        """The images with some roles.

        Raises:
            InputError: an unknown role.
        """
        for role in roles:
            if role not in ROLES:
                raise InputError(f'part: got "{role}"; expected {", ".join(ROLES)}.')
        rows = [k for k, role in enumerate(self.roles) if role in roles]
        kept = tuple(self.roles[k] for k in rows)
        return QualityDataset(self.table.take(rows), kept, self.scale, self._short_side, self._transform)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{role}</td><td>{count:,}</td></tr>" for role, count in role_counts(self.roles).items())
        head = "<tr><th>role</th><th>images</th></tr>"
        scale = f"scores {self.scale[0]:g} to {self.scale[1]:g}, higher is better"
        return f"<p>{html.escape(self.table.dataset)}: {len(self):,} images, {scale}</p><table>{head}{rows}</table>"

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {role}" for role, count in role_counts(self.roles).items())
        return f"{self.table.dataset}: {len(self):,} images ({counts}), scores {self.scale[0]:g} to {self.scale[1]:g}"


def load_dataset(
    name: str,
    *,
    seed: int = 0,
    protocol: str = "standard",
    budget: int | float | None = None,
    transform: Transform | None = None,
    registry: Sequence[str | os.PathLike[str]] = (),
    data_root: str | os.PathLike[str] | None = None,
) -> QualityDataset:
    """A dataset of the registry with the roles that its images have in runs on `NAME:NAME`.

    Images that the budget leaves without a score are unlabeled. `part("labeled")`, `part("unlabeled")` and
    `part("test")` give the parts, each a dataset of PyTorch for a `DataLoader`.

    Args:
        name: of the dataset, or an alias.
        seed: of the split.
        protocol: says how the split is made.
        budget: labeled images: a count (int) or a fraction (float); None takes that of the protocol.
        transform: of a uint8 tensor (3, H, W); for batches it should give tensors of one size.
        registry: registry files of your own.
        data_root: folder of the datasets' folders; None takes $SSLIQA_DATA or data.

    Raises:
        InputError: an unknown name, or a budget that does not fit.
        DataError: the dataset is not on this machine, or is incomplete.
    """
    known = load_registry([Path(file) for file in registry])
    root = None if data_root is None else Path(data_root)
    settings = Settings.from_environment(data_root=root)
    entry = known.dataset(name)
    table = load_table(entry, settings.data_root, settings.cache_root, load=known.load)
    roles: tuple[Role, ...] = tuple("unlabeled" for _ in table.name)
    if np.isfinite(table.score).any():
        pair = Pair(entry.name, entry.name)
        roles = assign_roles(pair, {entry.name: table}, known.protocol(protocol), seed, budget)[entry.name]
    return QualityDataset(table, roles, entry.native_scale.ends, entry.short_side, transform)
