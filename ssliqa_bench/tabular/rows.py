"""The rows of a table, as text, with the line of each in its file."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssliqa_bench.errors import DataError, near_names
from ssliqa_bench.types import FloatArray

LOG = logging.getLogger("ssliqa_bench")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)  # which may as well be a number with three decimals
_BELOW_THOUSAND = re.compile(r"[+-]?\d{1,3}", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)


def finite_number(text: str) -> float | None:
    """The finite number that a text is in decimal notation, else None.

    What else Python takes for a number (`1_000`, `nan`, digits of other scripts) is none in a table.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Rows:
    """A table of text cells: its header, and the cells of each data row with the line of the file.

    Attributes:
        source: the file, as messages name it.
        lines: line of each row, counted from 1; of a workbook its row, of JSON and Parquet the entry.
        header_line: line of the header; 0 where the file has none.
        decimal: "." or "," where the caller stated what divides a number; "" recognises it column by column.
        separator: what divides the cells; "" where the file needs no such character.
    """

    source: str
    header: tuple[str, ...]
    lines: tuple[int, ...]
    cells: tuple[tuple[str, ...], ...]
    header_line: int = 1
    decimal: str = ""
    separator: str = ""

    def __len__(self) -> int:
        return len(self.cells)

    def column(self, name: str) -> list[str]:
        """The cells of a column.

        Raises:
            DataError: there is no such column; names those that the file has.
        """
        if name not in self.header:
            near = near_names(name, self.header)
            hint = f' Is it "{near[0]}"?' if near else ""
            if not near and any(finite_number(cell) is not None for cell in self.header):
                hint = " The first line holds data; write a line with the names of the columns above it."
            raise DataError(f'{self._head}: no column "{name}"; found {", ".join(self.header)}.{hint}')
        position = self.header.index(name)
        return [row[position] for row in self.cells]

    def numbers(self, name: str, *, empty_allowed: bool = False) -> FloatArray:
        """A column as float64; with `empty_allowed` an empty cell is NaN. Decimal commas are recognised and logged.

        Raises:
            DataError: a cell is empty, no number, NaN or infinite, or commas may divide thousands as well as decimals.
        """
        cells = self.with_points(name).column(name)
        values = np.empty(len(cells))
        for i, cell in enumerate(cells):
            if not cell and empty_allowed:
                values[i] = math.nan
                continue
            value = finite_number(cell)
            if value is None:
                found = f'"{cell}"' if cell else "nothing"
                raise DataError(f"{self.place(i)}: {name} is {found}; expected a finite number.")
            values[i] = value
        return values

    def with_points(self, name: str) -> Rows:
        """The same rows with decimal points in a column whose numbers have decimal commas throughout.

        A column that has both a comma and a point somewhere is left as it is: `1,000.5` and `1.000,5` differ.

        Raises:
            DataError: every comma is followed by three digits, and may divide thousands.
        """
        if self.decimal == "." or name not in self.header:
            return self
        position = self.header.index(name)
        cells = [row[position] for row in self.cells]
        with_comma = [i for i, cell in enumerate(cells) if "," in cell]
        if not with_comma or any("." in cell for cell in cells):
            return self
        if not all(_DECIMAL_COMMA.fullmatch(cells[i]) for i in with_comma):
            return self
        if not self.decimal:
            first = cells[with_comma[0]]
            plain = any(_BELOW_THOUSAND.fullmatch(cell) for cell in cells)
            if all(_THOUSANDS.fullmatch(cells[i]) for i in with_comma) and (plain or self.separator == ","):
                raise DataError(f'{self.place(with_comma[0])}: {name} is "{first}", where the comma may divide '
                                f"thousands or decimals; write decimals with a point and thousands without commas. A "
                                f"registry entry may state the reader's option decimal instead.")
            LOG.warning('%s: %d decimal commas in column %s are read as points (first: "%s" as %s).',
                        self.source, len(with_comma), name, first, first.replace(",", "."))  # fmt: skip
        changed = [
            (*row[:position], row[position].replace(",", "."), *row[position + 1 :]) if "," in row[position] else row
            for row in self.cells
        ]
        return replace(self, cells=tuple(changed))

    def place(self, row: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.source}:{self.lines[row]}"

    def select(self, kept: Sequence[int]) -> Rows:
        """Some of the rows, in the order given."""
        return replace(self, lines=tuple(self.lines[k] for k in kept), cells=tuple(self.cells[k] for k in kept))

    @property
    def _head(self) -> str:
        return f"{self.source}:{self.header_line or 1}"
