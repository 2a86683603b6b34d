"""Unpacking archives that come from elsewhere: nothing is written outside the folder, no link is ever made.

A link in an archive becomes a copy of the file that it names, which has to be in the archive too. Sizes are added up
as the archive declares them before anything is written that would not fit.
"""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from ssliqa_bench.errors import DataError, StorageError

# Pictures hardly shrink. An archive that claims to hold so many times its own size is no archive of pictures.
_MOST_TIMES = 100
_ALWAYS_FINE = 50_000_000
_BLOCK = 1 << 20
# What the libraries raise on archives that are cut short, damaged or of another kind.
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, KeyError,
           RuntimeError, ValueError)  # fmt: skip

# Called with the number of bytes of the archive's members that are written, and 0, since the whole is not known.
Progress = Callable[[int, int], None]

_LONGEST_TARGET = 4096  # bytes of the path that a symbolic link may name


@dataclass(frozen=True)
class _Member:
    """What is in an archive: a folder, a file, or a link to a file of the archive."""

    name: str
    kind: str
    size: int
    target: str
    open: Callable[[], IO[bytes]] = io.BytesIO


def unpack(archive: Path, folder: Path, kind: str, progress: Progress | None = None) -> None:
    """Unpack a tar (of whatever compression) or zip archive into an empty folder.

    Raises:
        DataError: not such an archive, damaged, or a member that does not belong into it: an absolute path, a path or
            a link that leaves the folder, a device, or more bytes declared than pictures of that archive can have.
        StorageError: what it declares does not fit on the disk.
    """
    members = _tar_members if kind == "tar" else _zip_members
    folder.mkdir(parents=True, exist_ok=True)
    unpacking = _Unpacking(archive, folder, progress)
    try:
        for member in members(archive):
            unpacking.take(member)
        unpacking.finish()
    except _DAMAGE as error:
        raise DataError(f"{archive}: not readable as a {kind} archive ({type(error).__name__}: {error}).") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"{archive}: the disk is full. Make room, then run the same command again.") from error
        if error.errno is None:  # bz2 reports damage by an OSError of its own; the system's have a number
            raise DataError(f"{archive}: not readable as a {kind} archive, damaged or cut short ({error}).") from error
        if not isinstance(error, (FileExistsError, IsADirectoryError, NotADirectoryError)):
            raise
        raise DataError(f"{archive}: two of its members conflict ({error.filename}).") from error
    if not any(folder.iterdir()):
        raise DataError(f"{archive}: is empty.")


class _Unpacking:
    """What of an archive is written: links are copies of written files, so that none is looked for in the archive."""

    def __init__(self, archive: Path, folder: Path, progress: Progress | None) -> None:
        self._archive, self._folder, self._progress = archive, folder, progress
        self._allowed = max(_ALWAYS_FINE, _MOST_TIMES * archive.stat().st_size)
        self._declared = self._written = 0
        self._files: dict[str, int] = {}  # bytes of every file that is written, by its name in the archive
        self._links: dict[str, list[_Member]] = {}  # those whose file is still to come, by its name

    def take(self, member: _Member) -> None:
        """Write a member, and the links to it that came before it."""
        path = _inside(self._archive, self._folder, member.name)
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            return
        if member.kind == "file":
            with member.open() as source:
                self._write(member.name, path, source, member.size)
        else:
            target = _inside(self._archive, self._folder, member.target)
            name = posixpath.normpath(member.target)
            if name not in self._files:
                self._links.setdefault(name, []).append(member)
                return
            with open(target, "rb") as source:
                self._write(member.name, path, source, self._files[name])
        waiting = [posixpath.normpath(member.name)]
        while waiting:  # links to links may be many: no recursion
            name = waiting.pop()
            for link in self._links.pop(name, ()):
                with open(self._folder / name, "rb") as source:
                    self._write(link.name, _inside(self._archive, self._folder, link.name), source, self._files[name])
                waiting.append(posixpath.normpath(link.name))

    def finish(self) -> None:
        """All members are taken: no link may be left without its file."""
        for link in (link for links in self._links.values() for link in links):
            raise DataError(f'{self._archive}: "{link.name}" is a link to "{link.target}", which is no file of the '
                            f"archive.")

    def _write(self, name: str, path: Path, source: IO[bytes], size: int) -> None:
        self._declared += size
        if self._declared > self._allowed:
            raise _too_much(self._archive, self._allowed)
        _check_room(self._archive, self._folder, self._declared - self._written)
        path.parent.mkdir(parents=True, exist_ok=True)
        before = self._written
        with open(path, "wb") as target:
            while block := source.read(_BLOCK):
                self._written += len(block)
                if self._written > self._allowed:
                    raise _too_much(self._archive, self._allowed)
                target.write(block)
        if self._written - before != size:
            raise EOFError(f"{name} has {self._written - before} of {size} bytes")
        self._files[posixpath.normpath(name)] = size
        if self._progress is not None:
            self._progress(self._written, 0)


