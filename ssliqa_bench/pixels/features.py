"""Features of fixed views of a dataset's images, kept on disk: what learners train a head on when no network is tuned.

Every image is shown to a frozen network in the same fourteen views: four weak ones, four strong ones, five test crops
and the whole image. A cache is a folder per (files, network with its code and weights, decoder) with shards of 256
images and, once all are there, one flat file `features.f16` and `index.json`. Work that was interrupted resumes after
its last whole shard.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL
from numpy.typing import NDArray

from ssliqa_bench.errors import CorruptFileError, DataError
from ssliqa_bench.files import atomic_path, digest, exclusive_lock, read_sealed, set_aside, sha256_file, write_sealed
from ssliqa_bench.pixels.decode import PIXELS_VERSION, content_hash, open_picture
from ssliqa_bench.types import ByteImage

if TYPE_CHECKING:
    from ssliqa_bench.pixels.cache import ImageFiles, Progress

LOG = logging.getLogger("ssliqa_bench")

# Raised by one when the views below, or what is kept of them, change.
VIEWS_VERSION = 1
# How many views of each kind are in a row, in this order.
VIEWS: Mapping[str, int] = {"weak": 4, "strong": 4, "test": 5, "whole": 1}
_FIRST = {"weak": 0, "strong": 4, "test": 8, "whole": 13}
CROP = 160  # side of all crops, pixels
WHOLE = 384  # short side of the whole image, pixels
_ROW = sum(VIEWS.values())
_SHARD = 256
_FLAT, _INDEX = "features.f16", "index.json"

# Features (views, d), float32, of one decoded image with its content hash.
Extract = Callable[[ByteImage, str], NDArray[np.float32]]


@dataclass(frozen=True)
class Network:
    """What the features come from.

    Attributes:
        name: for messages.
        identity: everything about the network that decides a feature: class, arguments, weights, library versions.
        code: hashes of all code behind a feature, which keys of stages hold by themselves.
        features: length d of a vector.
        make: builds the extractor; called only where features are missing.
    """

    name: str
    identity: Mapping[str, Any]
    code: Mapping[str, Any]
    features: int
    make: Callable[[], Extract] = field(compare=False)

    @property
    def key(self) -> str:
        """Hash (64 digits) of the network, its code, the views and the decoder: what a cache of features is found
        under."""
        return digest({**self.part, "code": dict(self.code)})

    @property
    def versions(self) -> dict[str, Any]:
        """Versions of the views and of the decoder."""
        return {"views": VIEWS_VERSION, "pixels": PIXELS_VERSION, "pillow": PIL.__version__}

    @property
    def part(self) -> dict[str, Any]:
        """As keys of stages that read features hold it: without the class, whose code they hold."""
        return {**self.identity, "backbone": self.identity["backbone"]["arguments"], **self.versions}


@dataclass(frozen=True)
class Features:
    """Features of the images of a table, by row: a source of image sets without pixels.

    Attributes:
        hashes: content hash of each row's picture; "" for an unreadable one.
        bad: row -> why its file could not be read; empty unless such images were to be skipped.
        sizes: height and width of each row's picture.
        network: key of the network.
    """

    hashes: tuple[str, ...]
    bad: Mapping[int, str]
    sizes: tuple[tuple[int, int], ...]
    network: str
    _slots: tuple[int, ...]
    _values: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.hashes)

    def image(self, row: int) -> ByteImage:
        """Refused: these are features, not pixels.

        Raises:
            DataError: always.
        """
        raise DataError(
            "This learner looks at pixels, and its backbone is a head on frozen features, which has none. Choose a "
            'backbone that takes pixels: "ssliqa-bench list backbones" shows all.'
        )

    def views(self, row: int, kind: str) -> NDArray[np.float16]:
        """Features (k, d) of the views of a kind (`VIEWS`) of one image."""
        first = _FIRST[kind]
        return self._values[self._slots[row], first : first + VIEWS[kind]]


def open_features(
    table: ImageFiles,
    files: Mapping[str, str],
    network: Network,
    cache_root: Path,
    *,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Features:
    """The features of a table's images, from the cache or computed now.

    Args:
        files: SHA-256 of every image file, by path.
        skip_bad: list unreadable images in `Features.bad` instead of stopping.
        progress: is given the number of images done and the number of all.

    Raises:
        DataError: images are unreadable.
        StorageError: the disk is full or the cache cannot be written.
    """
    distinct = sorted({files[path] for path in table.path})
    path_of = {files[path]: path for path in reversed(table.path)}
    folder = _folder(network, distinct, cache_root)
    with exclusive_lock(folder.with_name(f"{folder.name}.lock")):
        index = _index(folder)
        if index is None:
            _compute(folder, [path_of[file] for file in distinct], network, progress)
            index = _assemble(folder, table.dataset, distinct, network)
    mapped = np.memmap(folder / _FLAT, dtype=np.float16, mode="r", shape=(len(distinct), _ROW, network.features))
    values = mapped.view(np.ndarray)  # a slice of a memmap costs ten times that of an array
    slot_of = {file: slot for slot, file in enumerate(distinct)}
    slots = tuple(slot_of[files[path]] for path in table.path)
    bad = {row: index["bad"][str(slot)] for row, slot in enumerate(slots) if str(slot) in index["bad"]}
    if bad and not skip_bad:
        raise DataError(
            f"{table.dataset}: {len(bad)} of {len(table)} images are unreadable. First: {bad[min(bad)]} "
            f"Fix the files, or leave them out with --skip-bad; the record counts them."
        )
    return Features(
        hashes=tuple(index["hashes"][slot] for slot in slots),
        bad=bad,
        sizes=tuple((index["sizes"][slot][0], index["sizes"][slot][1]) for slot in slots),
        network=network.key,
        _slots=slots,
        _values=values,
    )


def unreadable(
    table: ImageFiles, files: Mapping[str, str], network: Network, cache_root: Path
) -> frozenset[int] | None:
    """Rows of a table whose files cannot be read, as found when their features were computed; None where none were.

    Args:
        files: as for `open_features`.
    """
    distinct = sorted({files[path] for path in table.path})
    try:
        index = read_sealed(_folder(network, distinct, cache_root) / _INDEX, kind="feature-cache")
    except (FileNotFoundError, CorruptFileError):
        return None
    bad = {distinct[int(slot)] for slot in index["bad"]}
    return frozenset(row for row, path in enumerate(table.path) if files[path] in bad)


def _folder(network: Network, files: Sequence[str], cache_root: Path) -> Path:
    return Path(cache_root) / "features" / digest([network.key, files])[:40]


def _index(folder: Path) -> dict[str, Any] | None:
    """The index of a complete cache; None where there is none, or where it was damaged and is now set aside."""
    try:
        index = read_sealed(folder / _INDEX, kind="feature-cache")
        flat = folder / _FLAT
        status = os.stat(flat)
        if [status.st_size, status.st_mtime_ns] != index["stamp"] and sha256_file(flat) != index["sha256"]:
            raise CorruptFileError(f"{flat}: content does not match its checksum.")
    except FileNotFoundError:
        return None
    except CorruptFileError as error:
        LOG.warning("%s Set aside as %s; the features are computed again.", error, set_aside(folder).name)
        return None
    return index


def _shard_path(folder: Path, first: int) -> Path:
    return folder / f"shard-{first:07d}.npz"


def _compute(folder: Path, paths: Sequence[str], network: Network, progress: Progress | None) -> None:
    """Compute every shard that is not there yet."""
    extract: Extract | None = None
    for first in range(0, len(paths), _SHARD):
        shard, part = _shard_path(folder, first), paths[first : first + _SHARD]
        if not shard.is_file():
            extract = extract or network.make()
            values = np.zeros((len(part), _ROW, network.features), dtype=np.float16)
            hashes, sizes, bad = [""] * len(part), np.zeros((len(part), 2), dtype=np.int64), [""] * len(part)
            for k, path in enumerate(part):
                try:
                    pixels = np.ascontiguousarray(open_picture(path).pixels)
                except DataError as error:
                    bad[k] = str(error)
                else:
                    hashes[k], sizes[k] = content_hash(pixels), pixels.shape[:2]
                    values[k] = extract(pixels, hashes[k])
                if progress is not None:
                    progress(first + k + 1, len(paths))
            with atomic_path(shard) as temporary, open(temporary, "wb") as file:
                np.savez(file, values=values, hashes=np.array(hashes), sizes=sizes, bad=np.array(bad))
        elif progress is not None:
            progress(first + len(part), len(paths))


def _assemble(folder: Path, dataset: str, files: Sequence[str], network: Network) -> dict[str, Any]:
    """One flat file of all shards, and the index that marks it as complete."""
    hashes: list[str] = []
    sizes: list[list[int]] = []
    bad: dict[str, str] = {}
    shards = [_shard_path(folder, first) for first in range(0, len(files), _SHARD)]
    with atomic_path(folder / _FLAT) as temporary, open(temporary, "wb") as flat:
        for shard in shards:
            with np.load(shard) as part:
                flat.write(np.ascontiguousarray(part["values"]).tobytes())
                bad |= {str(len(hashes) + k): str(text) for k, text in enumerate(part["bad"].tolist()) if text}
                hashes += part["hashes"].tolist()
                sizes += part["sizes"].tolist()
    status = os.stat(folder / _FLAT)
    index = {
        "dataset": dataset,
        "files": list(files),
        "hashes": hashes,
        "sizes": sizes,
        "bad": bad,
        "network": network.key,
        "sha256": sha256_file(folder / _FLAT),
        "stamp": [status.st_size, status.st_mtime_ns],
    }
    write_sealed(folder / _INDEX, index, kind="feature-cache")
    for shard in shards:
        shard.unlink(missing_ok=True)
    return index
