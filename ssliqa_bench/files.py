"""Files that are whole or absent: atomic writes, checksums, sealed JSON with a schema.

A sealed file is a JSON document with three fields of its own: `kind`, `schema` and `checksum`, the
SHA-256 of the canonical JSON of everything else. A reader that finds another checksum raises
`CorruptFileError`; the owner of the file decides whether to set it aside and compute it again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from ssliqa_bench.errors import CorruptFileError, SchemaError, StorageError

LOG = logging.getLogger("ssliqa_bench")

SCHEMA = 1
_BLOCK = 1 << 20
_ATTEMPTS = 5  # at making a file in a folder that another process removes because it is empty
_NOT_OF_STORAGE = (FileExistsError, InterruptedError, ConnectionError, TimeoutError)
_PATIENCE, _REMIND, _POLL = 2.0, 30.0, 0.25  # seconds
_SHOWN = 100
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


def canonical_json(value: Any) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces, no NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 (64 hexadecimal digits) of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_file(path: Path | str) -> str:
    """SHA-256 (64 hexadecimal digits) of a file's bytes, read in blocks."""
    hasher = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it replaces `path`, on failure it is removed.

    Raises:
        StorageError: the system cannot write, for whatever reason; `path` keeps its old content.
    """
    with _staged(Path(path), os.replace) as temporary:
        yield temporary


def create_bytes(path: Path | str, data: bytes) -> bool:
    """Write bytes to a path that does not exist; False, and nothing changed, where it does.

    Of several processes that create the same path at once, exactly one gets True.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    try:
        with _staged(Path(path), _link) as temporary:
            temporary.write_bytes(data)
    except FileExistsError:
        return False
    return True


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: take the name first, then put the content there.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(temporary, path)


@contextlib.contextmanager
def _staged(path: Path, commit: Callable[[Path, Path], None]) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it is synchronised and committed, and always removed."""
    temporary = _temporary_beside(path)
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        commit(temporary, path)
    except _NOT_OF_STORAGE:
        raise
    except OSError as error:
        if error.errno is None:  # an error of a library that is no error of the system
            raise
        raise _storage_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _temporary_beside(path: Path) -> Path:
    for attempt in range(_ATTEMPTS):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and attempt < _ATTEMPTS - 1:
                continue
            raise _storage_error(path, error) from error
        break
    os.close(handle)
    return Path(name)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write bytes so that a reader sees the old file or the whole new one, never a part."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text with LF line ends, whole or not at all."""
    write_bytes(path, text.encode())


def write_sealed(path: Path | str, payload: dict[str, Any], *, kind: str) -> None:
    """Write a JSON object with `kind`, `schema` and the checksum of its content.

    Numbers that are not finite are refused (ValueError): write None where a value is undefined.
    """
    write_bytes(path, seal(payload, kind=kind))


def read_sealed(path: Path | str, *, kind: str) -> dict[str, Any]:
    """Read a file of `write_sealed` and return its content without kind, schema and checksum.

    Raises:
        FileNotFoundError: there is no such file.
        SchemaError: written under another schema; the message names both versions.
        CorruptFileError: not JSON, another kind, or the checksum differs.
    """
    path = Path(path)
    return unseal(path.read_bytes(), kind=kind, where=str(path))


