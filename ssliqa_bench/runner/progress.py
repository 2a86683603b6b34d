"""What the person who waits sees: one line per training phase with loss, images per second and time left.

Everything goes to stderr. On a terminal it is a live bar; elsewhere one line when a phase begins and one at least every
thirty seconds while it lasts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn

# Seconds between lines where there is no terminal; a busy machine is late with them, and thirty are promised.
PULSE = 25.0


class _Pulse:
    """Lines at least `PULSE` seconds apart on how far something is, for files and pipes."""

    def __init__(self, done: int = 0) -> None:
        self._first = done
        self._began = self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for a line; asking starts the time to the next."""
        now = time.monotonic()
        if now - self._last < PULSE:
            return False
        self._last = now
        return True

    def left(self, done: int, total: int, unit: str) -> str:
        """The rate so far, in units per second, and the time that is left at it."""
        seconds = (time.monotonic() - self._began) / max(done - self._first, 1) * max(total - done, 0)
        rate = max(done - self._first, 1) / max(time.monotonic() - self._began, 1e-9)
        speed = _amount(rate, unit) if unit == "bytes" else f"{rate:.3g} {unit}"
        return f"{speed} per second, about {time_text(seconds)} left"


class ConsoleReporter:
    """Reports a run on stderr."""

    def __init__(self, label: str = "", quiet: bool = False) -> None:
        # Names and messages are plain text: `a:b:` is no emoji, `[1]` no markup.
        self._console = Console(stderr=True, quiet=quiet, emoji=False, markup=False)
        self._label = f"{label}: " if label else ""
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._images = 0
        self._since = 0.0
        self._stage = ""
        self._done = self._steps_per_epoch = self._epochs = 0
        self._loss: float | None = None
        self._pulse = _Pulse()

    def start(self, stage: str, epochs: int, steps_per_epoch: int, done: int) -> None:
        """A phase of training begins, `done` epochs of it already behind."""
        self.stop()
        self._images, self._since = 0, time.perf_counter()
        self._stage, self._epochs, self._steps_per_epoch = stage, epochs, steps_per_epoch
        self._done, self._loss = done * steps_per_epoch, None
        self._pulse = _Pulse(self._done)
        text = f"{self._label}{stage}, {epochs} epochs of {steps_per_epoch} steps"
        if not self._console.is_terminal:
            self._console.print(text, highlight=False, soft_wrap=True)
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[rate]:.0f} images/s"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self._console, transient=True)
        total = epochs * steps_per_epoch
        self._task = self._bar.add_task(text, total=total, completed=done * steps_per_epoch, loss="–", rate=0.0)
        self._bar.start()

    def step(self, images: int, loss: float | None) -> None:
        """One optimiser step over so many images; the loss where it was looked at."""
        self._images += images
        self._done += 1
        self._loss = self._loss if loss is None else loss
        if self._bar is None:
            if self._pulse.due():
                self._say_how_far()
            return
        rate = self._rate
        fields = {"rate": rate} if loss is None else {"rate": rate, "loss": f"{loss:.4f}"}
        self._bar.update(self._task, advance=1, **fields)

    @property
    def _rate(self) -> float:
        return self._images / max(time.perf_counter() - self._since, 1e-9)

    def _say_how_far(self) -> None:
        total = self._epochs * self._steps_per_epoch
        epoch = min(self._done // max(self._steps_per_epoch, 1) + 1, self._epochs)
        loss = "" if self._loss is None else f", loss {self._loss:.4f}"
        self.say(f"{self._stage}, epoch {epoch} of {self._epochs}, {self._done / max(total, 1):.0%}{loss}, "
                 f"{self._rate:.0f} images/s, {self._pulse.left(self._done, total, 'steps')}")  # fmt: skip

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(f"{self._label}{text}", highlight=False, soft_wrap=True)

    note = say  # what keeps the sentence for the record is between this and the stage

    def stop(self) -> None:
        """Take a live bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextlib.contextmanager
def counted(what: str, unit: str = "images", *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function that takes how many of how many are done; nothing is shown before it is called.

    On a terminal a live bar, taken away at the end; elsewhere one line at the beginning and one at least every thirty
    seconds. With `unit` "bytes" numbers are shown as sizes.
    """
    console = Console(stderr=True, quiet=quiet, emoji=False, markup=False)
    bar: Progress | None = None
    pulse: _Pulse | None = None

    def tell(done: int, total: int) -> None:
        nonlocal bar, pulse
        if pulse is None:
            pulse = _Pulse(done)
            if console.is_terminal and not quiet:
                bar = Progress(*_counting_columns(unit), console=console, transient=True)
                bar.add_task(what, total=total)
                bar.start()
            else:
                console.print(f"{what}: {_amount(total, unit)}" if total else what, highlight=False, soft_wrap=True)
        elif bar is None and pulse.due():
            of = f" of {_amount(total, unit)}, {done / total:.0%}, {pulse.left(done, total, unit)}" if total else ""
            console.print(f"{what}: {_amount(done, unit)}{of}", highlight=False, soft_wrap=True)
        if bar is not None:
            bar.update(TaskID(0), completed=done, total=total or None)

    try:
        yield tell
    finally:
        if bar is not None:
            bar.stop()


@contextlib.contextmanager
def counted_each(doing: str, *, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """As `counted`, for one thing after the other: it also takes the name of what is counted."""
    with contextlib.ExitStack() as last:
        name: str | None = None
        tell: Callable[[int, int], None] | None = None

        def tell_of(what: str, done: int, total: int) -> None:
            nonlocal name, tell
            if tell is None or what != name:
                last.close()
                name, tell = what, last.enter_context(counted(f"{what}: {doing}", quiet=quiet))
            tell(done, total)

        yield tell_of


def _amount(number: float, unit: str) -> str:
    return f"{number / 1e6:,.1f} MB" if unit == "bytes" else f"{number:,} {unit}"


def time_text(seconds: float) -> str:
    """A length of time in hours, minutes or seconds, whichever is at hand."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class _Rate(ProgressColumn):
    """How many are done per second; nothing for sizes, whose speed has a column of its own."""

    def render(self, task: Task) -> str:
        """As text."""
        return "" if task.speed is None else f"{task.speed:.3g}/s"


def _counting_columns(unit: str) -> list[ProgressColumn]:
    from rich.progress import DownloadColumn, MofNCompleteColumn, TransferSpeedColumn

    size: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [
        MofNCompleteColumn(),
        TextColumn(unit),
        _Rate(),
    ]
    return [TextColumn("{task.description}", markup=False), BarColumn(), *size, TimeRemainingColumn()]
