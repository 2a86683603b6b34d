"""Code that keys cover says in its import lines what it uses: no star, no name that is computed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner import keys
from ssliqa_bench.runner.code import Code

ROOT = Path(keys.__file__).parents[2]
PACKAGES = ("methods", "training", "models", "pixels")
LOADER = "ssliqa_bench/training/imports.py"  # loads what a parameter names, which is keyed by itself
BY_NAME = ("getattr", "setattr", "vars")
BUILT_IN = {"globals", "locals", "eval", "exec", "__import__"}


def reached() -> set[str]:
    """Every file of this package that some key of a registered method covers."""
    registry = load_registry()
    names = [name for name, entry in registry.methods.items() if entry.prefix is None]
    paths = {registry.resolve_method(name, None).class_path for name in names}
    paths |= {entry.class_path for entry in registry.backbones.values() if entry.class_path is not None}
    shared = (*keys.SETS_CODE, *keys.FEATURES_CODE, *keys.RUN_CODE)
    return set(Code(lambda module: None).files([*sorted(paths), *shared]))


REACHED = sorted(reached())
ALL = sorted({*REACHED, *(path.relative_to(ROOT).as_posix() for name in PACKAGES
                          for path in (ROOT / "ssliqa_bench" / name).rglob("*.py"))})


def refused(text: str) -> Iterator[str]:
    """What an import line does not say about a source text."""
    tree = ast.parse(text)
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            own = isinstance(node, ast.ImportFrom) and (node.level or str(node.module).startswith("ssliqa_bench"))
            for alias in node.names:
                if alias.name == "*":
                    yield f"line {node.lineno}: a star import"
                elif alias.name == "import_module":
                    yield f"line {node.lineno}: import_module, under any name"
                elif own or alias.name.startswith("ssliqa_bench"):
                    bound.add(alias.asname or alias.name.partition(".")[0])
    for node in ast.walk(tree):
        if isinstance(node, (ast.Subscript, ast.Call)):
            before, own, _ = ast.unparse(node).partition("ssliqa_bench")
            if own and before.startswith("sys.modules"):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Attribute) and node.attr == "__dict__" and getattr(node.value, "id", "") in bound:
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Call):
            name, attribute = getattr(node.func, "id", ""), getattr(node.func, "attr", "")
            called = name or attribute
            target = ast.unparse(node.args[0]) if node.args else ""
            owner = getattr(getattr(node.func, "value", None), "id", "")
            if (called in BUILT_IN and (name or owner == "builtins")) or called == "import_module":
                yield f"line {node.lineno}: {called}()"
            elif called in BY_NAME and target.partition(".")[0] in bound and not _is_class(target):
                yield f"line {node.lineno}: {called} on {target}"


def _is_class(target: str) -> bool:
    """Whether a name is that of a class, as `ENCODINGS` and `Policy` are not modules; aliases of modules are short."""
    return len(target) > 1 and target[0].isupper()


def effects(text: str) -> Iterator[str]:
    """Statements of an `__init__` that do more than define names; it runs on the way to the modules below it."""
    for node in ast.parse(text).body:
        defines = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.ImportFrom)
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        calls = any(isinstance(inner, ast.Call) for inner in ast.walk(node)) and not isinstance(node, ast.FunctionDef)
        if not (isinstance(node, defines) or is_text) or calls:
            yield f"line {node.lineno}: {ast.unparse(node).splitlines()[0]}"


def test_there_is_code_to_look_at() -> None:
    assert len(REACHED) > 60 and LOADER in REACHED
    assert "ssliqa_bench/specs.py" not in REACHED, "the words of a run stand in no training's tree"
    assert "ssliqa_bench/pixels/cache.py" not in REACHED, "it hands over what was decoded, bit for bit"
    layers = {path.split("/")[1] for path in REACHED}
    assert not layers & {"cli", "datasets", "leaderboard", "registry", "store", "testing"}


@pytest.mark.parametrize("path", [path for path in ALL if path != LOADER])
def test_keyed_code_names_what_it_uses(path: str) -> None:
    assert not list(refused((ROOT / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", sorted({parent.as_posix() for path in ALL for parent in Path(path).parents} - {"."}))
def test_packages_on_the_way_to_keyed_code_do_nothing(path: str) -> None:
    assert not list(effects((ROOT / path / "__init__.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        "from .base import *\n",
        "from ssliqa_bench.training import loop\ngetattr(loop, 'train')()\n",
        "import ssliqa_bench.training.loop as L\ngetattr(L, 'train')()\n",
        "import ssliqa_bench.training.loop as loop\nsetattr(loop, 'train', None)\n",
        "import importlib\nimportlib.import_module('x')\n",
        "globals()['f']()\n",
        "import builtins\nbuiltins.exec('x = 1')\n",
        "import ssliqa_bench.training.loop\ngetattr(ssliqa_bench.training.loop, 'train')()\n",
        "def f():\n    return __import__('x')\n",
        "from ssliqa_bench import training\nvars(training)['x']\n",
        "from importlib import import_module as load\nload('x')\n",
        "import sys\nsys.modules['ssliqa_bench.types'].Artifact\n",
        "from ssliqa_bench.training import loop\nloop.__dict__['train']()\n",
    ],
)
def test_what_is_refused_is_seen(text: str) -> None:
    assert list(refused(text))


def test_what_is_allowed_is_not_refused() -> None:
    text = "from ssliqa_bench.types import Artifact\nfrom x import y\ngetattr(y, 'a')\ngetattr(self, 'b')\n"
    assert not list(refused(text)) and not list(effects('"""Doc."""\nX = 1\ndef f(): g()\n'))
    assert list(effects("import torch\ntorch.manual_seed(0)\n"))
