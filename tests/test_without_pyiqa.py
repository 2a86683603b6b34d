"""pyiqa is under a licence of its own: all that needs none of it works where it cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Runs the commands given as a JSON list one after the other in one process that cannot import pyiqa, and prints
# their exit codes as the last line.
SCRIPT = """
import importlib.abc, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyiqa":
            raise ModuleNotFoundError("No module named 'pyiqa' (blocked by a test)", name="pyiqa")
        return None

sys.meta_path.insert(0, Blocked())
from ssliqa_bench.cli.app import main
codes = []
for words in json.loads(sys.argv[1]):
    try:
        codes.append(main(words))
    except SystemExit as stop:
        codes.append(stop.code or 0)
assert "pyiqa" not in sys.modules
print()
print(json.dumps(codes))
"""


def python(script: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)


def blocked(folder: Path, *commands: str) -> tuple[list[int], str, str]:
    """Exit codes, stdout and stderr of commands run where pyiqa cannot be imported."""
    words = json.dumps([command.split() for command in commands])
    done = python(SCRIPT, words, folder=folder)
    assert done.returncode == 0, done.stderr
    *text, codes = done.stdout.splitlines()
    return json.loads(codes), "\n".join(text), done.stderr


def test_every_module_but_the_integrations_imports(tmp_path: Path) -> None:
    script = SCRIPT.partition("from ssliqa_bench.cli")[0] + (
        "import importlib, pkgutil, ssliqa_bench\n"
        "for module in pkgutil.walk_packages(ssliqa_bench.__path__, 'ssliqa_bench.'):\n"
        "    if '.integrations.' not in module.name and not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
    )
    done = python(script, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_listing_evaluating_and_splitting(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("score,prediction\n" + "".join(f"{i},{i * i}\n" for i in range(1, 20)))
    codes, _, errors = blocked(
        tmp_path,
        *(f"list {kind}" for kind in ("datasets", "methods", "protocols", "suites", "backbones")),
        "show ssiqa", "show piqe", "show demo-syn",
        "evaluate scores.csv --json",
        "run --method supervised --pair demo-syn --dry-run",
        "splits export standard demo-syn:demo-wild --out splits.csv",
    )
    assert set(codes) == {0}, errors


RUN = "run --pair demo-syn:demo-wild --recipe check --budget 60 --unlabeled-budget 60 --method"


def test_runs_boards_and_the_store(tmp_path: Path) -> None:
    runs = (f"{RUN} supervised", f"{RUN} ssiqa", f"{RUN} ssiqa")
    codes, _, errors = blocked(tmp_path, *runs, "leaderboard --out boards", "store ls", "store verify")
    assert set(codes) == {0}, errors
    assert "answered from the store" in errors
    assert list((tmp_path / "boards").rglob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["supervised-long", "oracle", "ssiqa-1in100", "ssiqa-il"])
def test_runs_of_the_other_learners(method: str, tmp_path: Path) -> None:
    codes, _, errors = blocked(tmp_path, f"{RUN} {method}")
    assert codes == [0], errors


@pytest.mark.parametrize("option", ["", " --dry-run"])
def test_what_needs_pyiqa_says_so(tmp_path: Path, option: str) -> None:
    (code,), _, errors = blocked(tmp_path, f"run --method piqe --pair demo-syn{option}")
    assert code in (1, 2)
    assert "pyiqa" in errors and "Traceback" not in errors


@pytest.mark.slow
def test_the_conformance_check(tmp_path: Path) -> None:
    codes, _, errors = blocked(tmp_path, "check method ssiqa")
    assert codes == [0], errors
