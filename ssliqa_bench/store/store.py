"""One store at one address: records, artifacts, checkpoints and predictions are objects in it.

An *entry* is a folder of objects: data files whose names carry their checksum, then one sealed JSON, the *mark*,
written last. An entry without mark is absent. A damaged entry is copied aside as `NAME.corrupt-K`, logged by its
owner and computed again. Locks save double work and nothing else: two processes that compute the same thing write
the same entry.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ssliqa_bench.errors import CorruptFileError, InputError, StorageError
from ssliqa_bench.files import seal, take_lock, unseal
from ssliqa_bench.store.leases import FOLDER as LEASES
from ssliqa_bench.store.leases import is_held, lease
from ssliqa_bench.store.places import LOCKS, Folder, Place, Remote, Stored

ENTRY_SCHEMA = 2
IN_USE = "in-use"
IN_USE_LOCK = f"{LOCKS}/{IN_USE}.lock"
DAY = 86_400.0  # seconds; what is younger may belong to a process at work
_SWEPT: set[str] = set()  # stores in which this process looked for leftovers of others
_FILES = "files"  # the field of a mark that lists the data files
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FOLDED = re.compile(r"^([a-z][a-z0-9+.-]+):/(?=[^/])")  # pathlib folds the slashes of an address
# Addresses of folders are folders, which know locks and atomic writes; folded ones keep the slash of their path.
_LOCAL = re.compile(r"^(?:file|local):(?://|(?=/))")


@dataclass(frozen=True)
class Entry:
    """The content of a mark, and the data files that were read with it, by name."""

    body: dict[str, Any]
    files: dict[str, bytes]


class Store:
    """Whole objects under relative paths at one address: a folder, `memory://NAME`, or any address fsspec serves.

    Two objects on one address see the same store.

    Raises:
        InputError: no installed file system serves the address; the message names the package that does.
    """

    def __init__(self, address: str | os.PathLike[str]) -> None:
        text = _LOCAL.sub("", os.fspath(address))
        self.address = text if "://" in text else _FOLDED.sub(r"\1://", text)
        self.folder = None if "://" in self.address else Path(self.address)
        self._place: Place = Remote(self.address) if self.folder is None else Folder(self.folder)
        # Known to have no locks: an address that is no folder, or a folder in which taking one failed.
        self.unlocked = self.folder is None

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"Store({self.address!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def where(self, path: str) -> str:
        """The full name of an object, for messages."""
        return self._place.where(path)

    def read(self, path: str) -> bytes:
        """The bytes of an object.

        Raises:
            FileNotFoundError: it is absent.
        """
        return self._place.read(_checked(path))

    def put(self, path: str, data: bytes) -> None:
        """Write or replace an object; a reader sees the old one or the new one, never a part.

        Raises:
            StorageError: the disk is full or the address cannot be written.
        """
        self._place.put(_checked(path), data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object that does not exist; False, and nothing changed, where it does."""
        return self._place.create(_checked(path), data)

    def list(self, prefix: str = "") -> list[str]:
        """The sorted paths of all objects that begin with `prefix`; leases, like locks, are no objects."""
        return [found.path for found in self.scan(prefix)]

    def scan(self, prefix: str = "") -> Sequence[Stored]:
        """As `list`, each path with its size in bytes."""
        return [found for found in self._place.scan(prefix) if not found.path.startswith(f"{LEASES}/")]

    def temporary(self, prefix: str = "") -> Sequence[Stored]:
        """Temporary files of writes in progress and of killed writers; they are no objects."""
        return self._place.temporary(prefix)

    def size(self, path: str) -> int:
        """Size of an object in bytes; FileNotFoundError where it is absent."""
        return self._place.size(_checked(path))

    def modified(self, path: str) -> float:
        """Time of the last write of an object, seconds since 1970; FileNotFoundError where it is absent."""
        return self._place.modified(_checked(path))

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens where it is absent."""
        self._place.delete(_checked(path))

    @contextlib.contextmanager
    def lock(self, key: str, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
        """Hold the right to compute what will be stored under a key, as advice to other processes.

        Yields True, or False at once where `wait` is false and another process holds it. Where there are no locks (an
        address that is no folder, a file system without them) an exclusive lock is a lease of the store, which expires
        when its owner dies; of a read-only store everybody gets True. The file of an exclusive lock is removed at the
        end, also one that a killed process left.
        """
        handle, held = None, True
        file = None if self.folder is None or self.unlocked else self.folder / LOCKS / f"{_checked(key)}.lock"
        if file is not None:
            try:
                handle = take_lock(file, shared=shared, wait=wait)
                held = handle is not None
            except OSError as error:
                self.unlocked = True
                if error.errno in _FULL:
                    raise StorageError(
                        f"Could not write below {self.address}: the disk is full. Make room or name another --store, "
                        f"then run the same command again."
                    ) from error
        if self.unlocked and not shared and key != IN_USE:
            with lease(self, _checked(key), wait=wait) as held:
                yield held
            return
        with handle or contextlib.nullcontext():
            try:
                yield held
            finally:
                if file is not None and handle is not None and not shared:
                    with contextlib.suppress(OSError):  # removed while it is held: who waits looks whether it is there
                        file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Hold off `store gc` while a run is in progress; any number of runs hold it at once.

        Whoever comes first, while nobody else uses the store, removes what killed processes left: temporary files and
        locks. Once per process, since it looks at every file name.
        """
        if self.folder is not None and self._identity() not in _SWEPT:
            _SWEPT.add(self._identity())
            self.remove_leftovers()
        try:
            with self.lock(IN_USE, shared=True), self._lease_of_use():
                yield
        finally:
            with contextlib.suppress(StorageError), self.lock(IN_USE, wait=False):
                pass  # the last one to leave removes the lock

    def _lease_of_use(self) -> contextlib.AbstractContextManager[object]:
        """What shows others that this process is at work, where a shared lock cannot."""
        return lease(self, f"{IN_USE}-{uuid.uuid4().hex}") if self.unlocked else contextlib.nullcontext()

    def leased(self) -> bool:
        """Whether a process holds a lease of this store, as every run does where there are no locks."""
        return any(is_held(self, found.path) for found in self._place.scan(f"{LEASES}/"))

    def left_behind(self) -> Sequence[Stored]:
        """Leases, and files of locks, that nobody holds: processes left them which died."""
        locks = [] if self.folder is None else sorted((self.folder / LOCKS).glob("*.lock"))
        found = [own for own in self._place.scan(f"{LEASES}/") if not is_held(self, own.path)]
        for file in locks:
            with contextlib.suppress(OSError):  # removed just now, or not ours to read
                if not _is_locked(file):
                    found.append(Stored(f"{LOCKS}/{file.name}", file.stat().st_size))
        return found

    def remove_left(self, path: str) -> None:
        """Delete what `left_behind` found, unless somebody holds it by now.

        The lock of the whole store goes when whoever removes gives it back.
        """
        if path.startswith(f"{LEASES}/"):
            if not is_held(self, path):
                self.delete(path)
        elif path != IN_USE_LOCK:
            with self.lock(PurePosixPath(path).stem, wait=False):
                pass  # the end of a lock removes its file

    def remove_leftovers(self) -> None:
        """Delete what killed processes left: temporary files, locks; nothing while another process uses the store.

        Leases stay until `store gc`: the owner of one that has just expired may be a machine that pauses.
        """
        if self.folder is None or not self.folder.is_dir():
            return
        with contextlib.suppress(StorageError), self.lock(IN_USE, wait=False) as alone:
            if alone:
                self.remove_temporary("")
                for left in self.left_behind():
                    if not left.path.startswith(f"{LEASES}/"):
                        self.remove_left(left.path)

    def remove_temporary(self, prefix: str) -> None:
        """Delete the temporary files below a prefix; the caller holds the lock under which they are written.

        Where there are no locks, a live process may be writing them: only those older than a day are deleted.
        """
        before = time.time() - DAY if self.unlocked else math.inf
        for left in self.temporary(prefix):
            with contextlib.suppress(StorageError, FileNotFoundError):  # a store that can only be read
                if self._place.modified(left.path) < before:
                    self.delete(left.path)

    def put_entry(
        self, folder: str, files: Mapping[str, bytes], body: Mapping[str, Any], *, kind: str, mark: str
    ) -> None:
        """Write or replace an entry: its data files under their checksums, then the mark that names them.

        Whoever reads meanwhile sees the old entry or the new one. The data that only the old mark named are deleted;
        what a killed writer left is removed by `store gc`.
        """
        before = self._data_paths(folder, kind=kind, mark=mark)
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        for name, data in files.items():
            self.put(f"{folder}/{data_name(name, sums[name])}", data)
        self.put(f"{folder}/{mark}", seal({**body, _FILES: sums}, kind=kind, schema=ENTRY_SCHEMA))
        for path in before - self._data_paths(folder, kind=kind, mark=mark):
            self.delete(path)

    def read_mark(self, folder: str, *, kind: str, mark: str) -> dict[str, Any]:
        """The body of an entry, without looking at its data files.

        Raises:
            FileNotFoundError: there is no such entry.
            SchemaError: another version wrote it.
            CorruptFileError: the mark is damaged.
        """
        return self._mark(folder, kind=kind, mark=mark)[0]

    def read_entry(self, folder: str, *, kind: str, mark: str, only: Sequence[str] | None = None) -> Entry:
        """An entry with its data files, or those named in `only` that it has, each compared with its checksum.

        Raises:
            FileNotFoundError: there is no such entry.
            SchemaError: another version wrote it.
            CorruptFileError: the mark or a data file is damaged, or a data file is missing.
        """
        while True:
            body, sums = self._mark(folder, kind=kind, mark=mark)
            try:
                wanted = sums if only is None else {name: sums[name] for name in only if name in sums}
                return Entry(body, {name: self._data(folder, name, stated) for name, stated in wanted.items()})
            except CorruptFileError:
                if self._mark(folder, kind=kind, mark=mark) == (body, sums):
                    raise
                # Another process replaced the entry between its mark and its data.

    def delete_entry(self, folder: str, *, mark: str) -> None:
        """Delete an entry, its mark first; nothing happens where there is none."""
        self.delete(f"{folder}/{mark}")
        for path in self.list(f"{folder}/"):
            self.delete(path)

    def set_aside(self, folder: str, *, mark: str) -> str:
        """Move a damaged entry to a free `FOLDER.corrupt-K` and return that path; it is copied before it is deleted.

        Of several processes that set the same entry aside at once, each may copy it; one copy remains per number.
        """
        taken = {path[len(folder) + 1 :].partition("/")[0] for path in self.list(f"{folder}.corrupt-")}
        number = next(k for k in range(1, len(taken) + 2) if f"corrupt-{k}" not in taken)
        aside = f"{folder}.corrupt-{number}"
        for path in self.list(f"{folder}/"):
            with contextlib.suppress(FileNotFoundError):
                self.put(f"{aside}{path[len(folder):]}", self.read(path))
        self.delete_entry(folder, mark=mark)
        return aside

    def _identity(self) -> str:
        return self.address.rstrip("/") if self.folder is None else str(self.folder.resolve())

    def _mark(self, folder: str, *, kind: str, mark: str) -> tuple[dict[str, Any], dict[str, str]]:
        path = f"{folder}/{mark}"
        body = unseal(self.read(path), kind=kind, where=self.where(path), schema=ENTRY_SCHEMA)
        sums = body.pop(_FILES, None)
        if not isinstance(sums, dict) or not all(isinstance(value, str) for value in sums.values()):
            raise CorruptFileError(f"{self.where(path)}: does not list its data files.")
        return body, sums

    def _data(self, folder: str, name: str, stated: str) -> bytes:
        path = f"{folder}/{data_name(name, stated)}"
        try:
            data = self.read(path)
        except FileNotFoundError:
            raise CorruptFileError(f"{self.where(path)}: is missing.") from None
        if hashlib.sha256(data).hexdigest() != stated:
            raise CorruptFileError(f"{self.where(path)}: content does not match its checksum.")
        return data

    def _data_paths(self, folder: str, *, kind: str, mark: str) -> set[str]:
        """Paths of the data files that the mark of an entry names; none where it is absent or damaged."""
        try:
            sums = self._mark(folder, kind=kind, mark=mark)[1]
        except (FileNotFoundError, CorruptFileError):
            return set()
        return {f"{folder}/{data_name(name, stated)}" for name, stated in sums.items()}


def data_name(name: str, sha256: str) -> str:
    """The name of a data file in an entry: `predictions.parquet` becomes `predictions-0123456789ab.parquet`."""
    path = PurePosixPath(name)
    return f"{path.stem}-{sha256[:12]}{path.suffix}"


def _is_locked(file: Path) -> bool:
    """Whether anybody holds a lock, shared or not; also where its file system has none. The file stays as it is."""
    import fcntl

    with open(file) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _checked(path: str) -> str:
    """A path that stays inside the store.

    Raises:
        InputError: it does not.
    """
    if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
        raise InputError(f"{path!r}: is no path inside a store.")
    return path
