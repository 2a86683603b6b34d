"""Unpacking archives that come from elsewhere: nothing is written outside the folder, no link is ever made.

A link in an archive becomes a copy of the file that it names, which has to be in the archive too. Sizes are added up
as the archive declares them before anything is written that would not fit.
"""

from __future__ import annotations

import errno
import gzip
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
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path, kind: str, progress: Progress | None = None) -> None:
    """Unpack a tar (of whatever compression) or zip archive into an empty folder.

    Raises:
        DataError: not such an archive, damaged, or a member that does not belong into it: an absolute path, a path or
            a link that leaves the folder, a device, or more bytes declared than pictures of that archive can have.
        StorageError: what it declares does not fit on the disk.
    """
    members = _tar_members if kind == "tar" else _zip_members
    folder.mkdir(parents=True, exist_ok=True)
    allowed = max(_ALWAYS_FINE, _MOST_TIMES * archive.stat().st_size)
    declared = written = 0
    try:
        for member in members(archive):
            path = _inside(archive, folder, member.name)
            if member.kind == "folder":
                path.mkdir(parents=True, exist_ok=True)
                continue
            if member.kind == "link":
                _inside(archive, folder, member.target)
            declared += member.size
            if declared > allowed:
                raise _too_much(archive, allowed)
            _check_room(archive, folder, declared - written)
            path.parent.mkdir(parents=True, exist_ok=True)
            with _opened(archive, member) as source, open(path, "wb") as target:
                while block := source.read(_BLOCK):
                    written += len(block)
                    if written > allowed:  # links to links declare nothing
                        raise _too_much(archive, allowed)
                    target.write(block)
            if progress is not None:
                progress(written, 0)
    except _DAMAGE as error:
        raise DataError(f"{archive}: not readable as a {kind} archive ({type(error).__name__}: {error}).") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"{archive}: the disk is full. Make room, then run the same command again.") from error
        if error.errno is None:  # bz2 tells damage by an OSError of its own; the system's have a number
            raise DataError(f"{archive}: not readable as a {kind} archive, damaged or cut short ({error}).") from error
        if not isinstance(error, (FileExistsError, IsADirectoryError, NotADirectoryError)):
            raise
        raise DataError(f"{archive}: two of its members stand in each other's way ({error.filename}).") from error
    if not any(folder.iterdir()):
        raise DataError(f"{archive}: is empty.")


def _opened(archive: Path, member: _Member) -> IO[bytes]:
    try:
        source = member.open()
    except KeyError:
        source = None
    if source is None:
        raise DataError(f'{archive}: "{member.name}" is a link to "{member.target}", which is no file of the archive.')
    return source


def _too_much(archive: Path, allowed: int) -> DataError:
    return DataError(
        f"{archive}: declares more than {allowed:,} bytes in {archive.stat().st_size:,}, which no archive of pictures "
        f"does. Nothing was kept of it."
    )


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*") as tar:
        for info in tar:
            if info.isdir():
                kind, target = "folder", ""
            elif info.isreg():
                kind, target = "file", ""
            elif info.islnk():
                kind, target = "link", info.linkname
            elif info.issym():
                kind, target = "link", _resolved(info.name, info.linkname)
            else:
                raise DataError(f'{archive}: "{info.name}" is a device or a pipe; expected files and folders only.')
            yield _Member(info.name, kind, _size(tar, info), target, partial(tar.extractfile, info))
        _read_to_the_end(archive, tar)


def _read_to_the_end(archive: Path, tar: tarfile.TarFile) -> None:
    """Compressed streams have their checksum at the end, which nothing has read when the last member is out."""
    rest = 0
    while tar.fileobj is not None and (block := tar.fileobj.read(_BLOCK)):
        rest += len(block)
        if rest > _ALWAYS_FINE:
            raise _too_much(archive, _ALWAYS_FINE)


def _size(tar: tarfile.TarFile, info: tarfile.TarInfo) -> int:
    """Bytes of a member; of a link those of what it names, since a copy of it is made."""
    if not (info.islnk() or info.issym()):
        return info.size
    named = info.linkname if info.islnk() else _resolved(info.name, info.linkname)
    try:
        return tar.getmember(named).size
    except KeyError:
        return 0


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                yield _Member(info.filename, "folder", 0, "", lambda: None)
            elif stat.S_ISLNK(mode):
                if info.file_size > _LONGEST_TARGET:
                    raise DataError(f'{archive}: the link "{info.filename}" has a target of {info.file_size} bytes.')
                target = _resolved(info.filename, packed.read(info).decode("utf-8", "replace"))
                there = target in packed.NameToInfo
                size = packed.getinfo(target).file_size if there else 0
                # `packed.open` raises a KeyError where there is no such member.
                yield _Member(info.filename, "link", size, target, partial(packed.open, target))
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
