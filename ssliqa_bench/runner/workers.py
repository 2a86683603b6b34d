"""Work shared by several processes, of which any may die: what it was doing is known, and another takes its place.

Processes come from one fork server, which has imported torch: that is paid once, not by every process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from ssliqa_bench.stop import Stopped, stopping_on_signals, without_interrupts

_PATIENCE = 5.0  # seconds between asking a process to end and ending it
_PRELOADED = ["ssliqa_bench.runner.compute"]
_UNKNOWN = 255  # what multiprocessing also states as exit code once the fork server itself is gone
_LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_FSIZE)


@dataclass(frozen=True)
class Died:
    """In place of a result: the process that worked on the item ended, with this exit code (negative: a signal)."""

    exit_code: int

    def __str__(self) -> str:
        if self.exit_code < 0:
            hint = ", perhaps for lack of memory" if -self.exit_code == signal.SIGKILL else ""
            return f"killed by {signal.Signals(-self.exit_code).name}{hint}"
        if self.exit_code == _UNKNOWN:
            return f"exit code {_UNKNOWN}, its own or because the process that starts workers ended"
        return f"exit code {self.exit_code}"


@dataclass(frozen=True)
class _Surroundings:
    """What a process has of its parent; the fork server has what was there when it started."""

    environment: dict[str, str]
    limits: tuple[int, ...] = field(default_factory=lambda: tuple(resource.getrlimit(own)[0] for own in _LIMITS))

    def enter(self) -> None:
        """Take over environment and limits."""
        os.environ.clear()
        os.environ.update(self.environment)
        for own, soft in zip(_LIMITS, self.limits, strict=True):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(own, (soft, resource.getrlimit(own)[1]))


@dataclass
class _Worker:
    process: Any
    connection: Connection
    slot: int
    item: int | None = None


class Workers:
    """Processes that each work on one item at a time.

    Args:
        work: of a module, so that another process finds it.
        count: processes at most; each starts when it is first needed.
        variables: of the environment, for the process of a slot (0 to count − 1).
    """

    def __init__(
        self, work: Callable[[Any], Any], count: int, variables: Callable[[int], dict[str, str]] = lambda slot: {}
    ) -> None:
        self._work, self._count, self._variables = work, count, variables
        self._workers: list[_Worker] = []

    @property
    def free(self) -> int:
        """How many items can be submitted now."""
        return self._count - sum(worker.item is not None for worker in self._workers)

    def submit(self, number: int, item: Any) -> None:
        """Hand an item to an idle process, or to a new one."""
        for worker in [own for own in self._workers if own.item is None]:
            # One whose fork server is gone may run on, but nobody would learn how it ended.
            if worker.process.is_alive() and _handed(worker, number, item):
                return
            self._workers.remove(worker)  # it died while it waited
            _end([worker])
        _handed(self._started(), number, item)  # one that is dead already is found by `finished`

    def finished(self, timeout: float) -> list[tuple[int, Any]]:
        """Number and result of items that are done, `Died` where a process ended, after so many seconds at most.

        Raises:
            Exception: what the work raised.
        """
        busy = [worker for worker in self._workers if worker.item is not None]
        wait([one for worker in busy for one in (worker.connection, worker.process.sentinel)], timeout)
        found = []
        for worker in busy:
            if not (worker.connection.poll() or not worker.process.is_alive()):
                continue
            result = _result(worker)
            found.append((int(worker.item or 0), result))
            worker.item = None
            if isinstance(result, Died):
                self._workers.remove(worker)
                _end([worker])
            if isinstance(result, Exception):
                raise result
        return found

    def process(self, number: int) -> int | None:
        """The id of the process that works on an item; None where nobody does."""
        return next((worker.process.pid for worker in self._workers if worker.item == number), None)

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        _end(self._workers)
        self._workers.clear()

    def _started(self) -> _Worker:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        slot = min(set(range(self._count)) - {worker.slot for worker in self._workers})
        ours, theirs = context.Pipe()
        surroundings = _Surroundings({**os.environ, **self._variables(slot)})
        process = context.Process(target=_serve, args=(theirs, self._work, surroundings), daemon=True)
        with without_interrupts():  # Ctrl-C reaches the whole group of processes; the parent ends its workers
            process.start()
        theirs.close()
        worker = _Worker(process, ours, slot)
        self._workers.append(worker)
        return worker


def _handed(worker: _Worker, number: int, item: Any) -> bool:
    """Give a worker an item; False where the process is no longer there."""
    worker.item = number
    try:
        worker.connection.send((item,))
    except OSError:
        return False
    return True


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
        if worker.process.exitcode == _UNKNOWN:  # it may still run, and multiprocessing does not know
            with contextlib.suppress(OSError):
                os.kill(worker.process.pid, signal.SIGKILL)
    until = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _serve(connection: Connection, work: Callable[[Any], Any], surroundings: _Surroundings) -> None:
    """In a worker: do what comes and send the result, until the parent closes the connection or is gone."""
    surroundings.enter()
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
