"""Every package that setup.cfg requires is imported, and every extra stands in the table of the docs."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What a distribution is imported as, where that is another name.
MODULES = {
    "imagehash": "imagehash",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}
# Imported by pyiqa alone; the comment in setup.cfg says for what.
FOR_OTHERS = {"setuptools"}


def requirements(text: str) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [re.split(r"[<>=!~\[; ]", line, maxsplit=1)[0].lower() for line in lines if line]


def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def imported() -> set[str]:
    """Top-level names that the package imports, inside functions too."""
    found: set[str] = set()
    for file in (ROOT / "ssliqa_bench").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_every_core_dependency_is_imported_by_the_package() -> None:
    names = imported()
    required = requirements(config()["options"]["install_requires"])
    assert len(required) > 15
    unused = [name for name in required if MODULES.get(name, name) not in names and name not in FOR_OTHERS]
    assert unused == []


def rows() -> dict[str, tuple[str, str]]:
    """Extra → who imports it, and whose message names it, from the table of the docs."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Optional packages")[2]
    cells = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in text.splitlines() if "| `" in line]
    return {extra: (user, speaker) for extra, _, user, speaker in cells if extra}


def test_every_extra_stands_in_the_table() -> None:
    assert set(config()["options.extras_require"]) - set(rows()) == set()


@pytest.mark.parametrize("extra", rows())
def test_the_table_names_who_imports_an_extra_and_whose_message_names_it(extra: str) -> None:
    user, speaker = rows()[extra]
    assert (ROOT / user).exists()
    if speaker:
        text = (ROOT / speaker).read_text(encoding="utf-8")
        assert "ssliqa-bench[" in text and extra in text
