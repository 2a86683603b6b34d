"""What the person who waits for a sweep sees: what runs where, how far it is, and about how long all of it will take.

Everything goes to stderr: on a terminal a live table, elsewhere a line at least every thirty seconds. Stages and
epochs are read from the store, where their artifacts and checkpoints appear, so that workers on other machines need not
report them.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ssliqa_bench.errors import StorageError
from ssliqa_bench.runner.progress import PULSE, time_text
from ssliqa_bench.store.artifacts import ArtifactStore

_log = logging.getLogger("ssliqa_bench")

_REFRESH = 1.0  # seconds between two states of the table
_LOOK_AGAIN, _LOOK_AGAIN_AFAR = 2.0, 15.0  # seconds between looks at a store: a folder, an address
_AROUND = 4  # lines of the terminal that are no rows: totals, heading, the rest, the cursor


@dataclass(frozen=True)
class Running:
    """A task in progress.

    Attributes:
        run: as text.
        where: machine or process; empty for this one.
        stage: what of the run is computed; empty where it is not known.
        epochs: of the stage that are finished; None without a checkpoint.
        seconds: since it was submitted.
    """

    run: str
    where: str
    stage: str
    epochs: int | None
    seconds: float

    def __str__(self) -> str:
        stage = f", {self.stage}" if self.stage else ""
        epochs = "" if self.epochs is None else f" after epoch {self.epochs}"
        place = f" on {self.where}" if self.where else ""
        return f"{self.run}{stage}{epochs}{place} ({self.seconds:.0f} s)"


@dataclass(frozen=True)
class Standing:
    """How far a sweep is: runs in all, finished, failed, and waiting; tasks in progress; about how many seconds are
    left, None where unknown."""

    runs: int
    finished: int
    failed: int
    waiting: int
    running: tuple[Running, ...]
    left: float | None = None

    @property
    def totals(self) -> str:
        """The numbers of runs and the time left, in words."""
        left = "" if self.left is None else f", about {time_text(self.left)} left"
        return f"{self.finished} of {self.runs} runs finished, {self.failed} failed, {self.waiting} waiting{left}"


class SweepDisplay:
    """Shows how far a sweep is, from the first call of `show` to the end of the block.

    Args:
        live: whether a terminal gets the table; without, it gets the lines too.
    """

    def __init__(self, *, live: bool) -> None:
        console = Console(stderr=True, emoji=False, markup=False, highlight=False)
        self._console = console if live and console.is_terminal else None
        self._live: Live | None = None
        self._told = time.monotonic()

    def __enter__(self) -> SweepDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def pulse(self) -> float:
        """Seconds after which `show` should be called again."""
        return PULSE if self._console is None else _REFRESH

    def show(self, standing: Callable[[], Standing]) -> None:
        """Show a standing, which is asked for when it is time to."""
        if self._console is not None:
            if self._live is None:  # what is printed meanwhile appears above it
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(as_table(standing(), self._console.height - _AROUND), refresh=True)
        elif time.monotonic() - self._told >= PULSE:
            self._told = time.monotonic()
            now = standing()
            left = "" if now.left is None else f"; about {time_text(now.left)} left"
            _log.warning("[%d/%d] running: %s%s", now.finished + now.failed, now.runs,
                         ", ".join(map(str, now.running)), left)  # fmt: skip


def as_table(standing: Standing, rows: int) -> RenderableType:
    """A standing as a table of at most so many tasks, those that run longest first."""
    table = Table(box=None, pad_edge=False)
    table.add_column("running")
    for heading in ("on", "stage"):
        table.add_column(heading, no_wrap=True)
    for heading in ("epochs", "for"):
        table.add_column(heading, justify="right", no_wrap=True)
    tasks = sorted(standing.running, key=lambda own: -own.seconds)
    shown = tasks[: max(rows, 1)]
    for own in shown:
        epochs = "" if own.epochs is None else str(own.epochs)
        cells = (own.run, own.where, own.stage, epochs, time_text(own.seconds))
        table.add_row(*map(Text, cells))
    hidden = len(tasks) - len(shown)
    return Group(Text(standing.totals), table, *([Text(f"and {hidden} more")] if hidden else []))


class StageWatch:
    """Which stage of a run is being computed, and after how many epochs, according to the store.

    Args:
        stages: of every run by number, names and keys in their order.
    """

    def __init__(self, store: ArtifactStore, stages: Mapping[int, Sequence[tuple[str, str]]]) -> None:
        self._store, self._stages = store, stages
        self._again = _LOOK_AGAIN_AFAR if store.store.folder is None else _LOOK_AGAIN
        self._seen: dict[int, tuple[float, str, int | None]] = {}

    def of(self, run: int) -> tuple[str, int | None]:
        """Name of the stage and its finished epochs; empty and None where they are not known.

        After the last stage, "predictions". A folder is looked at every two seconds at most, an address every fifteen.
        """
        now = time.monotonic()
        when, stage, epochs = self._seen.get(run, (-self._again, "", None))
        if now - when >= self._again:
            with contextlib.suppress(StorageError):  # a look that fails is made again
                stage, epochs = self._looked(self._stages.get(run, ()))
            self._seen[run] = (now, stage, epochs)
        return stage, epochs

    def _looked(self, stages: Sequence[tuple[str, str]]) -> tuple[str, int | None]:
        for name, key in stages:
            if not self._store.has(key):
                return name, self._store.checkpoint_epoch(key)
        return ("predictions" if stages else ""), None


class Pace:
    """About how long a sweep will still take: what its tasks weigh, and what finished ones took for their weight.

    Args:
        weights: of the tasks by number, in about seconds.
        certain: whether all of them are those of earlier records; else nothing is shown before a task is finished.
    """

    def __init__(self, weights: Mapping[int, float], *, certain: bool) -> None:
        self._weights, self._scale = dict(weights), 1.0 if certain else None
        self._spent = self._done = 0.0

    def add(self, number: int, seconds: float) -> None:
        """A task is done."""
        self._spent += seconds
        self._done += self._weights.pop(number, 0.0)
        if self._done > 0:
            self._scale = self._spent / self._done

    def drop(self, numbers: Iterable[int]) -> None:
        """These tasks will not be done."""
        for number in numbers:
            self._weights.pop(number, None)

    def left(self, running: Mapping[int, float], places: int) -> float | None:
        """Seconds that are left, None where unknown.

        Args:
            running: seconds so far of the tasks in progress, by number.
            places: how many tasks can be worked on at once.
        """
        if self._scale is None or not any(self._weights.values()):
            return None
        own = [max(weight * self._scale - running.get(number, 0.0), 0.0) for number, weight in self._weights.items()]
        found = max(sum(own) / max(min(places, len(own)), 1), *own)
        return found if found > 0 else None  # longer than expected
