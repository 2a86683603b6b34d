"""From the bytes of a file to text: UTF-8 and UTF-16, with or without byte order mark; other formats are named."""

from __future__ import annotations

import codecs
import logging

from ssliqa_bench.errors import DataError

LOG = logging.getLogger("ssliqa_bench")

# First bytes of files that are no text, and what to do with them.
_FORMATS = (
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook of the old format (.xls)", "save it as .xlsx or as CSV in UTF-8"),
    (b"PK", "is a zip archive, no workbook and no text", "unpack it, or save the table as CSV in UTF-8"),
    (b"\x1f\x8b", "is compressed with gzip", "unpack it with gunzip first"),
    (b"BZh", "is compressed with bzip2", "unpack it with bunzip2 first"),
    (b"\xfd7zXZ", "is compressed with xz", "unpack it with unxz first"),
    (b"%PDF", "is a PDF document", "save the table as CSV in UTF-8"),
    (b"{\\rtf", "is a document in rich text format", "save the table as CSV in UTF-8"),
    (b"\x89PNG", "is an image (PNG)", "name the file that holds the table"),
    (b"\xff\xd8\xff", "is an image (JPEG)", "name the file that holds the table"),
    (b"GIF8", "is an image (GIF)", "name the file that holds the table"),
    (b"MATLAB", "is a MATLAB file", "save the table as CSV in UTF-8"),
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 4096


def decode_text(data: bytes, source: str) -> str:
    """The text of a table's file.

    Raises:
        DataError: bytes that are no UTF-8 or UTF-16 (where, and what to do), or a format that is no text.
    """
    for start, what, then in _FORMATS:
        if data.startswith(start):
            raise DataError(f"{source}: {what}; expected a table. {then[0].upper()}{then[1:]}.")
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None) or _without_mark(data, source)
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"{source}:{line}: is not {encoding.upper()} text (byte {error.start})"
        raise DataError(
            f'{what}. Save the file as CSV in UTF-8; "iconv -f latin1 -t utf-8" converts the Western encoding of old '
            f"programs."
            if encoding == "utf-8"
            else f"{what}, which its first bytes state. Save it as CSV in UTF-8."
        ) from error
    if text[:200].lstrip().lower().startswith(("<!doctype html", "<html")):
        raise DataError(f"{source}: is a web page; expected a table. Download the file itself.")
    return text


def _without_mark(data: bytes, source: str) -> str:
    """The encoding of text without byte order mark: in UTF-16 every other byte of Latin letters is 0."""
    start = data[:_LOOKED_AT]
    if start and start.count(0) > len(start) // 4:
        for name, zeros, letters in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
            if zeros.count(0) > 0.9 * len(zeros) and letters.count(0) == 0:
                LOG.warning("%s: has no byte order mark; read as %s.", source, name.upper())
                return name
    return "utf-8"
