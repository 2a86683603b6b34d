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


def _between(first: str, last: str) -> str:
    found = re.search(rf"<!-- {first}.*?-->\n(.*?)<!-- {last} -->", README, re.DOTALL)
    assert found is not None, f"README.md lacks the part between '{first}' and '{last}'"
    return found.group(1).strip()


def test_board_is_that_of_the_committed_records() -> None:
    board = (ROOT / "leaderboards/demo/standard.md").read_text()
    quoted = _between("board", "end of board")
    assert quoted.count("|") > 20
    assert quoted in board


def _tables() -> Any:
    spec = importlib.util.spec_from_file_location("readme_tables", ROOT / ".ci/readme_tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_current() -> None:
    tables = _tables()
    assert tables.renewed(README) == README, '"make readme" renews them'
    assert tables.renewed(README.replace("| ---: |", "| :-: |").replace("10,073", "10,074")) == README


def test_dataset_table_has_every_dataset_of_the_registry() -> None:
    from ssliqa_bench.registry.load import load_registry

    rows = {row.split("|")[1].strip(" `"): row for row in _between("datasets", "end of datasets").splitlines()[2:]}
    assert list(rows) == list(load_registry().datasets)
    assert "10,073" in rows["koniq"] and "lower is better" in rows["csiq"] and "`CSIQ`" in rows["csiq"]
    assert "data download tid2013" in rows["tid2013"] and "form" in rows["live"]


@pytest.mark.parametrize("file", ["contrast.py", "contrast.yaml"])
def test_example_is_the_one_that_is_tested(file: str) -> None:
    assert (ROOT / "docs/examples" / file).read_text().strip() in _between("example", "end of example")


def test_commands_exist() -> None:
    from typer.main import get_command

    from ssliqa_bench.cli.app import app

    command = get_command(app)
    lines = re.findall(r"^ssliqa-bench (.+)$", README, re.MULTILINE)
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line, comments=True)
        known = command.commands[words[0]]  # type: ignore[attr-defined]
        if hasattr(known, "commands"):
            known, words = known.commands[words[1]], words[1:]
        options = {name for parameter in known.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_makefile_has_the_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_files_that_are_linked_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_example_runs(tmp_path: Path) -> None:
    from ssliqa_bench.cli.app import main
    from ssliqa_bench.store.records import iter_facts

    words = ["run", "--registry", str(ROOT / "docs/examples/contrast.yaml"), "--method", "contrast"]
    assert main([*words, "--pair", "demo-syn:demo-wild", "--store", str(tmp_path)]) == 0
    (facts,) = iter_facts(tmp_path)
    assert facts["cell"]["method"] == "contrast" and set(facts["metrics"]) == {"demo-syn", "demo-wild"}
    assert "contrast.py" in facts["code"]["files"]
