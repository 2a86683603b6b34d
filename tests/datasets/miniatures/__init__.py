"""Small folders laid out as the official archives are, with label files in the official formats and made images.

A module per dataset says in `LAYOUTS` which layouts there are: name -> a function that writes one below a data
root and gives a `Miniature`.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import DatasetEntry


@dataclass(frozen=True)
class Miniature:
    """One folder as it was written.

    Attributes:
        dataset: the registry entry that it belongs to.
        root: the data root.
        folder: the dataset's own folder.
        labels: every label file.
        names: image names as a table should have them, in the order of the label file.
        images: name -> image file.
        scores: native scores by name, NaN without one.
        facts: what else a test may want to compare, by column of the table.
        counts: fields of the registry entry that hold for the miniature instead.
    """

    dataset: str
    root: Path
    folder: Path
    labels: tuple[Path, ...]
    names: tuple[str, ...]
    images: Mapping[str, Path]
    scores: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)

    def entry(self) -> DatasetEntry:
        """The registry entry, its counts those of the miniature."""
        return load_registry().dataset(self.dataset).model_copy(update={"images": len(self.names), **self.counts})

    def registry_file(self) -> Path:
        """A registry file for the command line in which the entry has the counts of the miniature."""
        packaged = load_registry().dataset(self.dataset)
        groups = len(set(self.facts.get("group") or self.names))
        facts = {"images": len(self.names), "groups": groups, **self.counts}
        if "options" in facts:  # in a user's file some of them would be paths, beside that file
            facts["options"] = {k: v for k, v in facts["options"].items() if packaged.options.get(k) != v}
        path = self.root / f"{self.dataset}.yaml"
        path.write_text(yaml.safe_dump({"datasets": {self.dataset: facts}}))
        return path


Make = Callable[[Path], Miniature]


def layouts() -> dict[str, Make]:
    """Every layout of every dataset, as `module/layout`; entries that share an archive share a module."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        made = importlib.import_module(f"{__name__}.{module.name}")
        found.update({f"{module.name}/{name}": make for name, make in made.LAYOUTS.items()})
    return found


def changed(made: Miniature, **fields: Any) -> Miniature:
    """The same folder with some fields of its description replaced."""
    return replace(made, **fields)


def write_meta_info(root: Path, name: str, header: str, rows: Sequence[Sequence[object]]) -> Path:
    """A label file of pyiqa's mirror, beside the dataset's folder."""
    path = root / "meta_info" / f"meta_info_{name}Dataset.csv"
    write_lines(path, [header, *(",".join(map(str, row)) for row in rows)])
    return path


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file, its folder made first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_image(path: Path, number: int, size: tuple[int, int] = (64, 48), quality: float = 0.5) -> None:
    """A picture of its own for every number: waves under noise; quality 1 has none, 0 much. Size is width, height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_picture(number, size, quality, path.suffix.lower()))


@cache  # the same folders are made for many tests
def _picture(number: int, size: tuple[int, int], quality: float, suffix: str) -> bytes:
    random = np.random.default_rng(number)
    y, x = np.mgrid[: size[1], : size[0]]
    phases, rates = random.uniform(0, 6.28, 3), random.uniform(0.05, 0.4, (3, 2))
    waves = np.stack([np.sin(rates[c, 0] * x + rates[c, 1] * y + phases[c]) for c in range(3)], axis=2)
    noise = random.normal(0, 60 * (1 - quality), waves.shape)
    handle = io.BytesIO()
    kind = Image.registered_extensions()[suffix]
    Image.fromarray(np.clip(128 + 90 * waves + noise, 0, 255).astype(np.uint8)).save(handle, kind)
    return handle.getvalue()
