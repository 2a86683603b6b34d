"""What every command has in common on a terminal: help and tables within 80 columns, NO_COLOR, --json, completion."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from typer.main import get_command

from ssliqa_bench.cli.app import command_line, main

COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])m")
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def commands(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands with the words that call them; groups are left out."""
    command = get_command(command_line()) if command is None else command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))
    if words and not getattr(command, "commands", {}):
        yield words, command


COMMANDS = dict(commands())


class Terminal(io.StringIO):
    """A screen of 80 columns."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns that can show colours."""
    for name, value in {"COLUMNS": "80", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def shown(words: Sequence[str]) -> str:
    """What a command prints on a terminal."""
    with contextlib.redirect_stdout(Terminal()) as screen:
        assert main(words) == 0
    assert screen.getvalue()
    return screen.getvalue()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_fits_a_terminal_and_has_no_colour_where_none_is_wanted(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown([*words, "--help"])
    assert "Usage: ssliqa-bench" in STYLE.sub("", text) and not COLOUR.search(text)
    assert max(map(len, STYLE.sub("", text).splitlines())) <= 80


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_prints_json_on_request(words: tuple[str, ...]) -> None:
    assert "--json" in {name for parameter in COMMANDS[words].params for name in parameter.opts}


@pytest.mark.parametrize("kind", ["datasets", "methods", "protocols", "suites", "backbones"])
def test_lists_fit_a_terminal(kind: str) -> None:
    assert max(map(len, STYLE.sub("", shown(["list", kind])).splitlines())) <= 80


@pytest.mark.parametrize("name", ["ssiqa", "koniq", "standard", "demo"])
def test_facts_about_a_name_fit_a_terminal_but_for_its_citation(name: str) -> None:
    lines = STYLE.sub("", shown(["show", name])).splitlines()
    wide = [line for line in lines if len(line) > 80 and " " in line.strip()]
    assert all(" = {" in line for line in wide)


def test_what_is_no_terminal_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "datasets"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(("typed", "expected"), [("tra", ["train"]), ("label", ["label", "label-budget"])])
def test_a_shell_completes_commands(
    typed: str, expected: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_SSLIQA_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": f"ssliqa-bench {typed}",
                        "COMP_CWORD": "1"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert main([]) == 0
    assert capsys.readouterr().out.split() == expected


def test_the_script_for_the_shell_that_runs_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: ("bash", "/bin/bash"))
    assert main(["--show-completion"]) == 0
    assert "_SSLIQA_BENCH_COMPLETE=complete_bash" in capsys.readouterr().out
