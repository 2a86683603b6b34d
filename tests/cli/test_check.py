"""`check method`: one line per property, exit code 1 where one does not hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.testing.conformance import Check

HOLDS = Check("runs", True, "24 finite predictions")
FAILS = Check("order", False, "largest difference 0.2 of the spread: values change with the position in the set")


def found(monkeypatch: pytest.MonkeyPatch, checks: list[Check]) -> list[tuple[object, ...]]:
    """Put a result in place of the checks; gives what they were asked."""
    import ssliqa_bench.testing

    asked: list[tuple[object, ...]] = []

    def check_method(*words: object) -> list[Check]:
        asked.append(words)
        return checks

    monkeypatch.setattr(ssliqa_bench.testing, "check_method", check_method)
    return asked


def test_all_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = found(monkeypatch, [HOLDS, HOLDS])
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        Path(name).write_text("methods: {}\n")
    words = ["--registry", "a.yaml", "--registry", "b.yaml", "--device", "cpu", "--threads", "2"]
    assert main(["check", "method", "ssiqa", *words]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == ["ok     runs: 24 finite predictions"] * 2 + ["ssiqa: 2 of 2 checks hold."]
    ((name, registries, settings),) = asked
    assert name == "ssiqa" and list(registries) == [Path("a.yaml"), Path("b.yaml")]  # type: ignore[call-overload]
    assert (settings.device, settings.threads) == ("cpu", 2)  # type: ignore[attr-defined]


def test_one_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found(monkeypatch, [HOLDS, FAILS])
    assert main(["check", "method", "mine"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"FAILED order: {FAILS.seen}" and lines[-1] == "mine: 1 of 2 checks hold."


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found(monkeypatch, [HOLDS, FAILS])
    assert main(["check", "method", "mine", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "method": "mine",
        "checks": [
            {"name": "runs", "holds": True, "seen": HOLDS.seen},
            {"name": "order", "holds": False, "seen": FAILS.seen},
        ],
    }


def test_an_unknown_method_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "method", "ssiqua"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and 'Unknown method "ssiqua"' in captured.err and "'ssiqa'" in captured.err


def test_the_command_runs_the_real_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "method", "piqe", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"piqe: {len(lines) - 1} of {len(lines) - 1} checks hold." and len(lines) > 8
