"""Imports flow one way (see the map of layers below); a wrong arrow fails here with file and line.

Every import statement counts, also those inside functions. Loading a class by its registry name is none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "ssliqa_bench"
FREE = {"bounds", "types", "specs", "errors", "files", "caches", "checksums", "net", "paths", "stop", "tabular", "text"}
ARROWS = {
    "__main__": {"cli"},
    "cli": {"runner", "leaderboard", "testing", "models", "integrations", "photos"},
    "photos": {"runner"},
    "api": {"runner", "leaderboard"},
    "runner": {"models", "methods", "datasets", "pixels", "registry", "store", "evaluation", "integrations"},
    "models": {"methods", "training", "pixels", "registry", "store"},
    "testing": {"runner"},
    "leaderboard": {"registry", "store", "evaluation"},
    "integrations": {"models", "methods", "training"},
    "methods": {"training"},
    "datasets": {"registry", "pixels"},
}
HEAVY = {"torch", "torchvision", "timm", "pyiqa"}
BANNED = {
    "registry": HEAVY,
    "store": HEAVY,
    "leaderboard": HEAVY,
    "evaluation": HEAVY | {"pydantic"},
    "methods": {"pyiqa", "pydantic"},
    "training": {"pyiqa", "pydantic"},
    **dict.fromkeys(FREE, HEAVY | {"pydantic"}),  # what all layers may import brings none of it to any
}
FILES = sorted(ROOT.rglob("*.py"))


def reachable(layer: str) -> set[str]:
    """The layers that a layer may import: arrows are transitive."""
    found: set[str] = set()
    waiting = [layer]
    while waiting:
        for target in ARROWS.get(waiting.pop(), set()) - found:
            found.add(target)
            waiting.append(target)
    return found | FREE | {layer}


def imported(path: Path, *, type_checking: bool = True) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that a file imports, also what only type checkers read where asked."""
    package = ("ssliqa_bench", *path.relative_to(ROOT).parts[:-1])
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    left_out = {id(node) for block in blocks for part in block.body for node in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in left_out and not type_checking:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_one_way(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
    wrong = []
    for line, name in imported(path):
        top, _, rest = name.partition(".")
        if top == "ssliqa_bench":
            # the package itself offers its version to all, and its lazy public names to none of its own modules
            target = rest.split(".")[0]
            if rest != "__version__" and target not in reachable(layer):
                wrong.append(f"{path.name}:{line} {layer} imports {target}")
        elif top in BANNED.get(layer, set()):
            wrong.append(f"{path.name}:{line} {layer} imports {top}")
    assert not wrong, "; ".join(wrong)


def test_the_walk_sees_what_it_should(tmp_path: Path) -> None:
    """The walk itself: nested, relative and aliased imports are all found."""
    assert len(FILES) > 20
    names = {name for path in FILES for _, name in imported(path)}
    assert {"torch", "numpy", "ssliqa_bench.errors.SsliqaError"} <= names
    assert "methods" not in reachable("leaderboard") and "training" in reachable("cli")
    assert not any("cli" in reachable(layer) for layer in ARROWS if layer not in ("cli", "__main__"))


def test_no_module_imports_itself_through_others() -> None:
    """Layers may not, and nor may the modules of one layer; imports inside functions count too."""
    modules = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
               for path in FILES}  # fmt: skip
    waiting = {
        module: {own for _, name in imported(path, type_checking=False)
                 for own in (name, name.rpartition(".")[0]) if own in modules} - {module}
        for module, path in modules.items()
    }  # fmt: skip
    for package in [module for module, path in modules.items() if path.name == "__init__.py"]:
        waiting[package] = {own for own in waiting[package] if not own.startswith(f"{package}.")}
    while free := [module for module, needs in waiting.items() if not needs & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting, f"in or behind a circle: {', '.join(sorted(waiting))}"


def test_the_table_in_the_docs_is_this_map() -> None:
    """docs/architecture.md: layer, perhaps what it is, and what it may import."""
    text = (ROOT.parent / "docs/architecture.md").read_text(encoding="utf-8")
    section = text.partition("## Layers")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `") or "| all" in line]
    found = {re.findall(r"`(\w+)`|^ (all) ", left)[0]: set(re.findall(r"`(\w+)`", right)) for left, right in rows}
    named = {name or other: layers for (name, other), layers in found.items()}
    assert named.pop("all") == FREE
    assert named == {layer: arrows for layer, arrows in ARROWS.items() if layer != "__main__"}
