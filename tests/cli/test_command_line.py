"""A command is built alone, and is the same as among all others."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from typer.main import get_command

from ssliqa_bench.cli.app import COMMANDS, command_line
from ssliqa_bench.cli.app import main as entry


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
