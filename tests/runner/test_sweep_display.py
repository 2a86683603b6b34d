"""What is shown while a sweep is in progress: a table on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from rich.console import Console

from ssliqa_bench.runner import sweep_display
from ssliqa_bench.runner.sweep_display import Pace, Running, StageWatch, Standing, SweepDisplay, as_table
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.types import Artifact

if TYPE_CHECKING:
    from tests.conftest import Bench

STANDING = Standing(
    runs=12, finished=3, failed=1, waiting=6, left=840.0, running=(
        Running("ssiqa a:b standard seed 0", "process 41", "initial for 5 runs", None, 3.2),
        Running("oracle [1] a:b :b: seed 1", "node-2 (0a1b2c)", "phase-2", 12, 199.0),
    ),
)  # fmt: skip
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def rendered(standing: Standing, rows: int = 20, width: int = 100) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, force_terminal=True, width=width, emoji=False, markup=False).print(as_table(standing, rows))
    return [line.rstrip() for line in STYLE.sub("", screen.getvalue()).splitlines()]


def test_the_table_has_a_row_for_each_task_and_the_totals() -> None:
    totals, head, first, second = rendered(STANDING)
    assert totals == "3 of 12 runs finished, 1 failed, 6 waiting, about 14 min left"
    assert head.split() == ["running", "on", "stage", "epochs", "for"]
    assert re.split(" {2,}", first) == ["oracle [1] a:b :b: seed 1", "node-2 (0a1b2c)", "phase-2", "12", "3 min"]
    assert re.split(" {2,}", second) == ["ssiqa a:b standard seed 0", "process 41", "initial for 5 runs", "3 s"]


def test_a_small_terminal_shows_those_that_run_longest() -> None:
    lines = rendered(STANDING, rows=1)
    assert len(lines) == 4 and "oracle" in lines[2] and lines[3] == "and 1 more"
    assert max(map(len, rendered(STANDING, width=60))) <= 60


def test_a_terminal_gets_a_table_that_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        sweep_display, "Console", lambda stderr, **own: Console(file=screen, force_terminal=True, width=100, **own)
    )
    with SweepDisplay(live=True) as display:
        assert display.pulse == 1.0 and screen.getvalue() == ""
        display.show(lambda: STANDING)
        display.show(lambda: STANDING)
        assert screen.getvalue().count("3 of 12 runs finished") == 2
    assert screen.getvalue().endswith("\x1b[2K"), "the last lines are cleared"


@pytest.mark.parametrize("live", [True, False])
def test_what_is_no_terminal_gets_a_line_at_least_every_thirty_seconds(
    live: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "ssliqa_bench")
    with SweepDisplay(live=live) as display:
        assert display.pulse == 25.0
        display.show(lambda: STANDING)
        assert caplog.messages == []
        monkeypatch.setattr(sweep_display, "PULSE", 0.0)
        display.show(lambda: STANDING)
    assert caplog.messages == [
        "[4/12] running: ssiqa a:b standard seed 0, initial for 5 runs on process 41 (3 s), oracle [1] a:b :b: seed 1, "
        "phase-2 after epoch 12 on node-2 (0a1b2c) (199 s); about 14 min left"
    ]


def test_the_store_tells_stage_and_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(sweep_display, "time", clock)
    store = ArtifactStore(tmp_path)
    watch = StageWatch(store, {0: [("initial", "k1"), ("phase-1", "k2")]})
    assert watch.of(0) == ("initial", None) and watch.of(7) == ("", None)
    store.save_checkpoint("k1", Artifact({"x": np.zeros(1)}, {"epoch": 12}))
    assert watch.of(0) == ("initial", None), "it was looked at just now"
    clock.now += 2
    assert watch.of(0) == ("initial", 12)
    store.save("k1", Artifact({"x": np.zeros(1)}), {})
    clock.now += 2
    assert watch.of(0) == ("phase-1", None)
    store.save("k2", Artifact({"x": np.zeros(1)}), {})
    clock.now += 2
    assert watch.of(0) == ("predictions", None)


def test_time_left_without_records_follows_from_what_was_finished() -> None:
    pace = Pace({0: 1.0, 1: 2.0, 2: 3.0, 9: 1.0}, certain=False)
    assert pace.left({0: 5.0}, places=1) is None
    pace.add(9, 4.0)
    pace.add(0, 6.0)
    assert pace.left({}, places=1) == pytest.approx(25.0), "10 seconds for a weight of 2, 5 are left"
    assert pace.left({1: 5.0}, places=1) == pytest.approx(20.0)
    assert pace.left({1: 5.0}, places=8) == pytest.approx(15.0), "the longest alone takes that"
    pace.drop([2])
    assert pace.left({1: 5.0}, places=8) == pytest.approx(5.0)
    assert pace.left({1: 11.0}, places=8) is None, "longer than expected"
    pace.drop([1, 7])
    assert pace.left({}, places=8) is None


def test_time_left_is_that_of_earlier_records_from_the_start() -> None:
    pace = Pace({0: 100.0, 1: 100.0}, certain=True)
    assert pace.left({0: 10.0, 1: 30.0}, places=2) == pytest.approx(90.0)
    assert pace.left({5: 20.0}, places=2) == pytest.approx(100.0)
    assert Pace({0: 0.0}, certain=True).left({}, places=1) is None


@pytest.mark.slow
def test_a_sweep_on_a_terminal_shows_what_runs_where_and_prints_its_document(bench: Bench) -> None:
    """Stdout is a pipe, stderr a pseudo-terminal."""
    path = bench.store.parent / "suite.yaml"
    block = {"methods": ["supervised", "ssiqa"], "pairs": ["tiny-a:tiny-b"], "seeds": 2, "set": {"epochs": 300}}
    path.write_text(yaml.safe_dump({"title": "Tiny", "runs": [block]}))
    ours, theirs = pty.openpty()
    words = ["sweep", str(path), "--jobs", "2", "--force", "--json", "--store", str(bench.store), "--registry",
             str(bench.data / "registry.yaml")]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "ssliqa_bench", *words], stdout=subprocess.PIPE, stderr=theirs,
                               env={**os.environ, "COLUMNS": "120", "TERM": "xterm"})  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # nobody has the other end open any more
            break
        if not piece:
            break
        seen += piece
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    text = STYLE.sub("", seen.decode())
    assert process.returncode == 0, text
    assert {entry["status"] for entry in json.loads(out)["runs"]} == {"done"}
    assert "0 of 4 runs finished, 0 failed," in text and "waiting" in text and "running: " not in text
    assert re.search(r"supervised tiny-a:tiny-b standard seed \d +process \d+ +initial for 2 runs +\d+ +\d+ s", text)
    assert all(f"[{done}/4] " in text for done in range(1, 5)), "each result has its line"
