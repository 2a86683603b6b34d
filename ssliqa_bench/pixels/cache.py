"""Decoded images of a dataset, whole and lossless, in one flat file per (dataset fingerprint, working size).

A cache is a folder with `pixels.u8` (the images one after the other, row by row, RGB) and `index.json` (names,
sizes and content hashes). The content hashes are the checksums: when a cache is opened, every image is read and
compared, unless `verified.json` says that this very file (size and modification time) passed before.
"""

from __future__ import annotations

import logging
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import PIL
from numpy.typing import NDArray

from ssliqa_bench.caches import cache_lock, keep
from ssliqa_bench.errors import CorruptFileError, DataError, StorageError
from ssliqa_bench.files import atomic_path, digest, read_sealed, set_aside, write_sealed
from ssliqa_bench.pixels.decode import PIXELS_VERSION, Picture, content_hash, open_picture, resize_short
from ssliqa_bench.pixels.formats import decoders

LOG = logging.getLogger("ssliqa_bench")

# Called with the number of images done and the number of all.
Progress = Callable[[int, int], None]
# Applies a function to every item and gives the results in the order of the items, as `map` does.
Over = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

_FLAT, _INDEX, _STAMP = "pixels.u8", "index.json", "verified.json"


class ImageFiles(Protocol):
    """Named image files of a dataset, as a table has them."""

    @property
    def dataset(self) -> str:
        """Id of the dataset, for messages."""

    @property
    def name(self) -> tuple[str, ...]:
        """One unique name per image."""

    @property
    def path(self) -> tuple[str, ...]:
        """The file of each image."""

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Pixels:
    """The images of a table, by row.

    Attributes:
        hashes: content hash of each row's picture (shape and pixels); "" for an unreadable one.
        bad: row -> why its file could not be read; empty unless such images were to be skipped.
        sizes: height and width of each row's picture; (0, 0) for an unreadable one.
        blended: rows with transparent pixels, which were blended onto the background.
        converted: rows whose colours were converted to sRGB from an embedded ICC profile.
    """

    hashes: tuple[str, ...]
    bad: Mapping[int, str]
    _file: BinaryIO | None
    _offsets: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    blended: tuple[int, ...] = ()
    converted: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.hashes)

    def image(self, row: int) -> NDArray[np.uint8]:
        """The whole image of a row, uint8 (H, W, 3), a read-only view of the file.

        Only this image is mapped, for as long as the array lives: pages of a mapped file count as memory of the
        process that looked at them.

        Raises:
            DataError: the row is one of `bad`.
        """
        if row in self.bad:
            raise DataError(self.bad[row])
        (height, width), start = self.sizes[row], self._offsets[row]
        assert self._file is not None  # only a cache without any readable image has no file
        first = start - start % mmap.ALLOCATIONGRANULARITY
        size = height * width * 3
        pages = mmap.mmap(self._file.fileno(), start - first + size, access=mmap.ACCESS_READ, offset=first)
        return np.frombuffer(pages, dtype=np.uint8, count=size, offset=start - first).reshape(height, width, 3)


def open_pixels(
    table: ImageFiles,
    fingerprint: str,
    short_side: int | None,
    cache_root: Path,
    *,
    skip_bad: bool = False,
    progress: Progress | None = None,
    over: Over = map,
) -> Pixels:
    """The decoded images of a table, from the cache or decoded now, one image in memory at a time.

    Safe with several processes: the first one decodes, the others wait for it. A cache file that does not match
    its checksums is set aside, said, and made again.

    Args:
        short_side: None for images as they are, else the short side (pixels) that each is resized to.
        skip_bad: list unreadable images in `Pixels.bad` instead of stopping.
        over: `map`, or what shares the decoding among processes; the cache is the same, byte for byte.

    Raises:
        DataError: images are unreadable (how many, the first one's reason).
        StorageError: the disk is full or the cache cannot be written.
    """
    folder = _folder(fingerprint, short_side, cache_root)
    with cache_lock(folder.with_name(f"{folder.name}.lock")):
        index = _verified(folder, table)
        if index is not None and index["bad"] and index.get("decoders") != decoders():
            index = None  # what could not be decoded then may be decoded now
        if index is None:
            _build(folder, table, short_side, progress, over)
            index = _verified(folder, table)
        if index is None:
            raise StorageError(f"{folder}: what was written does not read back the same; the disk may be failing.")
        pixels = _opened(folder, index, table)
    if pixels.bad and not skip_bad:
        first = pixels.bad[min(pixels.bad)]
        raise DataError(f"{table.dataset}: {len(pixels.bad)} of {len(table)} images are unreadable. First: {first} "
                        f"Repair the files, or leave them out with --skip-bad; the record counts them.")
    return pixels


def unreadable(
    table: ImageFiles, fingerprint: str, short_side: int | None, cache_root: Path
) -> frozenset[int] | None:
    """Rows of a table whose files cannot be read, as they were found when it was decoded; None where it never was.

    Args:
        short_side: as for `open_pixels`.
    """
    try:
        index = read_sealed(_folder(fingerprint, short_side, cache_root) / _INDEX, kind="pixel-cache")
    except (FileNotFoundError, CorruptFileError):
        return None
    return frozenset(row for row, name in enumerate(table.name) if name in index["bad"])


