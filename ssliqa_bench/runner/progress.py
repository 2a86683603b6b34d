"""What the person who waits sees: one line per training phase with loss, images per second and time left.

Everything goes to stderr. On a terminal it is a live bar; elsewhere one line when a phase begins.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn


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

    def start(self, stage: str, epochs: int, steps_per_epoch: int, done: int) -> None:
        """A phase of training begins, `done` epochs of it already behind."""
        self.stop()
        self._images, self._since = 0, time.perf_counter()
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
        if self._bar is None:
            return
        self._images += images
        rate = self._images / max(time.perf_counter() - self._since, 1e-9)
        fields = {"rate": rate} if loss is None else {"rate": rate, "loss": f"{loss:.4f}"}
        self._bar.update(self._task, advance=1, **fields)

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(f"{self._label}{text}", highlight=False, soft_wrap=True)

    note = say  # what keeps the sentence for the record stands between this and the stage

    def stop(self) -> None:
        """Take a live bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextlib.contextmanager
def counted(what: str, unit: str = "images", *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function to be told how many of how many are done; nothing is shown before it is called.

    On a terminal a live bar, taken away at the end; elsewhere one line at the beginning. With `unit` "bytes" numbers
    are shown as sizes.
    """
    console = Console(stderr=True, quiet=quiet, emoji=False, markup=False)
    bar: Progress | None = None
    begun = False

    def tell(done: int, total: int) -> None:
        nonlocal bar, begun
        if not begun:
            begun = True
            if console.is_terminal and not quiet:
                bar = Progress(*_counting_columns(unit), console=console, transient=True)
                bar.add_task(what, total=total)
                bar.start()
            else:
                size = f"{total / 1e6:,.1f} MB" if unit == "bytes" else f"{total:,} {unit}"
                console.print(f"{what}: {size}" if total else what, highlight=False, soft_wrap=True)
        if bar is not None:
            bar.update(TaskID(0), completed=done, total=total or None)

    try:
        yield tell
    finally:
        if bar is not None:
            bar.stop()


@contextlib.contextmanager
def counted_each(doing: str, *, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """As `counted`, for one thing after the other: told the name of what is counted, too."""
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


def _counting_columns(unit: str) -> list[ProgressColumn]:
    from rich.progress import DownloadColumn, MofNCompleteColumn, TransferSpeedColumn

    size = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn(), TextColumn(unit)]
    return [TextColumn("{task.description}", markup=False), BarColumn(), *size, TimeRemainingColumn()]
