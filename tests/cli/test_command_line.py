"""A command is built alone, and is the same as among all others."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ssliqa_bench.cli.app import COMMANDS, command_line
from ssliqa_bench.cli.app import main as entry
from ssliqa_bench.evaluation import names as names_of_metrics
from ssliqa_bench.leaderboard.renderers import FORMATS


def names(*words: str) -> list[str]:
    return list(get_command(command_line(words or None)).commands)  # type: ignore[attr-defined]


def test_the_table_names_what_each_module_attaches() -> None:
    assert sorted(names()) == sorted(name for own in COMMANDS.values() for name in own)
    for own in COMMANDS.values():
        assert sorted(names(*[*own][:1])) == sorted(own)


def test_the_table_says_of_each_command_what_its_help_begins_with() -> None:
    commands = get_command(command_line()).commands  # type: ignore[attr-defined]
    written = {name: text for own in COMMANDS.values() for name, text in own.items()}
    assert written == {name: " ".join(command.help.partition("\n\n")[0].split()) for name, command in commands.items()}


def options() -> list[tuple[str, Any]]:
    """All options of all commands, with the words of their command."""
    found, left = [], list(get_command(command_line()).commands.items())  # type: ignore[attr-defined]
    while left:
        words, command = left.pop()
        left += [(f"{words} {name}", below) for name, below in getattr(command, "commands", {}).items()]
        found += [(words, own) for own in command.params if own.opts[0].startswith("--")]
    return found


def test_every_option_has_a_help_text_and_states_its_default_once() -> None:
    assert len(options()) > 200
    assert [f"{words} {own.opts[0]}" for words, own in options() if not own.help] == []
    # Typer prints no default that is None, false or empty; 0 is printed.
    printed = [(words, own) for words, own in options()
               if own.show_default and own.default is not False and own.default not in (None, "", [], ())]
    twice = [f"{words} {own.opts[0]}" for words, own in printed if (own.help or "").rstrip(".").endswith("]")]
    assert twice == []


def test_help_shows_no_bound_that_nobody_comes_near() -> None:
    assert [f"{words} {own.opts[0]}" for words, own in options() if (getattr(own, "max", None) or 0) > 10**6] == []


@pytest.mark.parametrize(("words", "named"), [
    (("evaluate", "a.csv", "--seed", str(2**63)), ("--seed", str(2**63 - 1))),
    (("splits", "export", "standard", "demo-syn", "--seed", str(2**70)), ("--seed", str(2**63 - 1))),
    (("score", "a.png", "--model", "niqe", "--max-pixels", str(10**12)), ("--max-pixels", str(10**11))),
])  # fmt: skip
def test_such_a_bound_is_named_where_it_is_passed(
    words: tuple[str, ...], named: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(list(words)) == 2
    printed = capsys.readouterr().err
    assert all(text in printed for text in (*named, "expected at most"))


def test_help_lists_the_metrics_and_the_formats_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    for words, listed in ((("evaluate", "--help"), names_of_metrics.FURTHER), (("leaderboard", "--help"), FORMATS)):
        assert entry(list(words)) == 0
        printed = capsys.readouterr().out
        assert all(name in printed for name in listed)


@pytest.mark.parametrize("words", [(), ("--help",), ("--version",), ("no-such-command",), ("--debug",)])
def test_all_commands_are_known_where_none_is_named(words: tuple[str, ...]) -> None:
    assert names(*words) == names()
    assert list(get_command(command_line(words)).commands) == names()  # type: ignore[attr-defined]


def test_a_debug_option_before_the_command_changes_nothing() -> None:
    assert names("--debug", "list", "methods") == names("list") == ["list", "show"]


def test_an_unknown_command_is_answered_with_near_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["evalute"]) == 2
    assert "evaluate" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "words"), [
    (BrokenProcessPool("terminated abruptly"), ("a process that shared the work died", "--jobs")),
    (MemoryError(), ("not enough memory", "--jobs")),
    (OSError(5, "Input/output error", "disk.csv"), ("disk.csv: Input/output error",)),
])  # fmt: skip
def test_errors_of_the_machine_are_no_fault_of_a_method(
    error: Exception, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*given: object) -> None:
        raise error

    monkeypatch.setattr("ssliqa_bench.cli.evaluate._read", broken)
    (tmp_path / "a.csv").write_text("score,prediction\n1,2\n")
    assert entry(["evaluate", str(tmp_path / "a.csv")]) == 1
    found = capsys.readouterr().err
    assert all(word in found for word in words) and "unexpected" not in found
