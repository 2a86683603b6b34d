"""A miniature of the demo pair, sixty images, in variants that differ in what a learner must not know."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.table import Table
from ssliqa_bench.specs import Pair
from ssliqa_bench.types import derive_seed

SOURCES = {"check-labeled": "demo-syn", "check-unlabeled": "demo-wild"}
PAIR = Pair(*SOURCES)
PROTOCOL = "check"
_GROUPS, _TEST_GROUPS, _PER_GROUP = 5, 2, 6  # of each side: thirty images, twelve of them for testing
_SCALE = (1, 5)


@dataclass(frozen=True)
class _Row:
    """One image of a variant: the file it is copied from and that of its reference, its part of the split, and the
    columns of the label file."""

    source: str
    reference: str
    part: str
    image: str
    columns: Mapping[str, Any] = field(default_factory=dict)


def write_variants(tables: Mapping[str, Table], told: set[str], folder: Path) -> None:
    """Write all variants of the pair below a folder, each with a registry file that names its datasets and protocol.

    `plain`; `labels`, everything that is withheld shuffled; `names`, other file names and another order of the
    rows; `opposite`, what was good is said to be bad; `split`, other groups for testing, so that the test images of
    `plain` are for training.

    Args:
        tables: the demo sets, by the side they are the source of.
        told: sides whose training images keep their scores in the run.
    """
    for variant, change in _VARIANTS.items():
        for side, table in tables.items():
            _write_side(change(_rows(_thin(table)), side, told), folder / variant / side)
        about = {"about": {"title": f"Conformance images, {variant}"}}
        entry = {**about, "kind": "demo", "scale": list(_SCALE), "direction": "higher_is_better"}
        content = {
            "datasets": {side: {**entry, "folder": side, "rating_statistics": True} for side in tables},
            "protocols": {PROTOCOL: {**about, "split": {"rule": "official"}}},
        }
        registry_file(folder, variant).write_text(json.dumps(content))  # JSON is YAML


def registry_file(folder: Path, variant: str) -> Path:
    """The registry file of a variant."""
    return folder / variant / "registry.yaml"


def _thin(table: Table) -> Table:
    """Thirty images: six of each of five groups, spread over kinds and levels."""
    rows = []
    for group in sorted(set(table.group))[:_GROUPS]:
        own = [row for row, name in enumerate(table.group) if name == group]
        rows += [own[k * len(own) // _PER_GROUP] for k in range(_PER_GROUP)]
    return table.take(rows)


def _rows(table: Table) -> list[_Row]:
    """Rows of the label file. Parts are stated, so that they hold while everything that is withheld is shuffled."""
    test = set(sorted(set(table.group))[-_TEST_GROUPS:])
    columns: dict[str, Any] = {"score": table.score, "group": table.group}
    columns |= {name: getattr(table, name) for name in ("rating_std", "distortion", "level")}
    if table.distribution is not None:
        columns |= {f"c{k + 1}": shares for k, shares in enumerate(table.distribution.T)}
    columns = {name: values for name, values in columns.items() if values is not None}
    return [
        _Row(
            source=table.path[k],
            reference=table.reference[k] if table.reference is not None else "",
            part="test" if table.group[k] in test else "train",
            image=f"{k:03d}.png",
            columns={name: values[k] for name, values in columns.items()},
        )
        for k in range(len(table))
    ]


def _write_side(rows: list[_Row], folder: Path) -> None:
    for name in ("images", "refs"):
        (folder / name).mkdir(parents=True)
    for row in rows:
        shutil.copy(row.source, folder / "images" / row.image)
        if row.reference:
            shutil.copy(row.reference, folder / "refs" / Path(row.reference).name)
    with open(folder / "labels.csv", "w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=["image", *rows[0].columns, "reference", "split"])
        writer.writeheader()
        writer.writerows(
            {"image": row.image, **row.columns, "reference": Path(row.reference).name, "split": row.part}
            for row in rows
        )


def _plain(rows: list[_Row], side: str, told: set[str]) -> list[_Row]:
    return rows


def _labels(rows: list[_Row], side: str, told: set[str]) -> list[_Row]:
    """Shuffle scores and all other columns among the images of each part that a learner may not know them of."""
    random = _generator("shuffled labels", side)
    out = list(rows)
    for part in ("test",) if side in told else ("train", "test"):
        members = [k for k, row in enumerate(rows) if row.part == part]
        for k, other in zip(members, random.permutation(members), strict=True):
            out[k] = replace(rows[k], columns=rows[int(other)].columns)
    return out


def _names(rows: list[_Row], side: str, told: set[str]) -> list[_Row]:
    """New file names, and another order of the rows."""
    named = [replace(row, image=f"{derive_seed('name', side, row.image):x}.png") for row in rows]
    return [named[int(k)] for k in _generator("shuffled names", side).permutation(len(named))]


def _opposite(rows: list[_Row], side: str, told: set[str]) -> list[_Row]:
    """Scores turned round and lowered to the worse half of their scale; ratings turned round."""
    shares = [name for name in rows[0].columns if name.startswith("c") and name[1:].isdigit()]
    turned = dict(zip(shares, reversed(shares), strict=True))
    return [
        replace(
            row,
            columns={
                name: _SCALE[0] + (_SCALE[1] - value) / 2 if name == "score" else row.columns[turned.get(name, name)]
                for name, value in row.columns.items()
            },
        )
        for row in rows
    ]


def _split(rows: list[_Row], side: str, told: set[str]) -> list[_Row]:
    """The first groups for testing in place of the last ones."""
    test = set(sorted({row.columns["group"] for row in rows})[:_TEST_GROUPS])
    return [replace(row, part="test" if row.columns["group"] in test else "train") for row in rows]


def _generator(*purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=derive_seed(*purpose)))


_VARIANTS: dict[str, Callable[[list[_Row], str, set[str]], list[_Row]]] = {
    "plain": _plain,
    "labels": _labels,
    "names": _names,
    "opposite": _opposite,
    "split": _split,
}
