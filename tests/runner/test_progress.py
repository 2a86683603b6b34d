from __future__ import annotations

import io

import pytest
from rich.console import Console

from ssliqa_bench.runner import progress
from ssliqa_bench.runner.progress import ConsoleReporter


def report(reporter: ConsoleReporter) -> None:
    reporter.start("phase-2", epochs=3, steps_per_epoch=10, done=1)
    reporter.step(16, 0.25)
    reporter.step(16, None)
    reporter.say("something happened [1] :b:")
    reporter.stop()
    reporter.stop()


def test_without_a_terminal_a_phase_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report(ConsoleReporter("ssiqa a:b"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "ssiqa a:b: phase-2, 3 epochs of 10 steps", "ssiqa a:b: something happened [1] :b:"
    ]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    report(ConsoleReporter("ssiqa a:b", quiet=True))
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar_with_loss_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        progress, "Console", lambda stderr, **own: Console(file=screen, force_terminal=True, width=160, **own)
    )
    reporter = ConsoleReporter("ssiqa a:b")
    reporter.start("phase-2", epochs=3, steps_per_epoch=10, done=1)
    for _ in range(5):
        reporter.step(16, 0.25)
    assert reporter._bar is not None
    reporter._bar.refresh()
    reporter.stop()
    shown = screen.getvalue()
    assert "ssiqa a:b: phase-2" in shown and "loss 0.2500" in shown and "images/s" in shown and "50 %" in shown
