"""Stopping on request: Ctrl-C, SIGTERM and SIGHUP end a command with one line, at whatever point it is.

Imports next to nothing, so that it is in force before anything slow is imported.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


class Stopped(BaseException):
    """The process was asked to stop. No `except Exception` takes it for a failed run.

    Attributes:
        signal: number of the signal; the exit code is 128 more.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number

    @property
    def exit_code(self) -> int:
        """What a shell shows for a process that this signal ended: 130, 143 or 129."""
        return 128 + self.signal

    def __str__(self) -> str:
        return _NAMES.get(signal.Signals(self.signal), f"signal {self.signal}")


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` in the main thread on Ctrl-C, SIGTERM and SIGHUP; signals that are ignored stay so.

    Elsewhere than in the main thread of a process nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _NAMES}
    taken = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in taken:
            signal.signal(number, _stop)
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C and SIGHUP from processes that are started inside: the parent gets them and ends its children.

    A signal that comes meanwhile is delivered to this process afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
