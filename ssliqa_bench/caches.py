"""Caches on disk: written under a lock, and read without one where their folder cannot be written."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import StorageError
from ssliqa_bench.files import cache_folder, exclusive_lock, write_bytes, write_sealed

LOG = logging.getLogger("ssliqa_bench")

VARIABLE = "$SSLIQA_CACHE"
# Features of frozen networks below the cache folder, and the file that completes an entry of them.
_FEATURES, _MARK = "features", "index.json"
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def cache_lock(path: Path | str, named: str = VARIABLE) -> Iterator[bool]:
    """Hold the lock of a cache, as `exclusive_lock`; the lock file is removed at the end.

    Yields False, without a lock, where its folder may not be written: then nobody else writes there either, and what
    is there can be read.

    Args:
        named: the option or variable that names the folder, for messages.

    Raises:
        StorageError: the lock cannot be made for another reason, or what is done inside cannot write.
    """
    path, writable = Path(path), True
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(exclusive_lock(path))
        except StorageError as error:
            if not _refused(error.__cause__):
                raise _with_name(error, named) from error.__cause__
            writable = False
        else:
            held.callback(_remove, path)  # while it is held: who waits for it looks whether it is still there
        try:
            yield writable
        except StorageError as error:
            raise _with_name(error, named) from error.__cause__
        except OSError as error:
            if not _refused(error):
                raise
            text = f"Could not write {error.filename or path}: {error.strerror}."
            raise _with_name(StorageError(text), named) from error


def keep(path: Path | str, payload: dict[str, Any], *, kind: str, named: str = VARIABLE) -> bool:
    """Write a sealed file of a cache; False, and a line in the log, where its folder may not be written.

    What killed writers of the same file left is removed.

    Raises:
        StorageError: the disk is full.
    """
    path = Path(path)
    with cache_lock(path.with_name(f".{path.name}.lock"), named) as writable:
        if writable:
            remove_temporary(path)
            write_sealed(path, payload, kind=kind)
    if not writable:
        LOG.warning("%s is not writable: results are not cached. Set %s to a writable folder.", path.parent, named)
    return writable


def recall(kind: str, of: Path, key: str) -> Any:
    """What `remember` wrote last; None where that was under another key, or is absent or damaged."""
    with contextlib.suppress(OSError, ValueError):
        stated, _, text = _place(kind, of).read_bytes().partition(b"\n")
        if stated == _head(key, text):
            return json.loads(text)
    return None


def remember(kind: str, of: Path, key: str, value: Any) -> None:
    """Write a JSON value that is worked out again in less than a second where it is missing: where it cannot be
    written, nothing is said.

    Args:
        kind, of: what the value is, and the file or folder that it is about.
        key: of everything that the value follows from.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    with contextlib.suppress(OSError, StorageError):
        write_bytes(_place(kind, of), _head(key, text) + b"\n" + text)


def _place(kind: str, of: Path) -> Path:
    return cache_folder() / kind / f"{hashlib.sha256(os.fsencode(of)).hexdigest()[:16]}.json"


def _head(key: str, text: bytes) -> bytes:
    return f"{key} {hashlib.sha256(text).hexdigest()}".encode()


@contextlib.contextmanager
def features_root(root: Path | str) -> Iterator[Path]:
    """A cache folder in which features of images can be kept: `root`, or one that is removed at the end.

    Where `root` may not be written, the other one holds links to what is complete in it. What is computed in it is
    lost, which the log states. Files that are open stay readable.
    """
    place = Path(root) / _FEATURES
    if _may_be_written(place):
        yield Path(root)
        return
    with tempfile.TemporaryDirectory(prefix="ssliqa-cache-") as folder:
        links = Path(folder) / _FEATURES
        links.mkdir()
        there = [entry for entry in place.iterdir() if (entry / _MARK).is_file()] if place.is_dir() else []
        for entry in there:
            (links / entry.name).symlink_to(entry.absolute(), target_is_directory=True)
        yield Path(folder)
        if any(not entry.is_symlink() and (entry / _MARK).is_file() for entry in links.iterdir()):
            LOG.warning("%s is not writable: results are not cached. Set %s to a writable folder.", place, VARIABLE)


def _may_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, or in the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def remove_temporary(path: Path) -> None:
    """Remove temporary files of atomic writes of a path; the caller holds the lock under which it is written."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}\.tmp")
    with contextlib.suppress(FileNotFoundError):
        for other in path.parent.iterdir():
            if pattern.fullmatch(other.name):
                _remove(other)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _refused(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in _REFUSED


def _with_name(error: StorageError, named: str) -> StorageError:
    return error if named in str(error) else StorageError(f"{error} {named} names the folder.")
