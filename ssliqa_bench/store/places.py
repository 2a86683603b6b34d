"""Where the objects of a store are kept: a folder, or any file system that fsspec serves.

Both offer the same few operations on whole objects. None of them needs a rename, an append or a lock from the
file system behind it; a folder replaces its own temporary files to make a write atomic.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ssliqa_bench.errors import InputError, StorageError, near_names
from ssliqa_bench.files import create_bytes, write_bytes

# Extras of this package that bring a file system, by the protocol of its addresses.
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
LOCKS = "locks"  # files of a folder that are no objects
_CREATE = threading.Lock()  # most file systems test for presence, then write


class Stored(NamedTuple):
    """One object of a store and its size in bytes."""

    path: str
    size: int


class Place(Protocol):
    """The operations on whole objects that a store is made of; paths are relative and use `/`."""

    def where(self, path: str) -> str:
        """The full name of an object, for messages."""

    def read(self, path: str) -> bytes:
        """The bytes of an object; FileNotFoundError where it is absent."""

    def put(self, path: str, data: bytes) -> None:
        """Write or replace an object; a reader sees the old one or the new one."""

    def create(self, path: str, data: bytes) -> bool:
        """Write an object that does not exist; False where it does."""

    def scan(self, prefix: str) -> list[Stored]:
        """Every object whose path begins with `prefix`, sorted by path."""

    def temporary(self, prefix: str = "") -> list[Stored]:
        """Temporary files whose path begins with `prefix`; they are no objects."""

    def size(self, path: str) -> int:
        """Size in bytes; FileNotFoundError where the object is absent."""

    def modified(self, path: str) -> float:
        """Time of the last write, seconds since 1970; FileNotFoundError where the object is absent."""

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens where it is absent."""


