"""One strict reader for every table that a person hands in: labels, predictions, splits, ratings.

The format follows from the first bytes, not from the name: delimited text (UTF-8 or UTF-16), an Excel workbook,
JSON or Parquet. What is recognised rather than stated is logged. Rows read are the lines that hold data: nothing is
joined, skipped or cut.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.paths import file_to_read
from ssliqa_bench.tabular.delimited import SEPARATORS, cells_by_line, find_separator, separator_name, split_line
from ssliqa_bench.tabular.encoding import decode_text
from ssliqa_bench.tabular.records import read_json, read_parquet
from ssliqa_bench.tabular.rows import Rows

LOG = logging.getLogger("ssliqa_bench")

CHECKSUM = "# sha256 "
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?")


def read_rows(
    path: Path,
    separator: str = ",",
    columns: Sequence[str] = (),
    *,
    decimal: str = "",
    line_breaks_among: Collection[str] = (),
    expected: str = "a table (CSV, Excel workbook or JSON)",
) -> Rows:
    """Read a table: UTF-8 or UTF-16, with or without byte order mark, any line ends, blank lines skipped.

    A first line `# sha256 …`, as this package writes it, is compared with the rest of the file.

    Args:
        separator: one character between cells, a blank for any number of them; "" recognises and logs it.
        columns: names of the columns of a file without header line; else the first line is the header.
        decimal: "." or "," between the digits of a number; "" recognises and logs it, column by column.
        line_breaks_among: quoted cells may hold line breaks where the header has no column beyond these; below a
            checksum line they may in any case.

    Raises:
        DataError: no such file, no text, no header, a column named twice, a quote mark that is not closed on its
            line, a row with another number of cells, or content that does not match its checksum.
    """
    source = str(path)
    if len(separator) > 1 or separator in ('"', "\r", "\n"):
        raise DataError(f"{source}: separator is {separator!r}; expected one character, for example ;")
    if decimal not in ("", ".", ","):
        raise DataError(f"{source}: decimal is {decimal!r}; expected . or ,")
    data = _read(path, expected)
    rows = _binary(path, data)
    if rows is None:
        text = decode_text(data, source)
        is_json = not columns and text.lstrip()[:1] in ("{", "[")
        rows = read_json(text, source) if is_json else _delimited(text, source, separator, columns, line_breaks_among)
    twice = sorted(name for name, count in Counter(rows.header).items() if name and count > 1)
    if twice:
        raise DataError(f"{source}:{rows.header_line or 1}: column {', '.join(twice)} occurs twice.")
    return replace(rows, decimal=decimal)


def read_names(path: Path) -> list[tuple[int, str]]:
    """Line number and text of every line of a list of names that is not blank, spaces around it left out.

    Raises:
        DataError: no such file, or no text.
    """
    text = decode_text(_read(path, "a text file with one name per line"), str(path))
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def text_digest(text: str) -> str:
    """SHA-256 (64 hexadecimal digits) of a text, equal for LF and CRLF line ends."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def _read(path: Path, expected: str) -> bytes:
    try:
        return file_to_read(path, expected).read_bytes()
    except InputError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f"{path}: could not be read ({error.strerror}); expected {expected}.") from error


def _binary(path: Path, data: bytes) -> Rows | None:
    """The rows of a workbook or a Parquet file; None for all others."""
    if data.startswith(b"PK\x03\x04") and (b"xl/" in data or path.suffix.lower() in (".xlsx", ".xlsm")):
        from ssliqa_bench.tabular.workbook import read_sheet

        return read_sheet(path)
    if data.startswith(b"PAR1"):
        return read_parquet(path)
    return None


def _delimited(text: str, source: str, separator: str, columns: Sequence[str], breaks: Collection[str]) -> Rows:
    text, line, sealed = _without_checksum(text, source)
    stated = _SEPARATOR_LINE.match(text)
    if stated is not None:  # what Excel writes and reads to name the separator
        separator, text, line = separator or stated.group(1), text[stated.end() :], line + 1
    if not separator:
        separator = find_separator(text)
        if separator != ",":
            LOG.warning("%s: the cells are separated by %s.", source, separator_name(separator))
    header, header_line = tuple(columns), 0
    lines: list[int] = []
    cells: list[tuple[str, ...]] = []
    for number, row in cells_by_line(text, separator, source, line, line_breaks=sealed, among=breaks):
        if not header:
            header, header_line = tuple(row), number
        elif len(row) != len(header):
            raise DataError(
                f"{source}:{number}: {len(row)} cells; expected {len(header)} ({', '.join(header)})."
                f"{_why_other_count(row, header, separator)}"
            )
        else:
            lines.append(number)
            cells.append(tuple(row))
    if not header:
        raise DataError(f"{source}: the file is empty; expected a header line.")
    return Rows(source, header, tuple(lines), tuple(cells), header_line, separator=separator)


def _without_checksum(text: str, source: str) -> tuple[str, int, bool]:
    """The text below its checksum line, the number of its first line, and whether there was one."""
    if not text.startswith("#"):
        return text, 1, False
    first, _, rest = text.partition("\n")
    if not first.startswith(CHECKSUM):
        raise DataError(f'{source}:1: begins with "#"; expected a header line, or "{CHECKSUM}…" above it.')
    if first.removeprefix(CHECKSUM).strip() != text_digest(rest):
        raise DataError(
            f"{source}: content does not match the checksum in its first line: it was changed or damaged since it was "
            f"written. Write it again, or delete that line if you changed it yourself."
        )
    return rest, 2, True


def _why_other_count(row: Sequence[str], header: Sequence[str], separator: str) -> str:
    """What may be meant by a row of another length, as a sentence; "" for no idea."""
    if len(row) == 1:
        for other in SEPARATORS:
            if other != separator and len(split_line(row[0], other)) == len(header):
                return f" It is separated by {separator_name(other)}; expected {separator_name(separator)}."
    if separator == "," and len(row) > len(header) and any(a.isdigit() and b.isdigit() for a, b in pairwise(row)):
        return " Does a number have a decimal comma? Quote it, or separate the cells by semicolons."
    if len(row) > len(header):
        return f" A cell that holds {separator_name(separator)} has to be quoted."
    return ""
