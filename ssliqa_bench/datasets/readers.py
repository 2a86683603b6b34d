"""Readers, one per format on disk: from a dataset's folder to a RawTable in the dataset's own direction."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.base import RawTable
from ssliqa_bench.errors import DataError, near_names
from ssliqa_bench.types import FloatArray

TEXT_COLUMNS = ("reference", "group", "distortion", "level", "split", "role")
_OPTIONS = ("labels", "images", "references", "columns", "separator", "unlabeled")
_LEVEL = re.compile(r"c([1-9]\d*)")


@dataclass(frozen=True)
class Rows:
    """A delimited text file: its header, and the cells of each data row with the line it stands on."""

    source: str
    header: tuple[str, ...]
    lines: tuple[int, ...]
    cells: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        """The cells of a column.

        Raises:
            DataError: there is no such column; names the ones there are.
        """
        if name not in self.header:
            near = near_names(name, self.header)
            hint = f' Is it "{near[0]}"?' if near else ""
            raise DataError(f'{self.source}:1: no column "{name}"; found {", ".join(self.header)}.{hint}')
        position = self.header.index(name)
        return [row[position] for row in self.cells]

    def numbers(self, name: str, *, empty_allowed: bool = False) -> FloatArray:
        """A column as float64; with `empty_allowed` an empty cell is NaN.

        Raises:
            DataError: a cell is empty, no number, NaN or infinite.
        """
        values = np.empty(len(self.cells))
        for i, cell in enumerate(self.column(name)):
            if not cell and empty_allowed:
                values[i] = math.nan
                continue
            try:
                values[i] = float(cell)
            except ValueError:
                values[i] = math.nan
            if not math.isfinite(values[i]):
                found = f'"{cell}"' if cell else "nothing"
                raise DataError(f"{self.source}:{self.lines[i]}: {name} is {found}; expected a finite number.")
        return values


def read_rows(path: Path, separator: str = ",") -> Rows:
    """Read a delimited text file with a header line: UTF-8, with or without BOM, any line ends, blank lines skipped.

    Raises:
        DataError: no such file, not UTF-8, no header, a column named twice, or a row with another number of cells.
    """
    source = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{source}: no such file.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8 text (byte {error.start}).") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header: tuple[str, ...] = ()
    lines: list[int] = []
    cells: list[tuple[str, ...]] = []
    try:
        for found in reader:
            row = tuple(cell.strip() for cell in found)
            if not any(row):
                continue
            if not header:
                header = row
            elif len(row) != len(header):
                raise DataError(f"{source}:{reader.line_num}: {len(row)} cells; expected {len(header)}, as in the "
                                f"header ({', '.join(header)}).")
            else:
                lines.append(reader.line_num)
                cells.append(row)
    except csv.Error as error:
        raise DataError(f"{source}:{reader.line_num}: {error}.") from error
    if not header:
        raise DataError(f"{source}: is empty; expected a header line.")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{source}:1: column {', '.join(twice)} stands there twice.")
    return Rows(source, header, tuple(lines), tuple(cells))


def read_csv(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read the generic format: one delimited text file with a header, one row per image.

    Columns: `image` and `score`, and where present `rating_std`, `c1` … `cP` (ratings per level, lowest level
    first), `reference`, `group`, `distortion`, `level`, `split`, `role`. Others are ignored.

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
    known = ("image", "score", "rating_std", *TEXT_COLUMNS)
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
    return RawTable(
        name=names,
        path=_paths_below(rows, folder / str(options.get("images", "images")), names),
        score=score,
        source=rows.source,
        lines=rows.lines,
        rating_std=rows.numbers(in_file("rating_std"), empty_allowed=unlabeled) if there("rating_std") else None,
        distribution=_distribution(rows, there, in_file, unlabeled),
        **text,
    )


def _distribution(
    rows: Rows, there: Callable[[str], bool], in_file: Callable[[str], str], empty_allowed: bool
) -> FloatArray | None:
    count = 0
    while there(f"c{count + 1}"):
        count += 1
    if count < 2:
        return None
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
