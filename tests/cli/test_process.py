"""What surrounds a command: a line from time to time while it is silent."""

from __future__ import annotations

import importlib.machinery
import io
import sys
import time
import types

import pytest

from ssliqa_bench.cli import process


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def wait_for(stream: io.StringIO, text: str) -> None:
    until = time.monotonic() + 60
    while text not in stream.getvalue() and time.monotonic() < until:
        time.sleep(0.01)
    assert text in stream.getvalue()


def test_a_silent_command_writes_lines_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(process, "PULSE", 0.05)
    with process.signs_of_life("run"):
        print("first", file=sys.stderr)
        wait_for(stream, "run: still working, 0 s so far\nrun: still working")
    assert sys.stderr is stream and stream.getvalue().startswith("first\n")


def test_a_command_that_writes_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with process.signs_of_life("run"):
        print("done", file=sys.stderr)
    assert stream.getvalue() == "done\n"


def test_a_terminal_has_its_own_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(process, "PULSE", 0.0)
    with process.signs_of_life("run"):
        assert sys.stderr is stream


def test_a_closed_stream_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(process, "PULSE", 0.01)
    with process.signs_of_life("run"):
        stream.close()
        time.sleep(0.05)
    assert sys.stderr is stream


def test_a_large_import_is_shown_on_a_terminal_and_cleared_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    module = types.ModuleType("torch")
    module.__spec__ = importlib.machinery.ModuleSpec("torch", None)
    module.__spec__._initializing = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setattr(sys, "stderr", stream)
    with process.loading_shown():
        wait_for(stream, "Loading PyTorch, 1 s")
        module.__spec__._initializing = False  # type: ignore[attr-defined]
        wait_for(stream, process._CLEARED)
    assert "Loading" not in stream.getvalue().rpartition(process._CLEARED)[2]


def test_a_large_import_writes_nothing_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with process.loading_shown():
        time.sleep(0.05)
    assert stream.getvalue() == ""
