"""Sheets of an Excel workbook, as the readers of text files have them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.paths import file_to_read
from ssliqa_bench.tabular.rows import Rows

LOG = logging.getLogger("ssliqa_bench")

# In some workbooks, headings are below a title and blank rows.
_HEADER_ROWS = 12


def read_workbook(path: Path, columns: Sequence[str], sheet: str = "") -> Rows:
    """Some columns of the first sheet of a workbook that has them all in one of its first rows.

    Other columns and sheets are not looked at: official workbooks keep broken formulas and repeated headings there.
    `lines` are the rows as a spreadsheet program numbers them.

    Args:
        columns: their headings, as they are to be in the result.
        sheet: the sheet to look at first.

    Raises:
        DataError: unreadable, or no sheet has these columns (names the sheets there are).
    """
    with _opened(path) as workbook:
        sheets = sorted(workbook.worksheets, key=lambda one: one.title != sheet)
        for one in sheets:
            rows = _columns_of_sheet(f"{path}[{one.title}]", list(one.iter_rows(values_only=True)), columns)
            if rows is not None:
                return rows
    raise DataError(f"{path}: no sheet with the columns {', '.join(columns)} in its first {_HEADER_ROWS} rows; its "
                    f"sheets are {', '.join(one.title for one in sheets)}.")


def read_sheet(path: Path) -> Rows:
    """All columns of the first sheet that holds rows below a header; other such sheets are named in the log.

    `lines` are the rows as a spreadsheet program numbers them. The header is the first row that is not blank.

    Raises:
        DataError: unreadable, or no sheet has a header.
    """
    with _opened(path) as workbook:
        found = [(one.title, _whole_sheet(path, one.title, one.iter_rows(values_only=True)))
                 for one in workbook.worksheets]  # fmt: skip
    filled = [(title, rows) for title, rows in found if rows is not None]
    if not filled:
        raise DataError(f"{path}: the file is empty; expected a sheet with a header line.")
    title, rows = next(((title, rows) for title, rows in filled if len(rows)), filled[0])
    others = [other for other, _ in filled if other != title]
    if others:
        LOG.warning('%s: sheet "%s" is read; others are left out: %s.', path, title, ", ".join(others))
    return rows


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A workbook, closed again; whatever its parts raise becomes a DataError."""
    from openpyxl import load_workbook

    try:
        file_to_read(path, "an Excel workbook")
        workbook = load_workbook(path, read_only=True, data_only=True)
        try:
            yield workbook
        finally:
            workbook.close()
    except InputError as error:
        raise error if isinstance(error, DataError) else DataError(str(error)) from error
    except Exception as error:  # of damaged archives and XML, openpyxl raises whatever its parts raise
        raise DataError(f"{path}: not readable as a workbook ({type(error).__name__}: {error}). Save it again, "
                        f"as .xlsx or as CSV in UTF-8.") from error  # fmt: skip


def _whole_sheet(path: Path, title: str, values: Iterator[Sequence[Any]]) -> Rows | None:
    source = f"{path}[{title}]"
    header: tuple[str, ...] = ()
    header_line, lines, cells = 0, [], []
    for number, row in enumerate(values, start=1):
        texts = [_cell(value) for value in row]
        while texts and not texts[-1]:
            texts.pop()
        if not texts:
            continue
        if not header:
            header, header_line = tuple(texts), number
        elif len(texts) > len(header):
            raise DataError(f"{source}:{number}: {len(texts)} cells; expected {len(header)} ({', '.join(header)}).")
        else:
            lines.append(number)
            cells.append((*texts, *[""] * (len(header) - len(texts))))
    return Rows(source, header, tuple(lines), tuple(cells), header_line) if header else None


def _columns_of_sheet(source: str, values: Sequence[Sequence[Any]], columns: Sequence[str]) -> Rows | None:
    for number, row in enumerate(values[:_HEADER_ROWS]):
        headings = [_cell(value).lower() for value in row]
        if not all(column.lower() in headings for column in columns):
            continue
        twice = [column for column in columns if headings.count(column.lower()) > 1]
        if twice:
            raise DataError(f"{source}:{number + 1}: column {', '.join(twice)} occurs twice.")
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
