"""KADIS-700k: its 700,000 distorted images, made from the 140,000 pristine ones that it ships.

The dataset comes as `ref_imgs/` and `kadis700k_ref_imgs.csv`; its distorted images are made by the user. Here the list
and the file names are those of the published generator, the distortions those of `ssliqa_bench.datasets.distort`, so
the images resemble the published ones without being equal to them.

Source: Lin, Hosu, Saupe, "DeepFL-IQA: Weak supervision for deep IQA feature learning", arXiv 2001.08113.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssliqa_bench.caches import cache_lock
from ssliqa_bench.datasets.distort import KADID_KINDS
from ssliqa_bench.datasets.distortion_jobs import ImageToMake, MadeBy, ReferenceTask, finished_images, make_images
from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.tabular import read_rows

LIST = "kadis700k_ref_imgs.csv"
REFERENCES = "ref_imgs"
DISTORTED = "dist_imgs"
LEVELS = (1, 2, 3, 4, 5)
# Raised by one when the pixels change that are made of the same reference.
GENERATOR_VERSION = 1

_HEADER = ("ref_im", "dist_type_1", "dist_type_2")
_STATE, _KIND = "dist_imgs.json", "kadis-generator"


@dataclass(frozen=True)
class KadisRow:
    """One line of the list: a reference and the distortion that it is given.

    Attributes:
        reference: file name in `ref_imgs/`.
        code: `dist_type_1`, 1 to 25, a key of `KADID_KINDS`: the distortion that is applied and named in the file name.
        alternative: `dist_type_2`, or None. The 5,529 rows that have one say 7, 8 (saturation in HSV, in Lab). The
            published generator reads the first type only, so type 8 never occurs; we do the same, and these references
            get five images like any other.
    """

    reference: str
    code: int
    alternative: int | None = None

    def distorted(self, level: int) -> str:
        """File name in `dist_imgs/` of the image of a level (1 to 5): stem, type and level with two digits."""
        return f"{self.reference.partition('.')[0]}_{self.code:02d}_{level:02d}.bmp"

    def images(self) -> Iterator[ImageToMake]:
        """The five images, each with its own random numbers."""
        for level in LEVELS:
            yield ImageToMake(self.distorted(level), KADID_KINDS[self.code], level, (self.code, level))


@dataclass(frozen=True)
class KadisReport:
    """What `distort_kadis` did, in images.

    Attributes:
        total: five for every row of the list.
        made: written now.
        present: finished before and left alone.
        bad: reference -> why no image was made of it; empty unless called with `skip_bad`.
    """

    total: int
    made: int
    present: int
    bad: Mapping[str, str]


def read_kadis_list(folder: Path) -> tuple[KadisRow, ...]:
    """All rows of `kadis700k_ref_imgs.csv` in a folder, in the file's order (140,000 in the published one).

    Raises:
        DataError: no such file, another header, a name that is no plain file name, a type other than 1 to 25, or two
            rows whose distorted images would have the same names.
    """
    rows = read_rows(folder / LIST)
    if rows.header != _HEADER:
        raise DataError(f"{rows.source}:1: header {','.join(rows.header)}; expected {','.join(_HEADER)}.")
    if not rows.cells:
        raise DataError(f"{rows.source}: has no rows; expected one for every reference.")
    found: dict[str, KadisRow] = {}
    for line, (reference, first, second) in zip(rows.lines, rows.cells):
        where = f"{rows.source}:{line}"
        if not reference.partition(".")[0] or {"/", "\\", "\0"} & set(reference):
            raise DataError(f'{where}: ref_im is "{reference}"; expected a file name in {REFERENCES}/.')
        row = KadisRow(reference, _code(first, where, _HEADER[1]),
                       _code(second, where, _HEADER[2]) if second else None)
        earlier = found.setdefault(row.distorted(1), row)
        if earlier is not row:
            raise DataError(f"{where}: {reference} of type {row.code} gives the same file names as {earlier.reference} "
                            f"of an earlier row.")
    return tuple(found.values())


def distort_kadis(
    folder: Path,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
    *,
    seed: int = 0,
    skip_bad: bool = False,
) -> KadisReport:
    """Make the distorted images of a KADIS-700k folder: five levels of one type for every reference.

    Writes `dist_imgs/<stem>_<TT>_<LL>.bmp`, each whole or not at all. Stopped at any moment and started again, it makes
    what is missing, cut short or damaged in length. The bytes depend on the reference's pixels, the seed and the
    library versions, not on the number of processes. The whole set takes about 413 GB (512 × 384 pixels, 24 bits).

    Args:
        folder: holds `kadis700k_ref_imgs.csv` and `ref_imgs/`.
        processes: how many share the work, each with one thread.
        progress: called with the number of images dealt with so far, those of earlier calls included, and of all.
        seed: of the random kinds (noise, positions, directions).
        skip_bad: skip references that are missing or unreadable and count them in the report.

    Raises:
        DataError: the list is missing or wrong; references are missing (how many, the first; nothing is written) or
            unreadable (the same, after all others are done); or `dist_imgs/` holds images that another seed, version or
            program made.
        StorageError: the disk is full or the folder cannot be written; what is finished stays.
        RunError: a worker process died.
    """
    if processes < 1:
        raise InputError(f"KADIS-700k: {processes} processes; expected 1 or more.")
    rows = read_kadis_list(folder)
    # A second call waits for the first one and then finds everything done.
    with cache_lock(folder / f".{DISTORTED}.lock", named="--data-root"):
        made_by = MadeBy(_KIND, seed, GENERATOR_VERSION)
        finished = finished_images(folder / DISTORTED, folder / _STATE, made_by)
        tasks = [
            ReferenceTask(folder / REFERENCES / row.reference, folder / DISTORTED, seed, "kadis", wanted)
            for row in rows
            if (wanted := tuple(image for image in row.images() if image.name not in finished))
        ]
        total = len(LEVELS) * len(rows)
        present = total - sum(len(task.images) for task in tasks)
        bad = _missing(folder / REFERENCES, tasks)
        if bad and not skip_bad:
            raise DataError(
                f"KADIS-700k: {len(bad)} of {len(rows)} references are missing in {folder / REFERENCES} (first: "
                f"{next(iter(bad))}). Complete the folder and start again; nothing was written."
            )
        if tasks:
            made_by.note(folder / _STATE)
        made, done = 0, present + sum(len(task.images) for task in tasks if task.source.name in bad)
        tasks = [task for task in tasks if task.source.name not in bad]
        if progress is not None:
            progress(done, total)
        with contextlib.closing(make_images(tasks, processes, "KADIS-700k")) as results:
            for task, reason in zip(tasks, results):
                if reason is None:
                    made += len(task.images)
                else:
                    bad[task.source.name] = reason
                done += len(task.images)
                if progress is not None:
                    progress(done, total)
    if bad and not skip_bad:
        raise DataError(
            f"KADIS-700k: {len(bad)} of {len(rows)} references are unreadable. First: {next(iter(bad.values()))} "
            f"Repair the files and start again; the images of all others are made."
        )
    return KadisReport(total, made, present, bad)


def _code(text: str, where: str, column: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) in KADID_KINDS):
        raise DataError(f'{where}: {column} is "{text}"; expected a type, 1 to {len(KADID_KINDS)}.')
    return int(text)


def _missing(home: Path, tasks: Sequence[ReferenceTask]) -> dict[str, str]:
    # One listing instead of 140,000 questions to the file system.
    there = set(os.listdir(home)) if home.is_dir() else set()
    names = (task.source.name for task in tasks)
    return {name: f"{home / name}: no such file." for name in names if name not in there}
