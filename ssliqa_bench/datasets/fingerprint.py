"""What identifies a dataset: its file bytes, image names and scores."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.references import References, references_of
from ssliqa_bench.errors import CorruptFileError, DataError
from ssliqa_bench.files import (
    canonical_json,
    digest,
    exclusive_lock,
    finite_or_none,
    read_sealed,
    set_aside,
    sha256_file,
    write_sealed,
)
from ssliqa_bench.types import Table

LOG = logging.getLogger("ssliqa_bench")

_KIND = "file-hashes"


class ReadDataset:
    """A table with what is only worked out when it is asked for, once: the hashes of its files, its fingerprint."""

    def __init__(self, table: Table, cache_root: Path) -> None:
        self.table = table
        self._cache_root = cache_root

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every image file, by path."""
        cache = Path(self._cache_root) / "hashes" / f"{self.table.dataset}.json"
        return file_hashes(self.table.path, cache=cache)

    @cached_property
    def fingerprint(self) -> str:
        """As `fingerprint`."""
        return _fingerprint(self.table, self.hashes)

    @cached_property
    def references(self) -> References | None:
        """The reference images of the dataset, if it has any."""
        return references_of(self.table)

    @cached_property
    def reference_fingerprint(self) -> str | None:
        """64 hexadecimal digits over which image has which reference file; None without references."""
        if self.references is None:
            return None
        pristine = ReadDataset(self.references.table, self._cache_root)
        names = (*pristine.table.name, None)  # -1: none
        return digest([pristine.fingerprint, sorted(zip(self.table.name, (names[r] for r in self.references.row_of)))])


def fingerprint(table: Table, cache_root: Path) -> str:
    """64 hexadecimal digits over (name, SHA-256 of the file, score) of every image, whatever the reader's order.

    Scores are taken as the table has them, higher is better. File hashes are cached by path, size and time.
    """
    return ReadDataset(table, cache_root).fingerprint


def _fingerprint(table: Table, hashes: Mapping[str, str]) -> str:
    hasher = hashlib.sha256()
    for name, path, score in sorted(zip(table.name, table.path, table.score.tolist(), strict=True)):
        hasher.update(canonical_json([name, hashes[path], finite_or_none(score)]).encode() + b"\n")
    return hasher.hexdigest()


def file_hashes(paths: Iterable[str], cache: Path | None = None) -> dict[str, str]:
    """SHA-256 of files by path; with `cache`, a file of known size and modification time is not read again.

    Raises:
        DataError: a file cannot be read.
    """
    if cache is None:
        return {path: sha256_file(path) for path in paths}
    # One process reads the files, others that want the same wait for what it finds.
    with exclusive_lock(cache.with_suffix(".lock")):
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
            write_sealed(cache, {"files": {**known, **found}}, kind=_KIND)
    return {path: entry[2] for path, entry in found.items()}


def _read_cache(cache: Path) -> dict[str, list[Any]]:
    try:
        files: dict[str, list[Any]] = read_sealed(cache, kind=_KIND)["files"]
        return files
    except FileNotFoundError:
        return {}
    except CorruptFileError as error:
        LOG.warning("%s Set aside as %s; the files are read again.", error, set_aside(cache))
        return {}
