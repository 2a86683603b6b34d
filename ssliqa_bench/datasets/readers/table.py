"""The generic format, which any dataset can be brought to: one delimited text file and a folder of images."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.rows import Rows, read_rows
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.types import FloatArray

TEXT_COLUMNS = ("reference", "group", "distortion", "level", "split", "role", "part")
_NUMBER_COLUMNS = ("rating_std", "n_ratings")
_OPTIONS = ("labels", "images", "references", "columns", "separator", "unlabeled")
_LEVEL = re.compile(r"c([1-9]\d*)")


def read_csv(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read the generic format: one delimited text file with a header, one row per image.

    Columns: `image` and `score`, and where present `rating_std`, `n_ratings`, `c1` … `cP` (ratings per
    level, lowest level first), `reference`, `group`, `distortion`, `level`, `split`, `role`, `part`. Others are
    ignored.

    Args:
        folder: the dataset's folder; the paths below are relative to it.
        options:
            labels: the text file (default `labels.csv`); images, references: folders (`images`, `refs`).
            columns: our column name -> the file's, for example {"image": "dist_img", "score": "dmos"}.
            separator: one character, `,` by default.
            unlabeled: true allows empty score cells, and a file without score column: images without score.

    Raises:
        DataError: with file and line: a column is missing, a number is none, a name leaves the image folder.
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise DataError(f"Reader read_csv: unknown option {', '.join(unknown)}; expected {', '.join(_OPTIONS)}.")
    mapping = dict(options.get("columns") or {})
    known = ("image", "score", *_NUMBER_COLUMNS, *TEXT_COLUMNS)
    strange = sorted(name for name in mapping if name not in known and not _LEVEL.fullmatch(name))
    if strange:
        raise DataError(f"Reader read_csv: option columns names {', '.join(strange)}; expected "
                        f"{', '.join(known)}, c1 …")
    rows = read_rows(folder / str(options.get("labels", "labels.csv")), str(options.get("separator", ",")))

    def there(name: str) -> bool:
        # A column that the entry names must be there; one that it does not name may be missing.
        return name in mapping or name in rows.header

    def in_file(name: str) -> str:
        return str(mapping.get(name, name))

    unlabeled = options.get("unlabeled", False)
    if not isinstance(unlabeled, bool):
        raise DataError(f'Reader read_csv: option unlabeled is "{unlabeled}"; expected true or false.')
    names = tuple(rows.column(in_file("image")))
    if unlabeled and not there("score"):
        score = np.full(len(names), np.nan)
    else:
        score = rows.numbers(in_file("score"), empty_allowed=unlabeled)
    text = {name: tuple(rows.column(in_file(name))) for name in TEXT_COLUMNS if there(name)}
    if "reference" in text:
        text["reference"] = _paths_below(rows, folder / str(options.get("references", "refs")), text["reference"],
                                         empty_allowed=True)
    numbers = {
        name: rows.numbers(in_file(name), empty_allowed=unlabeled) for name in _NUMBER_COLUMNS if there(name)
    }
    return RawTable(
        name=names,
        path=_paths_below(rows, folder / str(options.get("images", "images")), names),
        score=score,
        source=rows.source,
        lines=rows.lines,
        distribution=_distribution(rows, mapping, in_file, unlabeled),
        **numbers,
        **text,
    )


def _distribution(
    rows: Rows, mapping: Mapping[str, str], in_file: Callable[[str], str], empty_allowed: bool
) -> FloatArray | None:
    named = {int(found.group(1)) for name in (*rows.header, *mapping) if (found := _LEVEL.fullmatch(name))}
    count = len(named)
    if count < 2:
        return None
    if max(named) != count:
        missing = next(k for k in range(1, count + 1) if k not in named)
        raise DataError(f"{rows.source}:1: has {count} columns of ratings per level up to c{max(named)}, but no "
                        f"c{missing}; expected c1 to cP.")
    levels = [rows.numbers(in_file(f"c{k}"), empty_allowed=empty_allowed) for k in range(1, count + 1)]
    return np.stack(levels, axis=1)


def _paths_below(rows: Rows, folder: Path, names: Sequence[str], *, empty_allowed: bool = False) -> tuple[str, ...]:
    """The absolute path of each name; an empty name stays empty where that is allowed."""
    home = os.path.abspath(folder)
    paths = []
    for i, name in enumerate(names):
        # Names reach records and boards, where a path of this machine has no place.
        if os.path.isabs(name) or ".." in name.split("/") or not (name or empty_allowed):
            found = f'"{name}"' if name else "nothing"
            raise DataError(f"{rows.source}:{rows.lines[i]}: image name is {found}; expected a name below {folder}.")
        paths.append(os.path.join(home, name) if name else "")
    return tuple(paths)
