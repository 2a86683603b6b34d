"""A public class name stands for one thing in the whole package, so that a search for it finds that thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "ssliqa_bench"


def test_no_public_class_name_is_defined_twice() -> None:
    defined: defaultdict[str, list[str]] = defaultdict(list)
    for file in sorted(PACKAGE.rglob("*.py")):
        if "_data" in file.relative_to(PACKAGE).parts:
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined[node.name].append(str(file.relative_to(PACKAGE)))
    assert len(defined) > 100
    assert {name: files for name, files in defined.items() if len(files) > 1} == {}
