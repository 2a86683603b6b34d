"""Which images a command line names: files, folders, patterns, lists of names, standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from ssliqa_bench.datasets.image_folders import FoundFiles
from ssliqa_bench.errors import InputError
from ssliqa_bench.paths import file_to_read

_IMAGE = "an image, a folder of images, a pattern such as 'photos/*.jpg', @LIST, or - for names on standard input"


def find_images(words: Sequence[str], lists: Sequence[Path] = (), stdin: BinaryIO | None = None) -> list[str]:
    """Paths of images, each once, in the order in which they are named; those of a folder or a pattern sorted.

    Args:
        words: files, folders (all images below them), patterns (`**` goes through folders), `@FILE` for a list, `-`
            for names on standard input. A file that is named is taken whatever its ending.
        lists: further files with one name per line, relative to the current folder.
        stdin: what `-` reads; None is that of the process.

    Raises:
        InputError: nothing is named, a name is wrong, a folder or a pattern holds no image. A missing file of a list
            is found out when it is scored, and takes no other with it.
    """
    found: list[str] = []
    for word in words:
        names = listed_by(word, stdin)
        found += _named(word) if names is None else names
    for file in lists:
        found += names_of(file)
    if not found:
        raise InputError(f"IMAGES: no image is named; expected {_IMAGE}.")
    return list(dict.fromkeys(found))


def _named(word: str) -> list[str]:
    """A file, the images of a folder, or those that fit a pattern."""
    if not word.strip():
        raise InputError(f"IMAGES: a name is empty; expected {_IMAGE}.")
    if os.path.isdir(word):
        below = FoundFiles(word).walk()
        below.warn()
        if not below.images:
            raise InputError(f"{word}: holds no image; images are recognised by their file extension.")
        return below.images
    if not is_pattern(word):
        file_to_read(word, _IMAGE)
        return [word]
    fitting = matching(word)
    if not fitting.images:
        others = f"; {left_out}" if (left_out := fitting.left_out()) else ""
        raise InputError(f"{word}: no image matches this pattern{others}.")
    fitting.warn(word)
    return fitting.images


def matching(
    pattern: str, wanted: Callable[[str], bool] = lambda path: False, skip: Callable[[str], bool] = lambda path: False
) -> FoundFiles:
    """What fits a pattern, sorted: photographs, further files for which `wanted` holds, and a count of the rest.

    Args:
        skip: for paths that are passed over.
    """
    found = FoundFiles(wanted=wanted)
    for path in sorted(glob.iglob(pattern, recursive=True)):
        if not skip(path):
            found.add(path)
    return found


def is_pattern(word: str) -> bool:
    """Whether a word is a pattern: it has the marks of one, and no file has that name."""
    return glob.has_magic(word) and not os.path.lexists(word)


def listed_by(word: str, stdin: BinaryIO | None = None) -> list[str] | None:
    """The names that `@FILE` or `-` (standard input) lists; None for any other word. Errors as `names_of`."""
    if word == "-":
        return _lines((stdin or sys.stdin.buffer).read())
    return names_of(Path(word[1:])) if word.startswith("@") and not os.path.exists(word) else None


def names_of(file: Path) -> list[str]:
    """The names in a file with one per line.

    Raises:
        InputError: it is missing or names nothing.
    """
    names = _lines(file_to_read(file, "a list with one image per line").read_bytes())
    if not names:
        raise InputError(f"{file}: names no image; expected one per line.")
    return names


def _lines(data: bytes) -> list[str]:
    lines = (line.strip(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return [os.fsdecode(line) for line in lines if line.strip()]
