"""One function over many items in several processes: results in order, few of them in memory at a time.

A process that is started imports this module, so that it stays light.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

from ssliqa_bench.errors import DataError, RunError
from ssliqa_bench.pixels.decode import content_hash, open_picture
from ssliqa_bench.stop import without_interrupts

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AHEAD = 3  # shares per process that are worked on or wait to be taken


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, processes: int, share: int = 8
) -> Iterator[_Result]:
    """What a function gives for every item, in their order; without other processes where `processes` is 1.

    Args:
        function: of a module, so that another process finds it.
        share: items that a process gets at a time; at most three shares per process are in memory.

    Raises:
        RunError: a process died.
    """
    waiting = iter(items)
    first = list(islice(waiting, share))
    if processes == 1 or len(first) < share:  # what one share holds is not worth starting a process for
        yield from map(function, first)
        yield from map(function, waiting)
        return
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    running: deque[Future[list[_Result]]] = deque()
    try:
        while first or running:
            while first and len(running) < _AHEAD * processes:
                with without_interrupts():  # Ctrl-C reaches the whole group of processes; the parent ends its own
                    running.append(pool.submit(partial(_each, function), first))
                first = list(islice(waiting, share))
            yield from running.popleft().result()
    except BrokenProcessPool as error:
        raise RunError("A process that decoded images died (killed, or out of memory). Start again with fewer --jobs."
                       ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class ImageContent(NamedTuple):
    """The content hash of an image file, or "" and why it cannot be read; and what decoding converted."""

    content: str
    reason: str = ""
    blended: bool = False
    converted: bool = False


def image_content(path: str) -> ImageContent:
    """Decode an image file."""
    try:
        picture = open_picture(path)
    except DataError as error:
        return ImageContent("", str(error))
    return ImageContent(content_hash(picture.pixels), "", picture.blended, bool(picture.profile))


def _each(function: Callable[[_Item], _Result], items: list[_Item]) -> list[_Result]:
    return [function(item) for item in items]
