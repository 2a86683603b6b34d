"""Many images in pieces of bounded size: loose files, Parquet files with image bytes, WebDataset shards.

A piece is what one output shard holds. It is small, so that another process can read it, and gives its images one
after the other: one of a tar file is in memory at a time, up to sixteen of a Parquet file.
"""

from __future__ import annotations

import functools
import glob
import logging
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ssliqa_bench.datasets.image_folders import FoundFiles
from ssliqa_bench.errors import InputError
from ssliqa_bench.files import digest
from ssliqa_bench.photos.listing import find_images, is_pattern, listed_by, matching, names_of
from ssliqa_bench.pixels.formats import is_image_name
from ssliqa_bench.text import as_text, printable

LOG = logging.getLogger("ssliqa_bench")

PARQUET = (".parquet",)
TAR = (".tar", ".tar.gz", ".tgz")
ARCHIVES = (*PARQUET, *TAR)
STATE = "label.json"  # in the output folder of `label`
_AT_ONCE = 16  # rows of a Parquet file that are read at a time
_FORGET = 256  # members of a tar file after which those that are read are forgotten


@dataclass(frozen=True)
class InputImage:
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
        """A digest that differs where the piece names other images, or one of its files changed.

        Of every file: its name, absolute path, size, and time of the last change in nanoseconds.
        """
        return digest([self.column, [_state_of(file) for file in self.files or (self.archive,)]])

    def items(self) -> Iterator[InputImage]:
        """Its images in their order; what cannot be read is an item with a problem."""
        if not self.archive:
            return (InputImage(file, file=file) for file in self.files)
        return _of_parquet(self.archive, self.column) if _ends(self.archive, PARQUET) else _of_tar(self.archive)


def pieces_of(
    words: Sequence[str],
    lists: Sequence[Path] = (),
    *,
    size: int = 1000,
    column: str | None = None,
    out: Path | None = None,
    stdin: BinaryIO | None = None,
) -> list[Piece]:
    """What a command line names, cut into pieces: first the archives, one piece each, then loose images.

    A Parquet file without image bytes is an error where it is named, and passed over with a warning where a folder or
    a pattern holds it. Shards that `label` wrote are no input.

    Args:
        words: image files, Parquet files, tar files, folders with any of these below them, patterns, `@LIST`, `-`.
        lists: files with one name per line: an image or an archive. A missing one is an image that cannot be read.
        size: loose images of a piece.
        column: of the Parquet files; None takes the only one that holds bytes.
        out: the output folder, which is passed over.
        stdin: what `-` reads; None is that of the process.

    Raises:
        InputError: a name is wrong, there is no image, or a Parquet file has no such column.
    """
    found = _Found(column, None if out is None else os.path.abspath(out))
    for word in words:
        names = listed_by(word, stdin)
        if names is None:
            found.add(word)
        else:
            found.add_listed(names)
    for file in lists:
        found.add_listed(names_of(file))
    if not found.archives and not found.loose:
        raise InputError("IMAGES: no image is named; expected images, folders, patterns, @LIST, Parquet files with "
                         "image bytes, or WebDataset shards (.tar).")  # fmt: skip
    pieces = [Piece(number, archive=path, column=own) for number, (path, own) in enumerate(found.archives.items())]
    loose = list(found.loose)
    starts = range(0, len(loose), size)
    return [*pieces, *(Piece(len(pieces) + k, tuple(loose[s : s + size])) for k, s in enumerate(starts))]


class _Found:
    """Archives with their columns, and loose images, each once, in the order in which they are named."""

    def __init__(self, column: str | None, out: str | None) -> None:
        self.archives: dict[str, str] = {}
        self.loose: dict[str, None] = {}
        self._column, self._out = column, out
        self._skip = functools.cache(self._is_output)

    def add(self, word: str) -> None:
        """Take a word of the command line."""
        if os.path.isdir(word):
            found = FoundFiles(word, _is_archive).walk(self._skip)
        elif is_pattern(word):
            found = matching(word, _is_archive, lambda path: any(map(self._skip, _folders_of(path))))
        elif _is_archive(word):
            if not os.path.isfile(word):
                raise InputError(f"{word}: is no file; expected a Parquet file or a tar file with images.")
            return self._add_archive(word)
        else:
            return self.loose.update(dict.fromkeys(find_images([word])))
        if not found.images and not found.others:
            find_images([word])  # its error
        found.warn(word)
        for path in found.others:
            self._add_archive(path, found=True)
        self.loose.update(dict.fromkeys(found.images))

    def add_listed(self, names: Iterable[str]) -> None:
        """Take the lines of a list. What is no archive is looked at when it is scored, and stops nothing else."""
        for name in names:
            if _is_archive(name) and os.path.isfile(name):
                self._add_archive(name)
            else:
                self.loose[name] = None

    def _add_archive(self, path: str, found: bool = False) -> None:
        column = _column(path, self._column, found)
        if column is None:
            LOG.warning("%s has no column with image bytes and is passed over.", printable(path))
        else:
            self.archives[path] = column

    def _is_output(self, folder: str) -> bool:
        """Whether it is the output folder of this call or of another one."""
        if self._out is not None and os.path.abspath(folder) == self._out:
            return True
        if not os.path.isfile(os.path.join(folder, STATE)):
            return False
        shards = os.path.join(glob.escape(folder), "*", "part-*.parquet")
        return next(glob.iglob(shards), None) is not None


