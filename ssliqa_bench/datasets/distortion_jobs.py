"""Distorted images made from pristine ones, by any number of processes: each whole or not at all, and made once.

The bytes of an image depend on the pixels of its reference, the seed, its kind and level, and the library versions.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ssliqa_bench.datasets.distort import distort
from ssliqa_bench.datasets.distort.random_strength import distort_by_chance
from ssliqa_bench.errors import DataError, RunError
from ssliqa_bench.files import atomic_path, read_sealed, write_sealed
from ssliqa_bench.pixels.decode import content_hash, decode
from ssliqa_bench.stop import without_interrupts
from ssliqa_bench.types import derive_seed

_SHARE = 4  # references that a process gets at a time


@dataclass(frozen=True)
class ImageToMake:
    """An image to be made.

    Attributes:
        name: of the file, which ends in .bmp.
        kind, level: of the distortion; without a level its strength is drawn.
        stream: what its random numbers are drawn from, beside the seed, the purpose and the content of its reference.
    """

    name: str
    kind: str
    level: int | None
    stream: tuple[int | str, ...]


@dataclass(frozen=True)
class ReferenceTask:
    """A reference, the folder for the images that are still to be made of it, and the start of their streams."""

    source: Path
    folder: Path
    seed: int
    purpose: str
    images: tuple[ImageToMake, ...]


@dataclass(frozen=True)
class MadeBy:
    """What made a folder of images; kept in a sealed file beside it."""

    kind: str
    seed: int
    generator_version: int

    def note(self, file: Path) -> None:
        """Write it down, before the first image."""
        write_sealed(file, {"seed": self.seed, "generator_version": self.generator_version}, kind=self.kind)


def finished_images(home: Path, state_file: Path, made_by: MadeBy) -> set[str]:
    """Names of the whole images in a folder. What killed processes left half-written is swept away.

    Raises:
        DataError: they are not ours; mixed with ours, they could not be distinguished.
    """
    names: set[str] = set()
    if home.is_dir():
        with os.scandir(home) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                    os.unlink(entry.path)
                elif entry.name.endswith(".bmp"):
                    names.add(entry.name)
    try:
        state = read_sealed(state_file, kind=made_by.kind)
    except FileNotFoundError:
        state = None
    version, seed = made_by.generator_version, made_by.seed
    if names and state != {"seed": seed, "generator_version": version}:
        found = "another program" if state is None else (
            f"generator version {state['generator_version']} with seed {state['seed']}")
        raise DataError(f"{home}: holds {len(names)} images made by {found}; this is version {version} with seed "
                        f"{seed}. Move that folder away, then start again; nothing was written.")
    return {name for name in names if _is_whole(home / name)}


def make_images(tasks: Sequence[ReferenceTask], processes: int, what: str) -> Generator[str | None, None, None]:
    """Write the images of every task; gives, in their order, None or why the reference cannot be read.

    Args:
        what: whose images they are, for the message.

    Raises:
        RunError: a process died.
        StorageError: the disk is full or the folder cannot be written; what is finished stays.
    """
    if processes == 1 or len(tasks) <= 1:
        before = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield from map(_make, tasks)
        finally:
            cv2.setNumThreads(before)
        return
    pool = ProcessPoolExecutor(
        min(processes, len(tasks)), mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    try:
        with without_interrupts():  # Ctrl-C reaches the whole group of processes; the parent ends its own
            made = pool.map(_make, tasks, chunksize=min(_SHARE, -(-len(tasks) // processes)))
        yield from made
    except BrokenProcessPool as error:
        raise RunError(
            f"{what}: a process that made images died (killed, or out of memory). Start again, with fewer processes "
            f"where memory is short; finished images are kept."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _is_whole(path: Path) -> bool:
    """Whether a file has the length that its BMP header states (bytes 2 to 5): a copy cut short has not."""
    with open(path, "rb") as handle:
        head = handle.read(6)
        return head[:2] == b"BM" and int.from_bytes(head[2:], "little") == os.fstat(handle.fileno()).st_size


def _start_worker() -> None:
    # The processes share the cores already.
    cv2.setNumThreads(1)


def _make(task: ReferenceTask) -> str | None:
    try:
        pixels = decode(task.source)
    except DataError as error:
        return str(error)
    content = content_hash(pixels)
    for image in task.images:
        stream = derive_seed(task.seed, task.purpose, content, *image.stream)
        rng = np.random.Generator(np.random.PCG64(stream))
        if image.level is None:
            made = distort_by_chance(pixels, image.kind, rng)
        else:
            made = distort(pixels, image.kind, image.level, rng)
        with atomic_path(task.folder / image.name) as part:
            Image.fromarray(made).save(part, "BMP")
    return None
