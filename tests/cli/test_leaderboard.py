from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.runner.code import package_code
from tests.leaderboard.typed import write

MADE = runpy.run_path(str(Path(__file__).parents[1] / "leaderboard" / "made_facts.py"))

Command = Callable[..., int]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for facts in MADE["demo_suite"]([0, 1]):
        write(tmp_path / "runs", facts)
    return tmp_path / "runs"


@pytest.fixture
def board(store: Path, tmp_path: Path) -> Command:
    return lambda *options: main(["leaderboard", "--store", str(store), "--out", str(tmp_path / "boards"), *options])


def test_boards_are_written_and_two_calls_give_the_same_bytes(
    board: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert board() == 0
    files = sorted(path for path in (tmp_path / "boards").rglob("*") if path.is_file())
    names = ("standard/demo-syn--demo-wild.md", "standard.csv", "standard.md")
    assert files == [tmp_path / "boards" / "demo" / name for name in names]
    first = [path.read_bytes() for path in files]
    captured = capsys.readouterr()
    assert captured.out == "" and all(str(path) in captured.err for path in files)
    assert board() == 0
    assert [path.read_bytes() for path in files] == first
    assert board("--check") == 0


def test_print_gives_the_markdown_on_standard_output(
    board: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert board("--print", "--format", "csv", "--no-cost") == 0
    out = capsys.readouterr().out
    assert "`ssiqa`" in out and "### Cost" not in out
    assert not list((tmp_path / "boards").rglob("*.md"))
    assert "n_parameters" not in (tmp_path / "boards" / "demo" / "standard.csv").read_text()


def test_the_site_is_written_from_several_stores_and_checked(
    board: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "other", MADE["record"]("another", 7))
    words = ("--format", "html", "--with", str(tmp_path / "other"), "--with", str(store))
    assert board(*words) == 0
    index = tmp_path / "boards" / "site" / "data" / "index.js"
    assert '"another"' in index.read_text() and (tmp_path / "boards" / "site" / "index.html").is_file()
    assert board(*words, "--check") == 0
    index.write_text("edited")
    assert board(*words, "--check") == 1
    assert "site/data/index.js: differs" in capsys.readouterr().err
    assert board("--format", "html", "--published") == 2


def test_check_fails_on_an_edited_board_and_writes_nothing(
    board: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert board() == 0
    edited = tmp_path / "boards" / "demo" / "standard.md"
    edited.write_text(edited.read_text().replace("0.8", "0.9"))
    before = edited.read_bytes()
    assert board("--check") == 1
    assert "demo/standard.md: differs" in capsys.readouterr().err
    assert edited.read_bytes() == before


def test_a_corrupt_record_stops_the_board_with_one_message(
    board: Command, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = sorted(store.rglob("facts.json"))[3]
    facts.write_text(facts.read_text().replace("0.75", "0.95").replace("SS-IQA", "SS-IQB"))
    facts.write_bytes(facts.read_bytes()[:-20] + b"\n")
    assert board() == 2
    captured = capsys.readouterr()
    assert str(facts) in captured.err and captured.err.count("Error:") == 1 and "Traceback" not in captured.err
    assert not (tmp_path / "boards").exists()


def test_no_records_and_unknown_formats_are_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "--store", str(tmp_path / "none")]) == 2
    assert "nothing of that name" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["leaderboard", "--store", str(tmp_path / "empty")]) == 2
    assert "No records under" in capsys.readouterr().err
    assert main(["leaderboard", "--store", str(tmp_path / "empty"), "--format", "pdf"]) == 2
    assert "md, csv" in capsys.readouterr().err


def test_stale_lists_records_of_other_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = package_code()["files"]["ssliqa_bench/errors.py"]
    codes = [{"ssliqa_bench/errors.py": now}, {"ssliqa_bench/errors.py": "0" * 16}, {"mine.py": "1"}]
    for seed, code in enumerate(codes):
        facts: dict[str, Any] = MADE["record"]("ssiqa", seed)
        facts["code"]["files"] = code
        write(tmp_path / "runs", facts)
    assert main(["leaderboard", "--store", str(tmp_path / "runs"), "--stale"]) == 0
    captured = capsys.readouterr()
    key = MADE["record"]("ssiqa", 1)["key"]
    assert captured.out.splitlines() == [f"{key[:12]} ssiqa seed 1: ssliqa_bench/errors.py"]
    assert "1 of 3 records were made by other code" in captured.err and "1 use code outside" in captured.err