def _folders_of(path: str) -> list[str]:
    """The folder of a file, that one's folder, and so on."""
    return [str(folder) for folder in Path(os.path.abspath(path)).parents]


def _state_of(path: str) -> list[object]:
    """What differs when a path leads to another file, or the file was changed; a missing file has no size."""
    name = [as_text(path), as_text(os.path.abspath(path))]
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return [*name, None, None]
    return [*name, status.st_size, status.st_mtime_ns]


def _ends(path: str, endings: tuple[str, ...]) -> bool:
    return path.lower().endswith(endings)


def _is_archive(path: str) -> bool:
    return _ends(path, ARCHIVES)


def _column(path: str, asked: str | None, found: bool) -> str | None:
    """The column of a Parquet file that holds images; "" for a tar file; None if it was `found` and holds no bytes.

    Raises:
        InputError: it is no Parquet file, or has no such column.
    """
    if not _ends(path, PARQUET):
        return ""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with open(path, "rb") as file:  # pyarrow opens no name that is not UTF-8
            schema = parquet.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: is not readable as Parquet ({_line(error)}).") from error
    fitting: list[str] = [field.name for field in schema if _holds_bytes(field.type)]
    if asked is not None and asked in fitting:
        return asked
    if asked is None and len(fitting) == 1:
        return fitting[0]
    if found and not fitting:
        return None
    wanted = f'a column "{asked}" with image bytes' if asked is not None else "one column with image bytes"
    raise InputError(f"{path}: expected {wanted}; columns with bytes: {', '.join(fitting) or 'none'} (all: "
                     f"{', '.join(schema.names)}). --column names it.")  # fmt: skip


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _of_parquet(path: str, column: str) -> Iterator[InputImage]:
    """Images named FILE#ROW; of a column with `bytes` and `path`, as data sets of Hugging Face have, FILE#ROW:PATH."""
    import pyarrow as pa
    from pyarrow import parquet

    row = 0
    try:
        with open(path, "rb") as handle, parquet.ParquetFile(handle) as file:
            for batch in file.iter_batches(_AT_ONCE, columns=[column]):
                for value in batch.column(0).to_pylist():
                    inner = value.get("path") if isinstance(value, dict) else None
                    data = value.get("bytes") if isinstance(value, dict) else value
                    name = f"{path}#{row}" + (f":{inner}" if inner else "")
                    yield InputImage(name, data=data) if data else InputImage(name, problem="holds no bytes")
                    row += 1
    except (OSError, pa.ArrowException) as error:
        yield InputImage(path, problem=f"not readable beyond row {row}: {_line(error)}")


def _of_tar(path: str) -> Iterator[InputImage]:
    """Members with the ending of an image, named FILE/MEMBER; others (labels, captions) are passed over."""
    read = 0

    class Header(tarfile.TarInfo):
        """A header that keeps why it could not be read: `tarfile` takes most damage for the end of the archive."""

        error: tarfile.HeaderError | None = None

        @classmethod
        def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:  # type: ignore[override]
            try:
                return super().frombuf(buf, encoding, errors)
            except tarfile.HeaderError as error:
                Header.error = error
                raise

    try:
        with tarfile.open(path, "r|*", tarinfo=Header) as file:
            for member in file:
                if not member.isdir() and is_image_name(os.path.basename(member.name)):
                    yield _member(file, member, f"{path}/{member.name}")
                    read += 1
                if len(file.members) > _FORGET:  # type: ignore[attr-defined]
                    file.members.clear()  # type: ignore[attr-defined]
        if not isinstance(Header.error, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
            cut = isinstance(Header.error, tarfile.EmptyHeaderError)  # type: ignore[attr-defined]
            reason = "the end mark of the archive is missing" if cut else str(Header.error)
            yield InputImage(path, problem=f"not readable beyond {read} images: {reason}")
        elif not read:
            yield InputImage(path, problem="holds no image; images are recognised by their file extension")
    except (OSError, EOFError, tarfile.TarError) as error:
        yield InputImage(path, problem=f"not readable beyond {read} images: {_line(error)}")


def _member(file: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> InputImage:
    """The image in a member; a link or a device is an item with a problem."""
    if not member.isfile():
        target = f"a link to {member.linkname}" if member.issym() or member.islnk() else "no file"
        return InputImage(name, problem=f"is {target}; expected a file with the bytes of an image")
    handle = file.extractfile(member)
    data = b"" if handle is None else handle.read()
    return InputImage(name, data=data) if data else InputImage(name, problem="holds no bytes")


def _line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".") or type(error).__name__