def reread(folder: Path) -> str | None:
    """Read a cache again whatever its size and time; why it is damaged, in which case it was set aside, else None."""
    with cache_lock(folder.with_name(f"{folder.name}.lock")):
        try:
            index = read_sealed(folder / _INDEX, kind="pixel-cache")
            (folder / _STAMP).unlink(missing_ok=True)
            _verify_flat(folder, index)
        except FileNotFoundError:
            return None  # never completed
        except CorruptFileError as error:
            return f"{error} Set aside as {set_aside(folder).name}; the images are decoded again when needed."
    return None


def _folder(fingerprint: str, short_side: int | None, cache_root: Path) -> Path:
    # Another Pillow may decode the same file to other pixels.
    key = digest({"fingerprint": fingerprint, "working_size": {"short_side": short_side} if short_side else None,
                  "pixels": PIXELS_VERSION, "pillow": PIL.__version__})[:40]
    return Path(cache_root) / "pixels" / key


def _build(folder: Path, table: ImageFiles, short_side: int | None, progress: Progress | None, over: Over) -> None:
    # Without an index this is what a killed process left behind.
    shutil.rmtree(folder, ignore_errors=True)
    path_of = dict(zip(table.name, table.path, strict=True))
    # In the order of names, so that the same files give the same cache whatever the reader's order.
    names = sorted(path_of)
    sizes: list[list[int]] = []
    hashes: list[str] = []
    bad: dict[str, str] = {}
    blended: list[str] = []
    converted: list[str] = []
    decoded = over(partial(_decoded, short_side), [path_of[name] for name in names])
    with atomic_path(folder / _FLAT) as part, open(part, "wb") as flat:
        for done, (name, (picture, content, reason)) in enumerate(zip(names, decoded, strict=True), start=1):
            if picture is None:
                bad[name] = reason
                sizes.append([0, 0])
            else:
                flat.write(picture.pixels.data)
                sizes.append(list(picture.pixels.shape[:2]))
                blended += [name] if picture.blended else []
                converted += [name] if picture.profile else []
            hashes.append(content)
            if progress is not None:
                progress(done, len(names))
    index = {"dataset": table.dataset, "names": names, "sizes": sizes, "hashes": hashes, "bad": bad,
             "blended": blended, "converted": converted, "decoders": decoders()}
    write_sealed(folder / _INDEX, index, kind="pixel-cache")


def _decoded(side: int | None, path: str) -> tuple[Picture | None, str, str]:
    """The picture at the working size and its content hash; without one, why the file cannot be read."""
    try:
        picture = open_picture(path)
    except DataError as error:
        return None, "", str(error)
    pixels = picture.pixels if side is None else resize_short(picture.pixels, side)
    pixels = np.ascontiguousarray(pixels)
    return replace(picture, pixels=pixels), content_hash(pixels), ""


def _verified(folder: Path, table: ImageFiles) -> dict[str, Any] | None:
    """The index of a sound cache; None where there is none, or where it was damaged and is now set aside."""
    try:
        index = read_sealed(folder / _INDEX, kind="pixel-cache")
        if index["names"] != sorted(table.name):
            raise CorruptFileError(f"{folder / _INDEX}: lists other images than the dataset.")
        _verify_flat(folder, index)
    except FileNotFoundError:
        if not (folder / _INDEX).exists():
            return None
        reason = f"{folder / _FLAT}: is missing."
    except CorruptFileError as error:
        reason = str(error)
    else:
        return index
    LOG.warning("%s Set aside as %s; the images are decoded again.", reason, set_aside(folder))
    return None


def _verify_flat(folder: Path, index: Mapping[str, Any]) -> None:
    flat = folder / _FLAT
    status = os.stat(flat)
    expected = sum(height * width * 3 for height, width in index["sizes"])
    if status.st_size != expected:
        raise CorruptFileError(f"{flat}: has {status.st_size} bytes; expected {expected}.")
    stamp = {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "index": digest(index)}
    try:
        if read_sealed(folder / _STAMP, kind="pixel-stamp") == stamp:
            return
    except (FileNotFoundError, CorruptFileError):
        pass  # verify, and write a new one
    # Read in the ordinary way: pages of a memory map would count as this process's memory.
    with open(flat, "rb") as handle:
        for name, (height, width), stated in zip(index["names"], index["sizes"], index["hashes"], strict=True):
            if not stated:
                continue
            pixels = np.frombuffer(handle.read(height * width * 3), dtype=np.uint8).reshape(height, width, 3)
            if content_hash(pixels) != stated:
                raise CorruptFileError(f"{flat}: the pixels of {name} do not match their checksum.")
    keep(folder / _STAMP, stamp, kind="pixel-stamp")


def _opened(folder: Path, index: Mapping[str, Any], table: ImageFiles) -> Pixels:
    slots = {name: slot for slot, name in enumerate(index["names"])}
    offsets = np.cumsum([0, *(height * width * 3 for height, width in index["sizes"])]).tolist()
    order = [slots[name] for name in table.name]
    return Pixels(
        hashes=tuple(index["hashes"][slot] for slot in order),
        bad={row: index["bad"][name] for row, name in enumerate(table.name) if name in index["bad"]},
        _file=open(folder / _FLAT, "rb") if offsets[-1] else None,
        _offsets=tuple(offsets[slot] for slot in order),
        sizes=tuple(tuple(index["sizes"][slot]) for slot in order),
        blended=_rows(table, index["blended"]),
        converted=_rows(table, index["converted"]),
    )


def _rows(table: ImageFiles, names: Iterable[str]) -> tuple[int, ...]:
    wanted = set(names)
    return tuple(row for row, name in enumerate(table.name) if name in wanted)
