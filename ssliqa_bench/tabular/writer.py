"""Tables as CSV that any reader of CSV gives back cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ssliqa_bench.tabular.reader import CHECKSUM, text_digest
from ssliqa_bench.tabular.rows import finite_number

# What a spreadsheet program takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Iterable[object]], header: Sequence[str] = ()) -> str:
    """CSV with LF line ends. Cells are written as they are: for files that programs exchange.

    Quoted are cells with a comma, a quote mark, a line end, or blanks at an end, which readers leave out.
    """
    lines = [",".join(map(_quoted, row)) for row in ((header, *rows) if header else rows)]
    return "".join(f"{line}\n" for line in lines)


def sealed_csv(rows: Iterable[Iterable[object]], header: Sequence[str]) -> str:
    """As `csv_text`, below a line with the checksum of the rest, which `read_rows` compares."""
    text = csv_text(rows, header)
    return f"{CHECKSUM}{text_digest(text)}\n{text}"


def defused(cell: str) -> str:
    """A cell for files that people open in a spreadsheet: text that would be run as a formula gets an apostrophe."""
    return f"'{cell}" if cell.startswith(_FORMULA) and finite_number(cell) is None else cell


def _quoted(value: object) -> str:
    cell = "" if value is None else str(value)
    plain = cell == cell.strip() and not any(mark in cell for mark in ',"\r\n') and not cell.startswith("#")
    return cell if plain else '"' + cell.replace('"', '""') + '"'
