from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from ssliqa_bench.runner import progress
from ssliqa_bench.runner.progress import ConsoleReporter, counted


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


def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock for the module, which stands still until it is set forward."""
    made = SimpleNamespace(now=100.0)
    made.monotonic = made.perf_counter = lambda: made.now
    monkeypatch.setattr(progress, "time", made)
    return made


def test_without_a_terminal_lines_say_how_far_a_phase_is_before_thirty_seconds_are_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    time, reporter = clock(monkeypatch), ConsoleReporter("ssiqa a:b")
    reporter.start("phase-2", epochs=3, steps_per_epoch=10, done=1)
    for _ in range(8):
        time.now += 3.2
        reporter.step(16, 0.25)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == [
        "ssiqa a:b: phase-2, epoch 2 of 3, 60%, loss 0.2500, 5 images/s, 0.312 steps per second, about 38 s left"
    ]


@pytest.mark.parametrize(
    ("unit", "line"),
    [
        ("images", "copying: 50 images of 200 images, 25%, 2 images per second, about 75 s left"),
        ("bytes", "copying: 50.0 MB of 200.0 MB, 25%, 2.0 MB per second, about 75 s left"),
    ],
)
def test_a_count_without_a_terminal_has_lines_before_thirty_seconds_are_over(
    unit: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    time, size = clock(monkeypatch), 1 if unit == "images" else 10**6
    with counted("copying", unit) as tell:
        for k in range(27):
            tell(2 * k * size, 200 * size)
            time.now += 1.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"copying: {'200 images' if unit == 'images' else '200.0 MB'}" and len(lines) == 2
    assert lines[1] == line


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
