"""Many images in pieces of bounded size: loose files, Parquet files with image bytes, WebDataset shards.

A piece is what one output shard holds. It is small, so that another process can read it, and gives its images one
after the other; no more than one of them is in memory.
"""

from __future__ import annotations

import glob
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import digest
from ssliqa_bench.photos.listing import find_images, images_below, names_of
from ssliqa_bench.pixels.formats import is_image_name

PARQUET = (".parquet",)
TAR = (".tar", ".tar.gz", ".tgz")
_AT_ONCE = 16  # rows of a Parquet file that are read at a time
_FORGET = 256  # members of a tar file after which those that are read are forgotten


@dataclass(frozen=True)
class Item:
    """One image: its name, and either its file, its bytes, or why there is nothing to look at."""

    name: str
    file: str | None = None
    data: bytes | None = None
    problem: str = ""


@dataclass(frozen=True)
class Piece:
    """Loose files, or one file with many images.

    Attributes:
        number: its place among all pieces, which names its output.
        files: loose image files.
        archive: a Parquet file or a tar file; empty for loose files.
        column: of a Parquet file that holds the images.
    """

    number: int
    files: tuple[str, ...] = ()
    archive: str = ""
    column: str = ""

    @property
    def mark(self) -> str:
        """A digest that differs where the piece names other images, or its archive changed."""
        if not self.archive:
            return digest(list(self.files))
        status = os.stat(self.archive)
        return digest([self.archive, self.column, status.st_size, status.st_mtime_ns])

    def items(self) -> Iterator[Item]:
        """Its images in their order; what cannot be read is an item with a problem."""
        if not self.archive:
            return (Item(file, file=file) for file in self.files)
        return _of_parquet(self.archive, self.column) if _ends(self.archive, PARQUET) else _of_tar(self.archive)


def pieces_of(
    words: Sequence[str], lists: Sequence[Path] = (), *, size: int = 1000, column: str | None = None
) -> list[Piece]:
    """What a command line names, cut into pieces: first the archives, one piece each, then loose images.

    Args:
        words: image files, Parquet files, tar files, folders with any of these below them, patterns, `@LIST`.
        lists: files with one name per line.
        size: loose images of a piece.
        column: of the Parquet files; None takes the only one that holds bytes.

    Raises:
        InputError: a name is wrong, there is no image, or a Parquet file has no such column.
    """
    archives, loose = _sorted_out([*words, *(name for file in lists for name in names_of(file))])
    found = [Piece(number, archive=path, column=_column(path, column)) for number, path in enumerate(archives)]
    starts = range(0, len(loose), size)
    return [*found, *(Piece(len(found) + k, tuple(loose[s : s + size])) for k, s in enumerate(starts))]


def _sorted_out(words: Iterable[str]) -> tuple[list[str], list[str]]:
    archives: list[str] = []
    loose: list[str] = []
    for word in words:
        if word.startswith("@") and not os.path.exists(word):
            inside, others = _sorted_out(names_of(Path(word[1:])))
            archives += inside
            loose += others
        elif os.path.isdir(word):
            inside = _archives_below(word)
            archives += inside
            loose += images_below(word) if inside else find_images([word])
        elif glob.has_magic(word) and not os.path.lexists(word):
            inside = sorted(path for path in glob.iglob(word, recursive=True) if _ends(path, (*PARQUET, *TAR)))
            archives += inside
            loose += [] if inside else find_images([word])
        elif _ends(word, (*PARQUET, *TAR)):
            if not os.path.isfile(word):
                raise InputError(f"{word}: is no file; expected a Parquet file or a tar file with images.")
            archives.append(word)
        else:
            loose += find_images([word])
    if not archives and not loose:
        raise InputError("IMAGES: no image is named; expected images, folders, patterns, @LIST, Parquet files with "
                         "image bytes, or WebDataset shards (.tar).")  # fmt: skip
    return list(dict.fromkeys(archives)), list(dict.fromkeys(loose))


def _archives_below(folder: str) -> list[str]:
    found = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if _ends(path, (*PARQUET, *TAR)))


def _ends(path: str, endings: tuple[str, ...]) -> bool:
    return path.lower().endswith(endings)


def _column(path: str, asked: str | None) -> str:
    """The column of a Parquet file that holds images; "" for a tar file.

    Raises:
        InputError: it is no Parquet file, or has no such column.
    """
    if not _ends(path, PARQUET):
        return ""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: is not readable as Parquet ({_line(error)}).") from error
    fitting = [field.name for field in schema if _holds_bytes(field.type)]
    if asked is not None and asked in fitting:
        return asked
    if asked is None and len(fitting) == 1:
        return fitting[0]
    wanted = f'a column "{asked}" with image bytes' if asked is not None else "one column with image bytes"
    raise InputError(f"{path}: expected {wanted}; columns with bytes: {', '.join(fitting) or 'none'} (all: "
                     f"{', '.join(schema.names)}). --column names it.")  # fmt: skip


def _holds_bytes(kind: object) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _of_parquet(path: str, column: str) -> Iterator[Item]:
    """Images named FILE#ROW; of a column with `bytes` and `path`, as data sets of Hugging Face have, FILE#ROW:PATH."""
    import pyarrow as pa
    from pyarrow import parquet

    row = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_AT_ONCE, columns=[column]):
                for value in batch.column(0).to_pylist():
                    inner = value.get("path") if isinstance(value, dict) else None
                    data = value.get("bytes") if isinstance(value, dict) else value
                    name = f"{path}#{row}" + (f":{inner}" if inner else "")
                    yield Item(name, data=data) if data else Item(name, problem="holds no bytes")
                    row += 1
    except (OSError, pa.ArrowException) as error:
        yield Item(path, problem=f"not readable beyond row {row}: {_line(error)}")


def _of_tar(path: str) -> Iterator[Item]:
    """Members with the ending of an image, named FILE/MEMBER; others (labels, captions) are passed over."""
    read = 0
    try:
        with tarfile.open(path, "r|*") as file:
            for member in file:
                if member.isfile() and is_image_name(os.path.basename(member.name)):
                    handle = file.extractfile(member)
                    data = b"" if handle is None else handle.read()
                    name = f"{path}/{member.name}"
                    yield Item(name, data=data) if data else Item(name, problem="holds no bytes")
                    read += 1
                if len(file.members) > _FORGET:
                    file.members.clear()
        if not read:
            yield Item(path, problem="holds no image; images are recognised by their file extension")
    except (OSError, EOFError, tarfile.TarError) as error:
        yield Item(path, problem=f"not readable beyond {read} images: {_line(error)}")


def _line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".") or type(error).__name__