def seal(payload: dict[str, Any], *, kind: str, schema: int = SCHEMA) -> bytes:
    """The bytes of a sealed JSON object; numbers that are not finite are refused (ValueError)."""
    body = {**payload, "kind": kind, "schema": schema}
    body["checksum"] = digest(body)
    return (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def unseal(data: bytes, *, kind: str, where: str, schema: int = SCHEMA) -> dict[str, Any]:
    """The content of a sealed JSON object without kind, schema and checksum; `where` names it in messages.

    Raises:
        SchemaError: written under another schema; the message names both versions.
        CorruptFileError: not JSON, another kind, or the checksum differs.
    """
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{where}: not readable as JSON ({error}); expected a {kind} file.") from error
    if not isinstance(body, dict) or "schema" not in body or "checksum" not in body:
        raise CorruptFileError(f"{where}: has no schema and checksum; expected a {kind} file.")
    if body["schema"] != schema:
        raise SchemaError(f"{where}: schema {body['schema']!r}; this version reads schema {schema}.")
    stated = body.pop("checksum")
    try:
        actual = digest(body)
    except ValueError as error:  # a flipped exponent reads as infinity, an escape as half a character
        raise CorruptFileError(f"{where}: holds a value that no file is written with ({error}).") from error
    if stated != actual:
        raise CorruptFileError(f"{where}: content does not match its checksum.")
    if body.pop("kind", None) != kind:
        raise CorruptFileError(f"{where}: is not a {kind} file.")
    del body["schema"]
    return body


def set_aside(path: Path | str) -> Path:
    """Rename a damaged file or folder to a free `NAME.corrupt-K` beside it and return that path.

    Of several processes that set the same thing aside at once, one moves it; the others find it gone.
    """
    path = Path(path)
    number = 1
    while (target := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, target)
    return target


@contextlib.contextmanager
def exclusive_lock(path: Path | str) -> Iterator[None]:
    """Hold a lock shared by all processes that name the same file; the system frees it on death.

    Waiting for another process is logged, as by `take_lock`.

    Raises:
        StorageError: the lock file cannot be made.
    """
    try:
        handle = take_lock(path)
    except OSError as error:
        raise _storage_error(Path(path), error) from error
    assert handle is not None
    with handle:
        yield


def take_lock(path: Path | str, *, shared: bool = False, wait: bool = True) -> IO[str] | None:
    """The open file that holds a lock until it is closed; None where `wait` is false and another one holds it.

    After two seconds of waiting, and every thirty from then on, a line in the log names the process that holds it.

    Raises:
        OSError: the file cannot be made, or its file system has no locks.
    """
    import fcntl

    path = Path(path)
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
    began, said = time.monotonic(), 0.0
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open(path, "a")  # noqa: SIM115 - the caller closes it
        try:
            fcntl.flock(handle, how)
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(path)):
                return handle
        except BlockingIOError:
            if not wait:
                handle.close()
                return None
            waited = time.monotonic() - began
            if waited >= (said + _REMIND if said else _PATIENCE):
                LOG.warning("Waiting for %s, which computes the same (lock %s, %.0f s so far).", _holder(handle), path,
                            waited)  # fmt: skip
                said = waited
            time.sleep(min(_POLL, 0.01 + waited / 10))
        except FileNotFoundError:
            pass  # the file was removed while this process waited for it: nobody else would see this lock
        except BaseException:
            handle.close()
            raise
        handle.close()


def cache_folder() -> Path:
    """The user's folder of what can be made again: $SSLIQA_CACHE, else `ssliqa-bench` in the cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("SSLIQA_CACHE") or os.path.join(home, "ssliqa-bench"))


def finite_or_none(value: float | None) -> float | None:
    """A finite float as it is; NaN and infinities, which JSON does not have, as None."""
    return None if value is None or not math.isfinite(value) else float(value)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _holder(handle: IO[str]) -> str:
    """The process that holds the lock of an open file, as the system lists it; "another process" where it does not."""
    status = os.fstat(handle.fileno())
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        number = next(words[4] for words in locks if len(words) > 5 and words[1] == "FLOCK" and words[5] == place)
        command = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (OSError, StopIteration):
        return "another process"
    return f"process {number} ({command[:_SHOWN]}{'…' if len(command) > _SHOWN else ''})"


def _storage_error(path: Path, error: OSError) -> StorageError:
    reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error))
    named = error.filename
    if named is not None and Path(os.fsdecode(named)).parent != path.parent:
        reason += f" ({os.fsdecode(named)})"
    return StorageError(
        f"Could not write {path}: {reason}. What was stored before is untouched; make room or name another folder, "
        f"then run the same command again."
    )
