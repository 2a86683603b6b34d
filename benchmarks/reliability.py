"""Inject faults on a large scale and write docs/reliability.md, each figure beside the command that printed it.

    python benchmarks/reliability.py --kills 50 --minutes 30
    python benchmarks/reliability.py --kills 8 --minutes 5 --out /tmp/reliability.md
    python benchmarks/reliability.py --only soak kills      # these parts; the page holds what earlier calls measured

Every part leaves its result in build/reliability/ as soon as it is done, and a soak that fails its journal and store.
A part that is there with the same sizes is not run again, unless --again is given or it failed. Exit code 1 where a
test failed; the report then names it as an exception.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from ssliqa_bench.files import write_text

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "reliability"
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
    def name(self) -> str:
        """What `--only` calls it."""
        return self.file.removeprefix("test_").removesuffix(".py")

    @property
    def command(self) -> str:
        """The command line, as a reader can repeat it."""
        sizes = "".join(f"SSLIQA_FAULTS_{name}={number} " for name, number in self.sizes)
        return f"{sizes}python -m pytest -q -m faults tests/faults/{self.file}"


@dataclass(frozen=True)
class Result:
    """What a command printed at a commit: its figures, pytest's summary, the tests that failed."""

    command: str
    commit: str
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


def kept(part: Part) -> Result | None:
    """What an earlier call measured at the same sizes; None where there is no such result."""
    path = KEPT / f"{part.name}.json"
    result = Result(**json.loads(path.read_text())) if path.is_file() else None
    return result if result and result.command == part.command else None


def measured(part: Part) -> Result:
    """Run one part, read what it printed and keep it."""
    print(f"{part.title}: {part.command}", file=sys.stderr, flush=True)
    began, commit = time.monotonic(), _commit()
    sizes = {f"SSLIQA_FAULTS_{name}": str(number) for name, number in part.sizes}
    words = [sys.executable, "-m", "pytest", "-q", "-m", "faults", f"tests/faults/{part.file}"]
    kept_in = KEPT / f"{part.name}-failed"  # inputs and outcome of what fails
    shutil.rmtree(kept_in, ignore_errors=True)
    sizes["SSLIQA_FAULTS_KEEP"] = str(kept_in)
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, **sizes}, capture_output=True, text=True, check=False)
    write_text(KEPT / f"{part.name}.log", done.stdout + done.stderr)
    figures = tuple(FIGURE.findall(done.stdout))
    summary = SUMMARY.findall(done.stdout)
    exceptions = tuple(EXCEPTION.findall(done.stdout))
    if done.returncode != 0:
        print(f"{part.title}: failed; {KEPT / part.name}.log holds what was printed", file=sys.stderr)
        exceptions = exceptions or (f"exit code {done.returncode}",)
    seconds = round(time.monotonic() - began)
    result = Result(part.command, commit, figures, summary[-1] if summary else "no summary", exceptions, seconds)
    write_text(KEPT / f"{part.name}.json", json.dumps(asdict(result), indent=1) + "\n")
    return result


def report(results: Sequence[tuple[Part, Result | None]], kills: int, minutes: float) -> str:
    """The page."""
    exceptions = [one for _, result in results if result for one in result.exceptions]
    absent = [part.title for part, result in results if result is None]
    lines = [
        "# Reliability",
        "",
        f"Measured by `make faults-full KILLS={kills} MINUTES={minutes:g}`, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores.",
        "Every figure was printed by the command above its table, at the commit beside it.",
        "",
        "Exceptions: " + (", ".join(f"`{one}`" for one in exceptions) if exceptions else "none") + ".",
        *([f"Not measured: {', '.join(absent)}."] if absent else []),
    ]
    for part, result in results:
        if result is not None:
            lines += ["", f"## {part.title}", "", f"`{result.command}` ({result.seconds:.0f} s, {result.commit})", "",
                      "| figure | value |", "| --- | ---: |", f"| tests | {result.summary} |"]  # fmt: skip
            lines += [f"| {name} | {int(number):,} |" for name, number in result.figures]
    return "\n".join([*lines, ""])


def _commit() -> str:
    words = ["git", "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Run every part that has no result yet and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="processes that are killed [50]")
    parser.add_argument("--minutes", type=float, default=30.0, help="of soak [30]")
    parser.add_argument("--flips", type=int, default=12, help="flipped bits of each stored file [12]")
    parser.add_argument("--jobs", type=int, default=1, help="parts at a time [1]")
    parser.add_argument("--only", nargs="+", metavar="PART", help="run these parts alone [all]")
    parser.add_argument("--again", action="store_true", help="run parts that have a result, too")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "reliability.md", help="the page")
    options = parser.parse_args()
    every = parts(options.kills, options.minutes, options.flips)
    names = [part.name for part in every]
    if unknown := sorted({*(options.only or ())} - {*names}):
        parser.error(f"--only: no part {', '.join(unknown)}; expected some of {', '.join(names)}")
    wanted = [part for part in every if part.name in (options.only or names)]
    due = [part for part in wanted if options.again or (before := kept(part)) is None or before.exceptions]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(measured, due))
    results = [(part, kept(part)) for part in every]
    write_text(options.out, report(results, options.kills, options.minutes))
    return int(any(result is None or result.exceptions for _, result in results))


if __name__ == "__main__":
    sys.exit(main())
