"""Inject faults on a large scale and write docs/reliability.md, each figure beside the command that printed it.

    python benchmarks/reliability.py --kills 50 --minutes 30
    python benchmarks/reliability.py --kills 8 --minutes 5 --out /tmp/reliability.md

Exit code 1 where a test failed; the report then names it as an exception.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ssliqa_bench.files import write_text

ROOT = Path(__file__).resolve().parents[1]
FIGURE = re.compile(r"^figure: (.*): (-?\d+)$", re.MULTILINE)
SUMMARY = re.compile(r"^=* ?((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.MULTILINE)
EXCEPTION = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """One kind of fault: what is done, the test file, and the sizes that it takes from the environment."""

    title: str
    file: str
    sizes: tuple[tuple[str, int], ...] = ()

    @property
    def command(self) -> str:
        """The command line, as a reader can repeat it."""
        sizes = "".join(f"SSLIQA_FAULTS_{name}={number} " for name, number in self.sizes)
        return f"{sizes}python -m pytest -q -m faults tests/faults/{self.file}"


@dataclass(frozen=True)
class Result:
    """What a command printed: its figures, pytest's summary, the tests that failed."""

    part: Part
    figures: tuple[tuple[str, str], ...]
    summary: str
    exceptions: tuple[str, ...]
    seconds: float


def parts(kills: int, minutes: float, flips: int) -> tuple[Part, ...]:
    """All parts at their full size."""
    return (
        Part("Bad inputs, over all commands", "test_catalogue.py"),
        Part("Flipped bits, over every kind of stored file", "test_flips.py", (("FLIPS", flips),)),
        Part("Killed and concurrent processes", "test_kills.py", (("KILLS", kills),)),
        Part("Signals: at imports, in training, in the workers of a sweep", "test_signals.py"),
        Part("Planted pickles: weights, checkpoints, caches, records, splits, tables", "test_pickles.py"),
        Part("Fuzzing of readers", "test_fuzz.py", (("EXAMPLES", 500),)),
        Part("Soak: all of it at once on one store", "test_soak.py", (("SOAK_SECONDS", round(60 * minutes)),)),
    )


def measured(part: Part) -> Result:
    """Run one part and read what it printed."""
    print(f"{part.title}: {part.command}", file=sys.stderr, flush=True)
    began = time.monotonic()
    sizes = {f"SSLIQA_FAULTS_{name}": str(number) for name, number in part.sizes}
    words = [sys.executable, "-m", "pytest", "-q", "-m", "faults", f"tests/faults/{part.file}"]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, **sizes}, capture_output=True, text=True, check=False)
    figures = tuple(FIGURE.findall(done.stdout))
    summary = SUMMARY.findall(done.stdout)
    exceptions = tuple(EXCEPTION.findall(done.stdout))
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-2000:], file=sys.stderr)
        exceptions = exceptions or (f"exit code {done.returncode}",)
    return Result(part, figures, summary[-1] if summary else "no summary", exceptions, time.monotonic() - began)


def report(results: Sequence[Result], kills: int, minutes: float) -> str:
    """The page."""
    exceptions = [one for result in results for one in result.exceptions]
    lines = [
        "# Reliability",
        "",
        f"Measured by `make faults-full KILLS={kills} MINUTES={minutes:g}`, commit {_commit()}, Python "
        f"{platform.python_version()},",
        f"{len(os.sched_getaffinity(0))} cores. Every figure was printed by the command above its table.",
        "",
        "Exceptions: " + (", ".join(f"`{one}`" for one in exceptions) if exceptions else "none") + ".",
    ]
    for result in results:
        lines += ["", f"## {result.part.title}", "", f"`{result.part.command}` ({result.seconds:.0f} s)", "",
                  "| figure | value |", "| --- | ---: |", f"| tests | {result.summary} |"]  # fmt: skip
        lines += [f"| {name} | {int(number):,} |" for name, number in result.figures]
    return "\n".join([*lines, ""])


def _commit() -> str:
    words = ["git", "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Run every part and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="processes that are killed [50]")
    parser.add_argument("--minutes", type=float, default=30.0, help="of soak [30]")
    parser.add_argument("--flips", type=int, default=12, help="flipped bits of each stored file [12]")
    parser.add_argument("--jobs", type=int, default=1, help="parts at a time [1]")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "reliability.md", help="the page")
    options = parser.parse_args()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(measured, parts(options.kills, options.minutes, options.flips)))
    write_text(options.out, report(results, options.kills, options.minutes))
    return int(any(result.exceptions for result in results))


if __name__ == "__main__":
    sys.exit(main())
