"""SHA-256 of many files, cached by path, size and modification time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ssliqa_bench.caches import cache_lock, keep
from ssliqa_bench.errors import CorruptFileError, DataError
from ssliqa_bench.files import read_sealed, set_aside, sha256_file

LOG = logging.getLogger("ssliqa_bench")

_KIND = "file-hashes"


def file_hashes(paths: Iterable[str], cache: Path | None = None) -> dict[str, str]:
    """SHA-256 of files by path; with `cache`, a file of known size and modification time is not read again.

    Raises:
        DataError: a file cannot be read.
    """
    if cache is None:
        return {path: sha256_file(path) for path in paths}
    # One process reads the files, others that want the same wait for what it finds.
    with cache_lock(cache.with_suffix(".lock")):
        known = _read_cache(cache)
        found: dict[str, list[Any]] = {}
        for path in paths:
            try:
                status = os.stat(path)
                entry = known.get(path)
                if entry is None or entry[:2] != [status.st_size, status.st_mtime_ns]:
                    entry = [status.st_size, status.st_mtime_ns, sha256_file(path)]
            except OSError as error:
                raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
            found[path] = entry
        if any(known.get(path) != entry for path, entry in found.items()):
            keep(cache, {"files": {**known, **found}}, kind=_KIND)
    return {path: entry[2] for path, entry in found.items()}


def reread(cache: Path) -> list[str]:
    """Read every file that a cache knows again; the paths of those that changed without another size or time.

    The cache then holds what was read, so that whoever asks next sees the change.
    """
    found = []
    with cache_lock(cache.with_suffix(".lock")):
        known = _read_cache(cache)
        for path, entry in known.items():
            try:
                status = os.stat(path)
                if entry[:2] == [status.st_size, status.st_mtime_ns] and (now := sha256_file(path)) != entry[2]:
                    entry[2] = now
                    found.append(path)
            except OSError:
                continue  # file_hashes reports it to whoever needs it
        if found:
            keep(cache, {"files": known}, kind=_KIND)
    return sorted(found)


def _read_cache(cache: Path) -> dict[str, list[Any]]:
    try:
        files: dict[str, list[Any]] = read_sealed(cache, kind=_KIND)["files"]
        return files
    except FileNotFoundError:
        return {}
    except CorruptFileError as error:
        LOG.warning("%s Set aside as %s; the files are read again.", str(error), set_aside(cache))
        return {}
