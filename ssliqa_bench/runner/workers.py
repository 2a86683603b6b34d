"""Work shared by several processes, of which any may die: what it was doing is known, and another takes its place."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from ssliqa_bench.stop import Stopped, stopping_on_signals, without_interrupts

PULSE = 30.0  # seconds between calls of `pulse`
_PATIENCE = 5.0  # seconds between asking a process to end and ending it


@dataclass(frozen=True)
class Died:
    """In place of a result: the process that worked on the item ended, with this exit code (negative: a signal)."""

    exit_code: int

    def __str__(self) -> str:
        if self.exit_code < 0:
            hint = ", perhaps for lack of memory" if -self.exit_code == signal.SIGKILL else ""
            return f"killed by {signal.Signals(-self.exit_code).name}{hint}"
        return f"exit code {self.exit_code}"


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    item: int
    since: float


def in_processes(
    work: Callable[[Any], Any],
    items: Sequence[Any],
    count: int,
    pulse: Callable[[dict[int, float]], None] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Index and result of every item, in the order in which they are finished; `Died` where a process ended.

    When the caller leaves off, or is stopped by a signal, all processes are ended.

    Args:
        work: of a module, so that another process finds it; what it raises is raised here.
        count: processes at a time.
        pulse: called every thirty seconds with the seconds that each item in progress has taken so far.
    """
    waiting = deque(range(len(items)))
    workers: list[_Worker] = []
    try:
        while waiting and len(workers) < count:
            workers.append(_started(work, items, waiting.popleft()))
        heard = time.monotonic()
        while workers:
            wait([one for worker in workers for one in (worker.connection, worker.process.sentinel)], PULSE)
            if pulse is not None and time.monotonic() - heard >= PULSE:
                heard = time.monotonic()
                pulse({worker.item: heard - worker.since for worker in workers})
            for worker in list(workers):
                if not (worker.connection.poll() or not worker.process.is_alive()):
                    continue
                index, result = worker.item, _result(worker)
                dead = isinstance(result, Died)
                if waiting and not dead:
                    worker.item, worker.since = waiting.popleft(), time.monotonic()
                    worker.connection.send((items[worker.item],))
                else:
                    workers.remove(worker)
                    _end([worker])
                    if waiting:
                        workers.append(_started(work, items, waiting.popleft()))
                if isinstance(result, Exception):
                    raise result
                yield index, result
    finally:
        _end(workers)


def _started(work: Callable[[Any], Any], items: Sequence[Any], item: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    with without_interrupts():  # Ctrl-C reaches the whole group of processes; the parent ends its workers
        process.start()
    theirs.close()
    ours.send((items[item],))
    return _Worker(process, ours, item, time.monotonic())


def _result(worker: _Worker) -> Any:
    """What a worker sent, or `Died`."""
    try:
        if worker.connection.poll():
            return worker.connection.recv()
    except (EOFError, OSError):
        pass
    worker.process.join()
    return Died(worker.process.exitcode or 0)


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.connection.close()
        worker.process.terminate()
    until = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _serve(connection: Connection, work: Callable[[Any], Any]) -> None:
    """In a worker: do what comes and send the result, until the parent closes the connection or is gone."""
    try:
        with stopping_on_signals():
            while True:
                (item,) = connection.recv()
                try:
                    result = work(item)
                except Exception as error:
                    result = error
                connection.send(result)
    except (EOFError, OSError):
        pass
    except Stopped as stop:
        os._exit(stop.exit_code)
