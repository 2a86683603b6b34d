"""What the README quotes is what the repository holds: the board, the example, the commands."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]


def _between(first: str, last: str, page: str = "README.md") -> str:
    found = re.search(rf"<!-- {first}.*?-->\n(.*?)<!-- {last} -->", (ROOT / page).read_text(), re.DOTALL)
    assert found is not None, f"{page} lacks the part between '{first}' and '{last}'"
    return found.group(1).strip()


def test_board_is_that_of_the_committed_records() -> None:
    board = (ROOT / "leaderboards/open/standard/livec--livec.md").read_text()
    quoted = _between("board", "end of board")
    assert len(quoted.splitlines()) == 2 + 10
    assert quoted in board


def _tables() -> Any:
    spec = importlib.util.spec_from_file_location("readme_tables", ROOT / ".ci/readme_tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["datasets", "board"])
def test_tables_are_current(name: str) -> None:
    tables = _tables()
    text = tables.PARTS[name][0].read_text()
    assert tables.renewed(name, text) == text, '"make readme" renews them'
    assert tables.renewed(name, text.replace("| ---: |", "| :-: |").replace("10,073", "10,074")) == text


def test_dataset_table_has_every_dataset_of_the_registry() -> None:
    from ssliqa_bench.registry.load import load_registry

    table = _between("datasets", "end of datasets", "docs/datasets.md").splitlines()[2:]
    rows = {row.split("|")[1].strip(" `"): row for row in table}
    assert list(rows) == list(load_registry().datasets)
    assert "10,073" in rows["koniq"] and "lower is better" in rows["csiq"] and "`CSIQ`" in rows["csiq"]
    assert "data download tid2013" in rows["tid2013"] and "form" in rows["live"]


def test_example_is_the_one_that_is_tested() -> None:
    entry = (ROOT / "docs/examples/contrast.yaml").read_text().strip()
    assert entry in _between("example", "end of example") and "](docs/examples/contrast.py)" in README


@pytest.fixture(scope="module")
def command() -> Any:
    """The command line with all its commands; made once, since that imports every one of them."""
    from typer.main import get_command

    from ssliqa_bench.cli.app import command_line

    return get_command(command_line())


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str, command: Any) -> None:
    lines = re.findall(r"^ssliqa-bench (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert lines or page != "README.md"
    for line in lines:
        words = shlex.split(line, comments=True)
        known = command.commands[words[0]]
        if hasattr(known, "commands"):
            known, words = known.commands[words[1]], words[1:]
        options = {name for parameter in known.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_makefile_has_the_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_linked_exist(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / page).read_text()):
        assert target.startswith("http") or ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_lines_are_short(page: str) -> None:
    lines = (ROOT / page).read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []
    assert page != "README.md" or len(lines) <= 125


def test_example_runs(tmp_path: Path) -> None:
    from ssliqa_bench.cli.app import main
    from ssliqa_bench.store.records import iter_records

    words = ["run", "--registry", str(ROOT / "docs/examples/contrast.yaml"), "--method", "contrast"]
    assert main([*words, "--pair", "demo-syn:demo-wild", "--store", str(tmp_path)]) == 0
    (record,) = iter_records(tmp_path)
    assert record.cell.method == "contrast" and set(record.metrics) == {"demo-syn", "demo-wild"}
    assert "contrast.py" in record.facts.code.files
