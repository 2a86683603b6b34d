"""Delimited text, strictly: a row is a line, and a quote mark that opens a cell closes it on the same line.

A reader that lets a quoted cell run over line ends takes everything between two stray quote marks for one cell, so
that rows vanish. Here that is an error with its line. Only files that are known to hold such cells (those that this
package wrote, under a checksum) are read with `line_breaks`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from ssliqa_bench.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar", " ": "blanks"}
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
# Rows whose cells are counted to find out what separates them.
_LOOKED_AT = 50


class OpenQuoteError(Exception):
    """A quote mark opens a cell and is not closed; `cell` counts from 1."""

    def __init__(self, cell: int) -> None:
        super().__init__(cell)
        self.cell = cell


class LooseTextError(Exception):
    """Text follows the quote mark that closes a cell; `cell` counts from 1."""

    def __init__(self, cell: int) -> None:
        super().__init__(cell)
        self.cell = cell


def separator_name(separator: str) -> str:
    """A separator in words: "a semicolon"."""
    return _NAMES.get(separator, f'"{separator}"')


def split_line(line: str, separator: str) -> list[str]:
    """The cells of one line: blanks around them left out, quoted ones without their quote marks.

    A quote mark inside a cell that does not begin with one stands for itself (`5" screen`). A blank as separator
    stands for any number of them.

    Raises:
        OpenQuoteError, LooseTextError: the quote marks do not pair up.
    """
    if '"' not in line:
        return line.split() if separator == " " else [cell.strip() for cell in line.split(separator)]
    cells: list[str] = []
    at = 0
    while True:
        start = at
        while start < len(line) and line[start] in " \t" and line[start] != separator:
            start += 1
        if separator == " ":
            while start < len(line) and line[start] == " ":
                start += 1
            if start == len(line) and cells:
                return cells
        if start < len(line) and line[start] == '"':
            text, at = _quoted(line, start, separator, len(cells) + 1)
            cells.append(text)
        else:
            end = line.find(separator, start)
            at = len(line) if end < 0 else end
            cells.append(line[start:at].strip())
        if at >= len(line):
            return cells
        at += 1  # the separator; after a last one, an empty cell follows
        if at == len(line) and separator != " ":
            return [*cells, ""]


def _quoted(line: str, start: int, separator: str, cell: int) -> tuple[str, int]:
    """A quoted cell that starts at a quote mark: its text, and where its separator or the end of the line is."""
    at, text = start + 1, []
    while True:
        close = line.find('"', at)
        if close < 0:
            raise OpenQuoteError(cell)
        text.append(line[at:close])
        if line[close + 1 : close + 2] != '"':
            break
        text.append('"')
        at = close + 2
    end = close + 1
    while end < len(line) and line[end] in " \t\r\n" and line[end] != separator:
        end += 1
    if end < len(line) and line[end] != separator:
        raise LooseTextError(cell)
    return "".join(text), end


def cells_by_line(
    text: str,
    separator: str,
    source: str,
    first_line: int,
    *,
    line_breaks: bool = False,
    among: Collection[str] = (),
) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that holds data.

    Args:
        line_breaks: whether a quoted cell may hold line breaks.
        among: so may those below a header without any column beyond these.

    Raises:
        DataError: quote marks that do not pair up on a line, or a NUL character.
    """
    lines = _LINES.findall(text)
    at = 0
    while at < len(lines):
        number, line = first_line + at, lines[at]
        at += 1
        if "\0" in line:
            raise DataError(f"{source}:{number}: holds a NUL character; expected text.")
        while True:
            try:
                cells = split_line(line.rstrip("\r\n"), separator)
                break
            except OpenQuoteError as error:
                if line_breaks and at < len(lines):
                    line += lines[at]
                    at += 1
                    continue
                raise DataError(
                    f"{source}:{number}: cell {error.cell} opens with a quote mark that is not closed on this line. "
                    f"Close it, or double it inside quotes; a cell cannot hold a line break."
                ) from error
            except LooseTextError as error:
                raise DataError(
                    f"{source}:{number}: text follows the quote mark that closes cell {error.cell}; expected "
                    f"{separator_name(separator)}. A quote mark inside a quoted cell is doubled."
                ) from error
        if any(cells):
            line_breaks = line_breaks or set(cells) <= set(among)  # only a header can consist of these
            yield number, cells


def find_separator(text: str) -> str:
    """What separates the cells, by the header and the first rows; a comma where nothing else fits better."""
    lines = [line for line in _LINES.findall(text[: 1 << 18]) if line.strip()][:_LOOKED_AT]
    if not lines:
        return ","
    fits = {separator: _fit(lines, separator) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: fits[separator])
    if fits[best] > (0.0, 0):
        return best
    # Blanks part names too, so they separate only where every line agrees.
    return " " if _fit(lines, " ")[0] == 1.0 else ","


def _fit(lines: Sequence[str], separator: str) -> tuple[float, int]:
    """The share of lines with as many cells as the header, and how many; zeros where the header is not parted."""
    counts = []
    for line in lines:
        try:
            counts.append(len(split_line(line.rstrip("\r\n"), separator)))
        except (OpenQuoteError, LooseTextError):
            counts.append(0)
    if counts[0] < 2:
        return 0.0, 0
    return counts.count(counts[0]) / len(counts), min(counts[0], 2)
