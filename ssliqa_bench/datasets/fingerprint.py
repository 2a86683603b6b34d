"""What identifies a dataset: its file bytes, image names and scores."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.datasets.references import References, references_of
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.files import (
    canonical_json,
    digest,
    finite_or_none,
)

LOG = logging.getLogger("ssliqa_bench")



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
    def reference_hashes(self) -> tuple[str | None, ...]:
        """SHA-256 of the reference file of every row; None where it has none."""
        if self.references is None:
            return (None,) * len(self.table)
        pristine = ReadDataset(self.references.table, self._cache_root)
        paths = pristine.table.path
        return tuple(None if row < 0 else pristine.hashes[paths[row]] for row in self.references.row_of)

    @cached_property
    def reference_fingerprint(self) -> str | None:
        """64 hexadecimal digits over which image has which reference file; None without references."""
        if self.references is None:
            return None
        pristine = ReadDataset(self.references.table, self._cache_root)
        names = (*pristine.table.name, None)  # -1: none
        return digest([pristine.fingerprint, sorted(zip(self.table.name, (names[r] for r in self.references.row_of)))])


def fingerprint(table: Table, cache_root: Path) -> str:
    """64 hexadecimal digits over (name, SHA-256 of the file, score) of every image, whatever the reader's order, and
    over the model by which scores follow from individual ratings, where they do.

    Scores are taken as the table has them, higher is better. File hashes are cached by path, size and time.
    """
    return ReadDataset(table, cache_root).fingerprint


def _fingerprint(table: Table, hashes: Mapping[str, str]) -> str:
    hasher = hashlib.sha256()
    if model := table.facts.get("ratings_model"):
        hasher.update(canonical_json(["ratings", model]).encode() + b"\n")
    for name, path, score in sorted(zip(table.name, table.path, table.score.tolist(), strict=True)):
        hasher.update(canonical_json([name, hashes[path], finite_or_none(score)]).encode() + b"\n")
    return hasher.hexdigest()




