"""What the scripts of this folder share: work in alternation, copies of a loop at the same time, a table and JSON.

A script prints its table, then one line of JSON with the same figures, their targets and the machine that they were
measured on. `results.py` runs the scripts and writes RESULTS.md from what they printed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

_LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pillow", "pyiqa")
Clock = Callable[[], float]


@dataclass(frozen=True)
class Figure:
    """A number with its unit, and the target that it is held against: at least or at most, or none."""

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_least is None and self.at_most is None:
            return None
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)


def alternate(
    actions: Mapping[str, Callable[[], Any]], rounds: int, clock: Clock = time.process_time
) -> dict[str, list[float]]:
    """Seconds of every action in every round; the order turns from round to round, and a first round warms up.

    Args:
        clock: CPU time of this process unless given, to which other work on the machine does not count.
    """
    names = list(actions)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else names[::-1]:
            began = clock()
            actions[name]()
            if turn:
                taken[name].append(clock() - began)
    return taken


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over the rounds of one time over the other of the same round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def at_once(prepare: Callable[..., Callable[[], Any]], arguments: Sequence[tuple[Any, ...]]) -> float:
    """Seconds in which processes, one for each tuple of arguments, do what `prepare` gives them.

    Every process prepares and does the work once to warm up, waits for the others, then does it on the clock.
    """
    spawn = multiprocessing.get_context("spawn")
    ready, times = spawn.Barrier(len(arguments)), spawn.SimpleQueue()
    running = [spawn.Process(target=_one, args=(prepare, words, ready, times)) for words in arguments]
    for process in running:
        process.start()
    for process in running:
        process.join()
        if process.exitcode:
            raise SystemExit(f"a copy of the loop failed with exit code {process.exitcode}")
    ends = [times.get() for _ in running]
    return max(end for _, end in ends) - min(start for start, _ in ends)


def _one(prepare: Callable[..., Callable[[], Any]], words: tuple[Any, ...], ready: Any, times: Any) -> None:
    work = prepare(*words)
    work()
    ready.wait()
    began = time.time()
    work()
    times.put((began, time.time()))


def show(columns: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[Figure], *, rounds: int) -> int:
    """Print the table, the figures with their targets, and the line of JSON; 0, or 1 where a target is missed.

    Args:
        rounds: of how many measurements a figure is the median.
    """
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    for line in lines:
        cells = [cell.ljust(w) if not k else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())
    for figure in figures:
        print(f"{figure.name}: {figure.value:.4g}{figure.unit and f' {figure.unit}'}{_target(figure)}")
    document = {
        "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
        "rounds": rounds,
        "machine": machine(),
    }
    print(json.dumps(document, ensure_ascii=False))
    return 1 if any(figure.met is False for figure in figures) else 0


def target(at_least: float | None, at_most: float | None) -> str:
    """A target as it is printed; empty without one."""
    if at_least is not None:
        return f"≥ {at_least:g}"
    return "" if at_most is None else f"≤ {at_most:g}"


def _target(figure: Figure) -> str:
    words = target(figure.at_least, figure.at_most)
    return words and f" (target {words}{'' if figure.met else ', missed'})"


def machine() -> dict[str, Any]:
    """What the figures were measured on: processor, cores, versions, and the load of the minute before."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "load": round(os.getloadavg()[0], 1),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