class Folder:
    """Objects as files below a folder, which is made by the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def where(self, path: str) -> str:
        """See `Place`."""
        return str(self.root / path)

    def read(self, path: str) -> bytes:
        """See `Place`."""
        with self._reading(path):
            return (self.root / path).read_bytes()

    def put(self, path: str, data: bytes) -> None:
        """See `Place`."""
        with self._writing():
            write_bytes(self.root / path, data)

    def create(self, path: str, data: bytes) -> bool:
        """See `Place`."""
        with self._writing():
            return create_bytes(self.root / path, data)

    def scan(self, prefix: str) -> list[Stored]:
        """See `Place`; locks and temporary files are no objects."""
        return [found for found in self._files(prefix) if not _is_temporary(found.path)]

    def temporary(self, prefix: str = "") -> list[Stored]:
        """See `Place`."""
        return [found for found in self._files(prefix) if _is_temporary(found.path)]

    def size(self, path: str) -> int:
        """See `Place`."""
        return self._stat(path).st_size

    def modified(self, path: str) -> float:
        """See `Place`."""
        return self._stat(path).st_mtime

    def delete(self, path: str) -> None:
        """See `Place`; folders that become empty are removed too."""
        target = self.root / path
        try:
            target.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise StorageError(f"Could not delete {target}: {error.strerror or error}.") from error
        for parent in target.parents:
            if parent == self.root:
                break
            try:
                parent.rmdir()
            except OSError:
                break  # not empty, or gone already

    def _stat(self, path: str) -> os.stat_result:
        with self._reading(path):
            found = (self.root / path).stat()
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, "a folder", self.where(path))
        return found

    def _files(self, prefix: str) -> list[Stored]:
        found = []
        start = str(self.root / prefix.rpartition("/")[0])
        above = prefix.rpartition("/")[0]
        for place, folders, names in os.walk(start):
            below = "/".join(part for part in (above, *place[len(start) :].split(os.sep)) if part)
            base = f"{below}/" if below else ""
            folders[:] = [name for name in folders if _may_hold(f"{base}{name}/", prefix) and f"{base}{name}" != LOCKS]
            for name in names:
                if f"{base}{name}".startswith(prefix):
                    with contextlib.suppress(FileNotFoundError):  # deleted just now by another process
                        found.append(Stored(f"{base}{name}", os.stat(os.path.join(place, name)).st_size))
        return sorted(found)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            raise StorageError(f"{error} --store names the folder.") from error.__cause__

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except (NotADirectoryError, IsADirectoryError) as error:
            raise FileNotFoundError(error.errno, "no such object", self.where(path)) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(f"Could not read {self.where(path)}: {error.strerror or error}.") from error


class Remote:
    """Objects of a file system that fsspec serves, such as `memory://` or `s3://`.

    A write is atomic where the file system writes whole objects (memory and object stores do). A directory listing
    is never taken from a cache, since other machines write too.
    """

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._files, self._root = _open_address(self._address)

    def where(self, path: str) -> str:
        """See `Place`."""
        return f"{self._address}/{path}"

    def read(self, path: str) -> bytes:
        """See `Place`."""
        with self._reported("read", path):
            return bytes(self._files.cat_file(self._full(path)))

    def put(self, path: str, data: bytes) -> None:
        """See `Place`."""
        with self._reported("write", path):
            self._write(path, data)

    def create(self, path: str, data: bytes) -> bool:
        """See `Place`; between machines it is exclusive where the file system can create exclusively."""
        with _CREATE, self._reported("write", path):
            if self._files.exists(self._full(path)):
                return False
            try:
                self._write(path, data, mode="create")
            except FileExistsError:
                return False
        return True

    def scan(self, prefix: str) -> list[Stored]:
        """See `Place`."""
        with self._reported("list", prefix):
            self._files.invalidate_cache()
            below = prefix.rpartition("/")[0]
            try:
                found = self._files.find(self._full(below) if below else self._root, detail=True)
            except FileNotFoundError:
                return []
        stored = [Stored(name[len(self._root) :].lstrip("/"), int(info["size"])) for name, info in found.items()]
        return sorted(item for item in stored if item.path.startswith(prefix))

    def temporary(self, prefix: str = "") -> list[Stored]:
        """See `Place`; there are none."""
        return []

    def size(self, path: str) -> int:
        """See `Place`."""
        with self._reported("read", path):
            return int(self._info(path)["size"])

    def modified(self, path: str) -> float:
        """See `Place`."""
        with self._reported("read", path):
            self._info(path)
            when = self._files.modified(self._full(path))
        return when.timestamp() if isinstance(when, datetime) else float(when)

    def delete(self, path: str) -> None:
        """See `Place`."""
        with self._reported("delete", path), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._full(path))

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _info(self, path: str) -> dict[str, Any]:
        info: dict[str, Any] = self._files.info(self._full(path))
        if info["type"] != "file":
            raise FileNotFoundError(self.where(path))
        return info

    def _write(self, path: str, data: bytes, **how: str) -> None:
        full = self._full(path)
        try:
            self._files.pipe_file(full, data, **how)
        except FileNotFoundError:  # a file system with real directories
            self._files.makedirs(full.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(full, data, **how)

    @contextlib.contextmanager
    def _reported(self, action: str, path: str) -> Iterator[None]:
        """Turn the errors of a file system, whose types are its own, into one of this package."""
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            raise StorageError(f"Could not {action} {self.where(path)}: {type(error).__name__}: {error}.") from error


def _may_hold(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)


def _is_temporary(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(".tmp")


def _open_address(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address and the path of the store in it.

    Raises:
        InputError: no installed file system serves it; the message names the package that does.
    """
    from fsspec.core import url_to_fs
    from fsspec.registry import known_implementations

    protocol = address.split("://", 1)[0].rpartition("::")[2]
    try:
        files, root = url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        package = str(known_implementations.get(protocol, {}).get("class", "")).partition(".")[0]
        way = f"pip install {package}" if package not in ("", "fsspec") else str(error)
        if protocol in _EXTRAS:
            way = f"pip install 'ssliqa-bench[{_EXTRAS[protocol]}]'"
        raise InputError(f'{address}: no installed package serves "{protocol}" addresses; {way}.') from error
    except ValueError as error:
        near = near_names(protocol, known_implementations)
        hint = f" Did you mean {' or '.join(f'{name}://' for name in near)}?" if near else ""
        raise InputError(
            f'{address}: no file system is known for "{protocol}"; expected a folder or an address such as '
            f"memory://name or s3://bucket/name.{hint}"
        ) from error
    except Exception as error:  # file systems raise what they like
        raise InputError(
            f"{address}: cannot be opened as a store ({type(error).__name__}: {error}); expected a folder or an "
            f"address such as memory://name or s3://bucket/name."
        ) from error
    return files, str(root).rstrip("/")
