"""Only what a program does changes the hash of its code, and all code behind a class is found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.registry.lookup import locate_module
from ssliqa_bench.runner.code import code_hashes, imported_packages, source_hash

SOURCE = '''\
import math


class Loss:
    weight = 0.5

    def __call__(self, a, b):
        if a > b:
            return self.weight * math.fabs(a - b)
        return f"{a!r:>{b}}" + "text"
'''


def nowhere(module: str) -> Path | None:
    return None


def inside(folder: Path) -> Callable[[str], Path | None]:
    return lambda module: locate_module(module, (folder,))


def write(folder: Path, sources: dict[str, str]) -> None:
    """Write modules, named by their path without `.py`."""
    for name, text in sources.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import math", "# why\nimport math  # and how"),
        ("import math", '"""What the module is."""\nimport math'),
        ("class Loss:", 'class Loss:\n    """A loss.\n\n    Of some length."""\n'),
        ("        if a > b:", "        'What it does.'\n\n        if a > b:  # larger"),
        ("    def", "\n\n    def"),
        ("(self, a, b)", "(\n        self,\n        a, b)"),
        ("self.weight * math.fabs(a - b)", "self.weight*math.fabs(a-b)"),
        ("    ", "\t"),
        ("\n", "\r\n"),
    ],
)
def test_comments_docstrings_and_layout_do_not_change_a_hash(old: str, new: str) -> None:
    assert old in SOURCE
    assert source_hash(SOURCE.replace(old, new)) == source_hash(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.5", "0.50001"),
        ("a > b", "a >= b"),
        ("weight", "width"),
        ("fabs", "sqrt"),
        ('"text"', '"Text"'),
        ('"text"', '"text # no comment"'),
        ("!r", "!s"),
        (":>{b}", ":<{b}"),
        ("            return self", "            pass\n        return self"),
    ],
)
def test_every_token_changes_the_hash(old: str, new: str) -> None:
    assert old in SOURCE
    assert source_hash(SOURCE.replace(old, new)) != source_hash(SOURCE)


def test_a_string_that_is_no_docstring_counts() -> None:
    assert source_hash("x = 1\n'one'\n") != source_hash("x = 1\n'two'\n")
    assert source_hash("def f():\n    return 'one'\n") != source_hash("def f():\n    return 'two'\n")


def test_the_blocks_that_indentation_makes_count() -> None:
    one = "if a:\n    b()\n    c()\n"
    assert source_hash(one) != source_hash("if a:\n    b()\nc()\n")


def test_the_closure_follows_direct_and_indirect_imports() -> None:
    found = code_hashes(["ssliqa_bench.methods.ssiqa.ssiqa:SSIQA"], nowhere)
    assert list(found) == sorted(found)
    assert {"ssliqa_bench/methods/ssiqa/ssiqa.py", "ssliqa_bench/methods/supervised.py",
            "ssliqa_bench/training/loop.py", "ssliqa_bench/training/losses.py", "ssliqa_bench/types.py"} <= set(found)
    assert not any(part in path for path in found for part in ("cli/", "store/", "datasets/", "leaderboard/"))
    root = Path(__file__).parents[2]
    assert all(found[path] == source_hash((root / path).read_text()) for path in found)


def test_imports_for_type_checkers_alone_are_no_code_behind_a_class(tmp_path: Path) -> None:
    typed = ("import typing\nfrom typing import TYPE_CHECKING\n"
             "if TYPE_CHECKING:\n    import torch\nelse:\n    import numpy\n"
             "if typing.TYPE_CHECKING:\n    import scipy\n"
             "if typing:\n    import yaml\n")
    write(tmp_path, {"mine": typed})
    assert imported_packages(["mine:Learner"], inside(tmp_path)) == {"typing", "numpy", "yaml"}
    assert not any("registry/" in path for path in code_hashes(["ssliqa_bench.pixels.cache"], nowhere))


def test_a_module_of_ours_that_is_not_there_is_said() -> None:
    with pytest.raises(InputError, match=r"ssliqa_bench\.methods\.nothing"):
        code_hashes(["ssliqa_bench.methods.nothing:Learner"], nowhere)


# The closure of this very package, asked of a small copy: a fresh process imports `store.code` from there.
SMALL = {
    "ssliqa_bench/__init__": "",
    "ssliqa_bench/errors": "class InputError(Exception): ...\n",
    "ssliqa_bench/store/__init__": "",
    "ssliqa_bench/methods/__init__": "",
    "ssliqa_bench/methods/a": "def f():\n    from .b import B\n    import torch.nn\n",
    "ssliqa_bench/methods/b": "from ..training import c as see\n",
    "ssliqa_bench/training/__init__": "",
    "ssliqa_bench/training/c": "import ssliqa_bench.methods.a\nfrom numpy import array\n",
    "ssliqa_bench/methods/other": "x = 1\n",
}


def test_the_closure_follows_relative_imports_and_those_inside_functions(tmp_path: Path) -> None:
    import ssliqa_bench.runner.code as code

    write(tmp_path, {**SMALL, "ssliqa_bench/store/code": Path(str(code.__file__)).read_text()})
    script = ("from ssliqa_bench.runner.code import code_hashes, imported_packages as packages\n"
              "name = ['ssliqa_bench.methods.a:A']\n"
              "print(*code_hashes(name, None)); print(*sorted(packages(name, None)))")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    paths, packages = done.stdout.splitlines()
    assert paths.split() == [f"ssliqa_bench/{name}.py" for name in
                             ("methods/a", "methods/b", "training/__init__", "training/c")]
    assert packages.split() == ["numpy", "torch"]


def test_a_class_in_a_folder_counts_all_modules_of_that_folder(tmp_path: Path) -> None:
    mine = "from ssliqa_bench.methods.supervised import Supervised\n"
    write(tmp_path, {"mine": mine, "neighbour": "x = 1\n", "sub/far": "y\n"})
    found = code_hashes(["mine:Learner"], inside(tmp_path))
    own = [path for path in found if not path.startswith("ssliqa_bench/")]
    assert own == ["mine.py", "neighbour.py"]
    assert "ssliqa_bench/training/losses.py" in found, "what it takes from this package determines its results"


def test_a_class_in_a_package_counts_all_modules_of_that_package(tmp_path: Path) -> None:
    write(tmp_path, {"pack/__init__": "", "pack/deep/__init__": "", "pack/deep/mod": "from .. import base\n",
                     "pack/base": "import scipy.stats\nfrom pack.deep import mod\n", "beside": "z = 1\n"})
    found = code_hashes(["pack.deep.mod:Learner"], inside(tmp_path))
    assert list(found) == ["pack/__init__.py", "pack/base.py", "pack/deep/__init__.py", "pack/deep/mod.py"]
    assert code_hashes(["pack:Learner"], inside(tmp_path)) == found
    assert imported_packages(["pack.deep.mod:Learner"], inside(tmp_path)) == {"scipy"}, "not its own modules"


def test_libraries_behind_a_class_outside_are_those_of_ours_that_it_uses_too(tmp_path: Path) -> None:
    mine = "import helper\nfrom ssliqa_bench.methods.ssiqa.ssiqa import SSIQA\n"
    write(tmp_path, {"mine": mine, "helper": "import timm\n"})
    found = imported_packages(["mine:Learner"], inside(tmp_path))
    assert {"timm", "torch", "sklearn"} <= found
    assert not {"helper", "mine", "ssliqa_bench"} & found


def test_a_module_outside_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='"nobody_has_this" was not found'):
        code_hashes(["nobody_has_this:Learner"], inside(tmp_path))


@pytest.mark.parametrize("content", [b"def f(:\n", b"print 'hello'\n", b"x = '\xe9'\n", b"x = '\0'\n"])
def test_a_neighbour_that_is_no_python_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, {"mine": "x = 1\n"})
    (tmp_path / "broken.py").write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.py: not readable as Python"):
        code_hashes(["mine:Learner"], inside(tmp_path))


def test_looking_for_code_imports_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"loud": "raise SystemExit('imported')\n"})
    assert code_hashes(["loud:Learner"], inside(tmp_path)).keys() == {"loud.py"}
