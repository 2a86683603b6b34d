"""A folder of good and bad inputs, and a call of the command line that can neither hang nor raise unseen."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ssliqa_bench.stop import Stopped
from tests.resealed import reseal

SECONDS = 60  # in which a command on a bad input has to answer
WORKING = 280  # for one that trains, also where the machine is busy


class Hang(BaseException):
    """A command that does not answer."""


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code (None where it raised or hung) and everything that it printed."""

    code: int | None
    out: str
    err: str

    @property
    def fault(self) -> str:
        """A traceback, a hang or an error that nobody foresaw; "" for none."""
        signs = ("Traceback (most recent call last)", "Error: unexpected ", "HANG")
        return next((sign for sign in signs if sign in self.out + self.err), "")


@contextlib.contextmanager
def bounded(seconds: int = SECONDS) -> Iterator[None]:
    """Raise `Hang` in what takes longer."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def called(*words: str, seconds: int = SECONDS) -> Answer:
    """Run a command in this process."""
    from ssliqa_bench.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    code: int | None = None
    try:
        with bounded(seconds), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    except Hang:
        err.write("HANG")
    except Stopped as stop:  # outside the command itself the entry point answers a signal
        code = stop.exit_code
    except BaseException as error:  # what reaches the user as a traceback
        err.write(f"Traceback (most recent call last): {type(error).__name__}: {error}")
    return Answer(code, out.getvalue(), err.getvalue())


def worked(*words: str) -> Answer:
    """Run a command that has work to do."""
    return called(*words, seconds=WORKING)


PLACES = {
    "missing": "nothing-here",
    "folder": "folder",
    "file": "file.txt",
    "pipe": "pipe",
    "zero": "/dev/zero",
    "null": "/dev/null",
    "long": "n" * 300,
    "deep": "d/" * 2500 + "x",
    "dangling": "dangling",
    "circle": "circle",
    "below": "file.txt/below",
    "empty": "",
}


# What a forger changes in the record of a store, by name: the file, the change, and what the message must name.
FORGED: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "no-cell": ("facts.json", lambda facts: facts.pop("cell"), "cell"),
    "seed-text": ("facts.json", lambda facts: facts["cell"].update(seed="0"), "cell.seed"),
    "stages-null": ("facts.json", lambda facts: facts.update(stages=None), "stages"),
    "datasets-list": ("facts.json", lambda facts: facts.update(datasets=[]), "datasets"),
    "no-protocol": ("facts.json", lambda facts: facts.pop("protocol"), "protocol"),
    "protocol-outside": ("facts.json", lambda facts: facts["cell"].update(protocol="../../x"), "cell.protocol"),
    "another-key": ("facts.json", lambda facts: facts.update(key="1" * 64), "key"),
    "no-metrics": ("*/metrics.json", lambda result: result.pop("metrics"), "metrics"),
    "srcc-text": ("*/metrics.json", lambda result: result["metrics"].update(srcc="high"), "metrics.srcc"),
    "no-version": ("*/metrics.json", lambda result: result.pop("evaluation_version"), "evaluation_version"),
}


def forge(root: Path, store: Path) -> None:
    """Lay out a store `forged-NAME` with one forged record, whose checksums are right, for every forgery."""
    (record, *_) = sorted((store / "records").iterdir())
    for name, (pattern, change, _) in FORGED.items():
        copy = root / f"forged-{name}" / "records" / record.name
        shutil.copytree(record, copy)
        for path in copy.glob(pattern):
            reseal(path, change)


def furnish(root: Path, data: Path) -> None:
    """Lay out bad places, good photographs and a good label file in an empty folder."""
    (root / "folder").mkdir()
    (root / "file.txt").write_text("neither a table nor YAML: [")
    os.mkfifo(root / "pipe")
    (root / "dangling").symlink_to(root / "not-there")
    (root / "circle").symlink_to(root / "circle")
    shutil.copytree(data / "tiny-a" / "images", root / "photos")
    rows = (data / "tiny-a" / "labels.csv").read_text().splitlines()
    (root / "labels.csv").write_text("\n".join(",".join(row.split(",")[:2]) for row in rows) + "\n")
    (root / "good.csv").write_text("score,prediction\n" + "".join(f"{k},{k * k}\n" for k in range(30)))
    (root / "predictions.csv").write_text("image,prediction\n" + "".join(f"{k:02}.png,{k}\n" for k in range(24)))
    ratings = "".join(f"{k % 3}.png,r{k // 3},{k % 5 + 1}\n" for k in range(9))
    (root / "ratings.csv").write_text(f"image,rater,rating\n{ratings}")
