"""Leases: the right to compute something, where a file system has no locks.

A lease is an object of the store that names its owner and when it expires. The owner renews it while it works; a lease
that has expired belongs to a process that died, and is taken over. Like a lock it saves double work and nothing else:
two owners at once, after a long pause of a machine, compute the same and write the same.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Protocol

from ssliqa_bench.errors import StorageError

FOLDER = "leases"
TTL = 90.0  # seconds until a lease expires; clocks of machines may differ by some seconds
_POLL, _REMIND = 1.0, 30.0
_log = logging.getLogger("ssliqa_bench")


class Objects(Protocol):
    """The operations of a store that leases need."""

    def read(self, path: str) -> bytes:
        """The bytes of an object; FileNotFoundError where it is absent."""

    def put(self, path: str, data: bytes) -> None:
        """Write or replace an object."""

    def create(self, path: str, data: bytes) -> bool:
        """Write an object that does not exist; False where it does."""

    def delete(self, path: str) -> None:
        """Remove an object; nothing happens where it is absent."""


@contextlib.contextmanager
def lease(objects: Objects, key: str, *, wait: bool = True, ttl: float = TTL, poll: float = _POLL) -> Iterator[bool]:
    """Hold the lease of a key, renewed every third of its time.

    Yields True, or False at once where `wait` is false and another owner holds it. Where the store cannot be written,
    everybody gets True, as with locks.

    Args:
        ttl: seconds until a lease that is not renewed expires.
        poll: seconds between looks at a lease that another owner holds.
    """
    path, owner = f"{FOLDER}/{key}.json", uuid.uuid4().hex
    held: bool | None = None
    with contextlib.suppress(StorageError):
        held = _taken(objects, path, owner, wait, ttl, poll)
    if not held:
        yield held is None
        return
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(objects, path, owner, ttl, done), daemon=True)
    renewing.start()
    try:
        yield True
    finally:
        done.set()
        renewing.join()
        with contextlib.suppress(StorageError):
            if _owner(objects, path)[0] == owner:
                objects.delete(path)


def is_held(objects: Objects, path: str) -> bool:
    """Whether the lease at a path has an owner and has not expired."""
    owner, expires, _ = _owner(objects, path)
    return bool(owner) and expires > time.time()


def _taken(objects: Objects, path: str, owner: str, wait: bool, ttl: float, poll: float) -> bool:
    began, said = time.monotonic(), 0.0
    while True:
        if objects.create(path, _body(owner, ttl)):
            return True
        other, expires, where = _owner(objects, path)
        if other is not None and expires < time.time():
            objects.put(path, _body(owner, ttl))
            time.sleep(min(poll, ttl / 10))  # of two that take it over at once, the last one to write has it
            if _owner(objects, path)[0] == owner:
                _log.warning("%s: the lease of %s had expired and was taken over.", path, where)
                return True
        elif other is not None and not wait:
            return False
        elif other is not None:
            if time.monotonic() - began > said + _REMIND:
                said = time.monotonic() - began
                _log.warning("Waiting for %s, which %s holds.", path, where)
            time.sleep(poll)


def _renew(objects: Objects, path: str, owner: str, ttl: float, done: threading.Event) -> None:
    while not done.wait(ttl / 3):
        with contextlib.suppress(StorageError):  # the next renewal may succeed; until then the lease holds
            if _owner(objects, path)[0] != owner:
                return  # taken over while this machine paused
            objects.put(path, _body(owner, ttl))


def _body(owner: str, ttl: float) -> bytes:
    return json.dumps({"owner": owner, "expires": time.time() + ttl, "where": f"process {os.getpid()}"}).encode()


def _owner(objects: Objects, path: str) -> tuple[str | None, float, str]:
    """Owner, time of expiry and description of a lease; None as owner where there is none.

    What is no lease, such as half of a write, counts as expired.
    """
    try:
        found = json.loads(objects.read(path))
        return str(found["owner"]), float(found["expires"]), str(found["where"])
    except FileNotFoundError:
        return None, 0.0, ""
    except (ValueError, KeyError, TypeError):
        return "", 0.0, "an unknown process"
