"""Datasets without scores that are made from the pristine images of another: pairs of reference and distorted image.

The folder holds `images/`, `refs/` (copies of the references, so that it is self-contained) and `labels.csv` in the
generic format, written when every image is there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssliqa_bench.caches import cache_lock
from ssliqa_bench.datasets.distort import KADID_KINDS
from ssliqa_bench.datasets.distort.random_strength import DRAWN_KINDS
from ssliqa_bench.datasets.distortion_jobs import ImageToMake, MadeBy, ReferenceTask, finished_images, make_images
from ssliqa_bench.datasets.references import references_of
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError, StorageError
from ssliqa_bench.files import atomic_path, write_text
from ssliqa_bench.registry.schema import DatasetEntry, MadeFrom
from ssliqa_bench.tabular.writer import csv_text
from ssliqa_bench.types import derive_seed

# Raised by one when other pixels, or other images, are made of the same reference.
GENERATOR_VERSION = 1
IMAGES, REFERENCES, LABELS = "images", "refs", "labels.csv"
_STATE, _KIND = "images.json", "made-dataset"
_LEVELS = 5
_HEADER = ("image", "reference", "group", "distortion", "level")


@dataclass(frozen=True)
class MadeReport:
    """What `make_dataset` did, in images; `bad`: reference -> why no image was made of it."""

    total: int
    made: int
    present: int
    bad: Mapping[str, str]


@dataclass(frozen=True)
class _Pristine:
    """A reference: its file, its name in `refs/`, and the group that its dataset puts it into."""

    path: Path
    name: str
    group: str


def make_dataset(
    entry: DatasetEntry,
    source: Table,
    folder: Path,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
    *,
    skip_bad: bool = False,
) -> MadeReport:
    """Make the images of a dataset that says `made_from`. Started again, it makes what is missing or cut short.

    The bytes of an image depend on the pixels of its reference, the seed, its kind and level, and the library
    versions; not on the number of processes.

    Args:
        source: the table of the dataset whose references are taken.
        folder: where the dataset is to be.
        processes: how many share the work, each with one thread.
        progress: called with the number of images dealt with so far and of all.
        skip_bad: skip unreadable references and count them in the report.

    Raises:
        DataError: the source states no reference, one of them is unreadable (after all others are done), or the folder
            holds images that another seed or program made.
        StorageError: the disk is full or the folder cannot be written; what is finished stays.
        RunError: a worker process died.
    """
    made_from = entry.made_from
    assert made_from is not None  # whoever calls has looked
    pristine = _pristine(entry.name, source)
    wanted = {one: tuple(_wanted(one, made_from)) for one in pristine}
    total = sum(map(len, wanted.values()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with cache_lock(folder / f".{IMAGES}.lock", named="--data-root"):
            made_by = MadeBy(_KIND, made_from.seed, GENERATOR_VERSION)
            finished = finished_images(folder / IMAGES, folder / _STATE, made_by)
            lacking = {one: tuple(i for i in images if i.name not in finished) for one, images in wanted.items()}
            missing = {one: left for one, left in lacking.items() if left}
            if missing:
                made_by.note(folder / _STATE)
            for one in pristine:
                _copy(one.path, folder / REFERENCES / one.name)
            bad, made = {}, 0
            present = done = total - sum(map(len, missing.values()))
            tasks = [
                ReferenceTask(one.path, folder / IMAGES, made_from.seed, "made", left) for one, left in missing.items()
            ]
            if progress is not None:
                progress(done, total)
            with contextlib.closing(make_images(tasks, processes, entry.name)) as results:
                for (one, left), reason in zip(missing.items(), results):
                    if reason is None:
                        made += len(left)
                    else:
                        bad[one.name] = reason
                    done += len(left)
                    if progress is not None:
                        progress(done, total)
            if bad and not skip_bad:
                raise DataError(
                    f"{entry.name}: {len(bad)} of {len(pristine)} references are unreadable. First: "
                    f"{next(iter(bad.values()))} Repair the files and start again; the images of all others are made."
                )
            _write_labels(folder / LABELS, {one: images for one, images in wanted.items() if one.name not in bad})
    except OSError as error:
        raise StorageError(f"{entry.name}: could not write to {folder}: {error.strerror or error}.") from error
    return MadeReport(total, made, present, bad)


def _pristine(name: str, source: Table) -> list[_Pristine]:
    """The references of a dataset's training images, in the order of their names."""
    parts = source.split or ("train",) * len(source)
    rows = [row for row, part in enumerate(parts) if part == "train"]
    training = source.take(rows)
    found = references_of(training)
    if found is None:
        raise DataError(f"{name}: {source.dataset}, from which it is to be made, states no reference images.")
    groups = {place: group for place, group in zip(found.row_of, training.group, strict=True) if place >= 0}
    made = [
        _Pristine(Path(path), own.replace("/", "-"), groups[place])
        for place, (path, own) in enumerate(zip(found.table.path, found.table.name, strict=True))
    ]
    stems: dict[str, str] = {}
    for one in made:
        other = stems.setdefault(Path(one.name).stem, one.name)
        if other != one.name:
            raise DataError(f"{name}: the references {other} and {one.name} of {source.dataset} would give images of "
                            f"one name.")  # fmt: skip
    return sorted(made, key=lambda one: one.name)


def _wanted(one: _Pristine, made_from: MadeFrom) -> Iterator[ImageToMake]:
    """The images that are made of a reference."""
    stem = Path(one.name).stem
    if made_from.distortions == "traditional":
        kinds = tuple(DRAWN_KINDS)
        for k in range(made_from.per_reference):
            kind, turn = kinds[k % len(kinds)], k // len(kinds)
            yield ImageToMake(f"{stem}_{kind}_{turn:02d}.bmp", kind, None, (kind, turn))
        return
    # A random choice of kinds and levels, the same whatever the number: a larger one keeps those of a smaller one.
    rng = np.random.Generator(np.random.PCG64(derive_seed(made_from.seed, "made", "choice", one.name)))
    for k in rng.permutation(len(KADID_KINDS) * _LEVELS)[: made_from.per_reference]:
        code, level = int(k) // _LEVELS + 1, int(k) % _LEVELS + 1
        yield ImageToMake(f"{stem}_{code:02d}_{level:02d}.bmp", KADID_KINDS[code], level, (code, level))


def _copy(path: Path, target: Path) -> None:
    if not (target.is_file() and target.stat().st_size == os.stat(path).st_size):
        with atomic_path(target) as part:
            shutil.copyfile(path, part)


def _write_labels(file: Path, wanted: Mapping[_Pristine, tuple[ImageToMake, ...]]) -> None:
    rows = ((image.name, one.name, one.group, image.kind, image.level)
            for one, images in wanted.items() for image in images)  # fmt: skip
    text = csv_text(rows, _HEADER)
    if not (file.is_file() and file.read_bytes() == text.encode()):
        write_text(file, text)
