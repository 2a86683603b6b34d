"""Text as people see it."""

from __future__ import annotations

import re

# Control characters, marks that turn the direction of text, and bytes of names that are no UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


# What to do about names of files that are not valid UTF-8.
RENAMING = 'Rename the files: "convmv -f latin1 -t utf8 -r --notest FOLDER" converts the names of old programs.'


def is_utf8(text: str) -> bool:
    """Whether a name can be written as UTF-8; the bytes of a file's name that cannot are half characters in Python."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(name: str) -> str:
    """A name as valid UTF-8: bytes of file names that are none are escaped."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def printable(text: str) -> str:
    """Text for a terminal: control characters are escaped (`\\x1b`), so that a name of a file cannot steer it."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def number_of(count: int, noun: str) -> str:
    """A count with its noun: `1 image`, `1,162 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def one_line(text: str) -> str:
    """`printable` for a name inside a line or a figure: line ends and tabs are escaped as well."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
