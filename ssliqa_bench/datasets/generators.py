"""Datasets that are made on first use: whole or absent, checked against their checksums, made again when damaged."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ssliqa_bench.caches import cache_lock
from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.errors import CorruptFileError, StorageError
from ssliqa_bench.files import read_sealed, set_aside, write_sealed

LOG = logging.getLogger("ssliqa_bench")

_MARKER = "generated.json"
_KIND = "generated-dataset"


def generated_folder(name: str, home: Path, generator: Callable[[Path], None], hashes: Path) -> Path:
    """The folder `home/name` of a generated dataset, made by its generator when it is not there.

    Args:
        name: dataset and generator version; another version is another folder.
        generator: fills the empty folder that it is called with.
        hashes: where known file hashes are kept, so that later calls only look at sizes and times.

    Raises:
        StorageError: the disk is full or the folder cannot be written; nothing half-made stays.
    """
    folder = home / name
    try:
        with cache_lock(home / f"{name}.lock"):
            if folder.exists() and not _is_whole(folder, hashes):
                aside = set_aside(folder)
                LOG.warning("%s: its generated files were damaged; set aside as %s and made again.", name, aside)
            if not folder.exists():
                _make(folder, generator)
    except OSError as error:
        raise StorageError(f"{name}: could not make its files in {folder}: {error.strerror or error}. Free space "
                           f"there or set SSLIQA_CACHE to another folder, then run the same command again."
                           ) from error
    return folder


def _make(folder: Path, generator: Callable[[Path], None]) -> None:
    LOG.info("%s: making its images in %s (first use).", folder.name, folder)
    # A fixed name, so that what a killed process left is swept away by the next one under the same lock.
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        generator(part)
        files = {_relative(path, part): sha for path, sha in file_hashes(_files(part)).items()}
        write_sealed(part / _MARKER, {"files": files}, kind=_KIND)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_whole(folder: Path, hashes: Path) -> bool:
    """Whether the folder holds exactly the files, byte for byte, that the generator once left there."""
    try:
        marker = read_sealed(folder / _MARKER, kind=_KIND)
    except (CorruptFileError, FileNotFoundError):
        return False
    found = {_relative(path, folder): sha for path, sha in file_hashes(_files(folder), hashes).items()}
    return bool(found == marker["files"])


def _files(folder: Path) -> list[str]:
    return sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name != _MARKER
    )


def _relative(path: str, folder: Path) -> str:
    return path.removeprefix(f"{folder}{os.sep}").replace(os.sep, "/")  # pathlib takes a tenth of a start for that
