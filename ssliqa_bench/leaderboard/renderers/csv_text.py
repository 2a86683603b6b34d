"""The flat table of a page as CSV (RFC 4180, LF), numbers in full precision.

People open boards in spreadsheets, so text that one would run as a formula begins with an apostrophe there.
"""

from __future__ import annotations

from collections.abc import Iterator

from ssliqa_bench.leaderboard.page import Cell, Column, Number, Page
from ssliqa_bench.tabular.writer import csv_text, defused
from ssliqa_bench.text import printable


def render(page: Page) -> str | None:
    """The data of a page; None where it has none. A number over runs has NAME_spread, NAME_n … beside it."""
    if page.data is None:
        return None
    columns = page.data.columns
    header = [name for column in columns for name in _names(column)]
    return csv_text(
        ([value for column, cell in zip(columns, row, strict=True) for value in _values(column, cell)]
         for row in page.data.rows), header,
    )  # fmt: skip


def _names(column: Column) -> Iterator[str]:
    for part in column.parts:
        yield column.name if part == "value" else f"{column.name}_{part}"


def _values(column: Column, cell: Cell) -> Iterator[str]:
    """Nothing where there is no value."""
    for part in column.parts:
        if isinstance(cell.value, Number):
            value = getattr(cell.value, part)
            yield "" if value is None else repr(value)
        else:
            yield defused(printable(cell.value.plain)) if cell.value is not None and part == "value" else ""
