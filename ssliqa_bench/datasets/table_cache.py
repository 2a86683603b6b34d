"""Tables that took long to read, kept until a file behind them changes.

A finished run is answered from the store without importing scipy or reading a workbook: what a reader made of
the label files is kept beside the decoded images, under the reader's code, its options and the folder, together
with the size and modification time of every file that it opened.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssliqa_bench.caches import keep
from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.files import digest, read_sealed, set_aside, sha256_file

if TYPE_CHECKING:
    from ssliqa_bench.datasets.table import RawTable
    from ssliqa_bench.registry.schema import DatasetEntry

LOG = logging.getLogger("ssliqa_bench")

_KIND = "table"
_NUMBERS = ("score", "rating_std", "distribution", "n_ratings")


class KeptTable:
    """The place of one dataset's table."""

    def __init__(self, home: Path, entry: DatasetEntry, folder: Path, reader: Callable[..., RawTable]) -> None:
        source = getattr(sys.modules.get(reader.__module__), "__file__", None)
        # A reader leans on the files beside it.
        code = {path.name: sha256_file(path) for path in sorted(Path(source).parent.glob("*.py"))} if source else None
        self._path = home / "{}-{}.json".format(
            entry.name,
            digest(
                {
                    "reader": entry.reader,
                    "code": code,
                    "options": dict(entry.options),
                    "folder": os.path.abspath(folder),
                }
            )[:32],
        )

    def load(self) -> RawTable | None:
        """What was kept; None where nothing was, where it is damaged (set aside and said) or out of date."""
        from ssliqa_bench.datasets.table import RawTable

        try:
            kept = read_sealed(self._path, kind=_KIND)
        except FileNotFoundError:
            return None
        except CorruptFileError as error:
            LOG.warning("%s Set aside as %s; the label files are read again.", str(error), set_aside(self._path))
            return None
        if kept["files"] != _stamps(kept["columns"]["reads"]):
            return None
        columns: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in kept["columns"].items()
        }
        for name in _NUMBERS:
            if columns.get(name) is not None:
                columns[name] = np.array(kept["columns"][name], dtype=np.float64)  # null is NaN
        return RawTable(**columns)

    def save(self, raw: RawTable) -> None:
        """Keep a table whose reader names the files that it opened."""
        if not raw.reads:
            return
        columns: dict[str, Any] = {field.name: getattr(raw, field.name) for field in fields(raw)}
        for name in _NUMBERS:
            if columns[name] is not None:
                columns[name] = _without_nan(columns[name].tolist())
        keep(self._path, {"files": _stamps(raw.reads), "columns": columns}, kind=_KIND)


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value if math.isfinite(value) else None


def _stamps(paths: tuple[str, ...] | list[str]) -> list[list[Any]] | None:
    try:
        return [[path, status.st_size, status.st_mtime_ns] for path in paths for status in [os.stat(path)]]
    except OSError:
        return None
