"""Every example of docs/python.md runs, and the page has a section for every public function."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def examples() -> dict[str, str]:
    """The code of each section."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {s.splitlines()[0]: "\n".join(re.findall(r"```python\n(.*?)```", s, re.DOTALL)) for s in sections}


def test_all_examples_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    for name, code in examples().items():
        assert code, f"{name} has no example"
        exec(compile(code, f"docs/python.md, {name}", "exec"), known)
    assert len(known["runs"]) == 2 and set(known["table"]["dataset"]) == {"demo-syn", "demo-wild"}
    assert known["values"].shape == (4,) and known["model"].scale.low == 1


def test_the_page_has_the_functions_of_the_package() -> None:
    import ssliqa_bench

    functions = {"run", "evaluate", "load_dataset", "load_model", "records", "compare", "leaderboard"}
    assert set(examples()) == functions and functions <= set(ssliqa_bench.__all__)
