"""Columns of an Excel workbook, as the text file readers have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.readers.rows import Rows
from ssliqa_bench.errors import DataError

# Headings stand below a title and blank rows in some workbooks.
_HEADER_ROWS = 12


def read_workbook(path: Path, columns: Sequence[str], sheet: str = "") -> Rows:
    """Some columns of the first sheet of a workbook that has them all in one of its first rows.

    Other columns and sheets are not looked at: official workbooks keep broken formulas and repeated headings there.
    `lines` are the rows as a spreadsheet program numbers them.

    Args:
        columns: their headings, as they are to stand in the result.
        sheet: the sheet to look at first.

    Raises:
        DataError: unreadable, or no sheet has these columns (names the sheets there are).
    """
    from openpyxl import load_workbook

    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    try:
        workbook = load_workbook(path, read_only=True, data_only=True)
        try:
            sheets = sorted(workbook.worksheets, key=lambda one: one.title != sheet)
            names = [one.title for one in sheets]
            for one in sheets:
                rows = _columns_of_sheet(f"{path}[{one.title}]", list(one.iter_rows(values_only=True)), columns)
                if rows is not None:
                    return rows
        finally:
            workbook.close()
    except DataError:
        raise
    except Exception as error:  # of damaged archives and XML, openpyxl raises whatever its parts raise
        raise DataError(f"{path}: not readable as a workbook ({type(error).__name__}: {error}).") from error
    raise DataError(f"{path}: no sheet with the columns {', '.join(columns)} in its first {_HEADER_ROWS} rows; its "
                    f"sheets are {', '.join(names)}.")


def _columns_of_sheet(source: str, values: Sequence[Sequence[Any]], columns: Sequence[str]) -> Rows | None:
    for number, row in enumerate(values[:_HEADER_ROWS]):
        headings = [_cell(value).lower() for value in row]
        if not all(column.lower() in headings for column in columns):
            continue
        twice = [column for column in columns if headings.count(column.lower()) > 1]
        if twice:
            raise DataError(f"{source}:{number + 1}: column {', '.join(twice)} stands there twice.")
        places = [headings.index(column.lower()) for column in columns]
        lines, cells = [], []
        for below, found in enumerate(values[number + 1 :], number + 2):
            texts = tuple(_cell(found[k]) if k < len(found) else "" for k in places)
            if any(texts):
                lines.append(below)
                cells.append(texts)
        return Rows(source, tuple(columns), tuple(lines), tuple(cells))
    return None


def _cell(value: Any) -> str:
    """A cell as text: an image may be called 1600, which a workbook keeps as a number."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return "" if value is None else str(value).strip()
