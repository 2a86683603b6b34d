"""Batches drawn ahead in a background thread, in the order in which they are asked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch

_Item = TypeVar("_Item")

_AHEAD = 2  # batches that wait; more would only hold memory
_PATIENCE = 0.1  # seconds after which a thread that waits for room looks whether it is still needed


@contextmanager
def prefetched(items: Iterable[_Item]) -> Iterator[Iterator[_Item]]:
    """The same items, each made by one background thread while earlier ones are in use.

    The thread has ended when the context is left, however that happens. It must share no random state with its user:
    batches follow from the number of their epoch alone, so that their values do not depend on when they are drawn.

    Raises:
        Exception: whatever making an item raises, where that item is asked for.
    """
    made: queue.Queue[tuple[_Item | None, BaseException | None]] = queue.Queue(_AHEAD)
    unneeded = threading.Event()

    def put(item: _Item | None, error: BaseException | None = None) -> bool:
        while not unneeded.is_set():
            try:
                made.put((item, error), timeout=_PATIENCE)
                return True
            except queue.Full:
                pass
        return False

    def make() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # carried over to the user, who raises it
            put(None, error)
        else:
            put(None, StopIteration())

    def taken() -> Iterator[_Item]:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=make, name="batches", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        unneeded.set()
        thread.join()


def on_device(batch: Any, device: torch.device) -> Any:
    """A batch with its tensors on a device, in whatever tuples and dataclasses they lie; everything else stays."""
    if isinstance(batch, torch.Tensor):
        # Copies from pinned memory overlap with the step before.
        pinned = batch.pin_memory() if device.type == "cuda" and not batch.is_cuda else batch
        return pinned.to(device, non_blocking=True)
    if isinstance(batch, tuple):
        return tuple(on_device(part, device) for part in batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{own.name: on_device(getattr(batch, own.name), device) for own in fields(batch)})
    return batch