def _too_much(archive: Path, allowed: int) -> DataError:
    return DataError(
        f"{archive}: declares more than {allowed:,} bytes in {archive.stat().st_size:,}, which no archive of pictures "
        f"does. Nothing was kept of it."
    )


def _tar_members(archive: Path) -> Iterator[_Member]:
    ended = False

    class Header(tarfile.TarInfo):
        """Notes the block of zeros that ends an archive: tarfile takes a damaged header for the end as well."""

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> tarfile.TarInfo:  # type: ignore[override]
            nonlocal ended
            ended = len(buf) == tarfile.BLOCKSIZE and not any(buf)
            return super().frombuf(buf, encoding, errors)

    with tarfile.open(archive, "r:*", tarinfo=Header) as tar:
        for info in tar:
            if info.isdir():
                yield _Member(info.name, "folder", 0, "")
            elif info.isreg():
                yield _Member(info.name, "file", info.size, "", partial(_content, tar, info))
            elif info.islnk():
                yield _Member(info.name, "link", 0, info.linkname)
            elif info.issym():
                yield _Member(info.name, "link", 0, _resolved(info.name, info.linkname))
            else:
                raise DataError(f'{archive}: "{info.name}" is a device or a pipe; expected files and folders only.')
            tar.members.clear()  # type: ignore[attr-defined]  # nothing is looked up in them
        if not ended:
            raise tarfile.ReadError("the mark at its end is missing")
        _read_to_the_end(archive, tar)


def _read_to_the_end(archive: Path, tar: tarfile.TarFile) -> None:
    """Compressed streams have their checksum at the end, which nothing has read when the last member is out; and an
    archive consists of whole blocks, those that fill it up included."""
    rest = 0
    while tar.fileobj is not None and (block := tar.fileobj.read(_BLOCK)):
        rest += len(block)
        if rest > _ALWAYS_FINE:
            raise _too_much(archive, _ALWAYS_FINE)
    if tar.fileobj is not None and tar.fileobj.tell() % tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut short: its last block is not complete")


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(info)
    if content is None:
        raise tarfile.ReadError(f"{info.name} has no content")
    return content


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                yield _Member(info.filename, "folder", 0, "")
            elif stat.S_ISLNK(mode):
                if info.file_size > _LONGEST_TARGET:
                    raise DataError(f'{archive}: the link "{info.filename}" has a target of {info.file_size} bytes.')
                target = _resolved(info.filename, packed.read(info).decode("utf-8", "replace"))
                yield _Member(info.filename, "link", 0, target)
            elif mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
                raise DataError(f'{archive}: "{info.filename}" is a device or a pipe; expected files and folders only.')
            else:
                yield _Member(info.filename, "file", info.file_size, "", partial(packed.open, info))


def _resolved(name: str, target: str) -> str:
    """What a symbolic link names, seen from the top of the archive; left as it is where it is absolute."""
    return target if target.startswith("/") else posixpath.normpath(posixpath.join(posixpath.dirname(name), target))


def _inside(archive: Path, folder: Path, name: str) -> Path:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ":" in parts[0] or ".." in parts or "\0" in name:
        raise DataError(f'{archive}: "{name}" leaves the folder it is unpacked into. Nothing was kept of the archive.')
    return folder / name


def _check_room(archive: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{archive}: needs {needed / 1e9:.1f} GB more than are written, and {os.path.dirname(folder)} has "
            f"{free / 1e9:.1f} GB free. Make room or name another folder with --data-root, then run the same command "
            f"again."
        )
