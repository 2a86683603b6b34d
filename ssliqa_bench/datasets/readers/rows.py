"""Delimited text files, cell by cell, with the line that each row stands on."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssliqa_bench.errors import DataError, near_names
from ssliqa_bench.types import FloatArray


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


def read_rows(path: Path, separator: str = ",", columns: Sequence[str] = ()) -> Rows:
    """Read a delimited text file: UTF-8, with or without BOM, any line ends, blank lines skipped.

    Args:
        separator: one character; a space stands for any number of them.
        columns: names of the columns of a file without header line; else the first line is the header.

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
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=separator == " ")
    header = tuple(columns)
    lines: list[int] = []
    cells: list[tuple[str, ...]] = []
    try:
        for found in reader:
            row = tuple(cell.strip() for cell in found)
            if separator == " ":
                row = tuple(cell for cell in row if cell)
            if not any(row):
                continue
            if not header:
                header = row
            elif len(row) != len(header):
                raise DataError(f"{source}:{reader.line_num}: {len(row)} cells; expected {len(header)} "
                                f"({', '.join(header)}).")
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
