"""The hash of code follows what it does and what it imports, and no name of a module or a definition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.registry.lookup import locate_module
from ssliqa_bench.runner.code import Code, package_code
from ssliqa_bench.runner.keys import Behind, key_differences


def nowhere(module: str) -> Path | None:
    return None


def inside(folder: Path) -> Callable[[str], Path | None]:
    return lambda module: locate_module(module, (folder,))


def write(folder: Path, sources: dict[str, str]) -> Path:
    """Write modules, named by their path without `.py`."""
    for name, text in sources.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


SMALL = {
    "ssliqa_bench/__init__": "__version__ = '1'\n",
    "ssliqa_bench/methods/__init__": "",
    "ssliqa_bench/methods/a": "def f():\n    from .b import B\n    import torch.nn\n    return B\n",
    "ssliqa_bench/methods/b": "from ..training import c as see\nfrom ..training.d import least\nB = see, least\n",
    "ssliqa_bench/training/__init__": "",
    "ssliqa_bench/training/c": "from numpy import array\nfour = 4\n",
    "ssliqa_bench/training/d": "import math\nleast = math.inf\n",
    "ssliqa_bench/methods/other": "x = 1\n",
}


def small(folder: Path, changes: dict[str, str | None] | None = None) -> Code:
    """A small copy of this package with changed modules; None takes one out."""
    texts = {name: text for name, text in {**SMALL, **(changes or {})}.items() if text is not None}
    return Code(nowhere, write(folder, texts))


def tree(folder: Path, changes: dict[str, str | None] | None = None, module: str = "methods.a") -> str:
    return small(folder, changes).tree(f"ssliqa_bench.{module}")


def test_the_files_behind_a_definition_are_those_that_it_imports_directly_or_not() -> None:
    found = Code(nowhere).files(["ssliqa_bench.methods.ssiqa.ssiqa:SSIQA"])
    assert list(found) == sorted(found)
    assert {"ssliqa_bench/methods/ssiqa/ssiqa.py", "ssliqa_bench/methods/supervised.py",
            "ssliqa_bench/training/loop.py", "ssliqa_bench/training/losses.py", "ssliqa_bench/types.py"} <= set(found)
    assert not any(part in path for path in found for part in ("cli/", "store/", "datasets/", "leaderboard/"))
    today = package_code()["files"]
    assert found.items() <= today.items() and len(today) > 100


def test_relative_imports_and_those_inside_functions_are_followed(tmp_path: Path) -> None:
    code = small(tmp_path)
    assert [path.removeprefix("ssliqa_bench/") for path in code.files(["ssliqa_bench.methods.a"])] == [
        "methods/a.py", "methods/b.py", "training/c.py", "training/d.py"]
    assert code.packages(["ssliqa_bench.methods.a"]) == {"numpy", "torch", "math"}


@pytest.mark.parametrize("changed", ["methods/a", "methods/b", "training/c", "training/d"])
def test_a_change_anywhere_behind_a_module_changes_its_hash(tmp_path: Path, changed: str) -> None:
    name = f"ssliqa_bench/{changed}"
    before = tree(tmp_path / "one")
    assert tree(tmp_path / "two", {name: SMALL[name] + "more = 1\n"}) != before
    assert tree(tmp_path / "three", {name: "# why\n" + SMALL[name]}) == before
    assert tree(tmp_path / "four", {"ssliqa_bench/methods/other": "x = 2\n"}) == before


def test_only_the_file_that_changed_is_named(tmp_path: Path) -> None:
    paths = ["ssliqa_bench.methods.a"]
    before, after = small(tmp_path / "one"), small(tmp_path / "two", {"ssliqa_bench/training/d": "least = 0\n"})
    differ = {path for path, own in before.files(paths).items() if after.files(paths)[path] != own}
    assert differ == {"ssliqa_bench/training/d.py"}


def test_a_file_that_only_imports_something_else_is_named(tmp_path: Path) -> None:
    """What it imported is still there, and so is what it imports now: no file has other tokens."""
    first, second = "from ..training.c import f\nB = f\n", "from ..training.e import f\nB = f\n"
    both = {"ssliqa_bench/training/c": "f = 1\n", "ssliqa_bench/training/e": "f = 2\n"}
    codes = [small(tmp_path / name, {**both, "ssliqa_bench/methods/b": text})
             for name, text in (("one", first), ("two", second))]  # fmt: skip
    told = [Behind({"entry": "ssliqa_bench.methods.b:B"}, ()).told(code) for code in codes]
    parts = [{"code": Behind({"entry": "ssliqa_bench.methods.b:B"}, ()).part(code)} for code in codes]
    assert told[0]["files"]["ssliqa_bench/methods/b.py"] == told[1]["files"]["ssliqa_bench/methods/b.py"]
    said = [str(own) for own in key_differences(parts[0], told[0], parts[1], told[1])]
    assert "imports of ssliqa_bench/methods/b.py (changed)" in said
    assert not any("/a.py" in line for line in said)


MOVED = {
    "ssliqa_bench/training/c": None,
    "ssliqa_bench/pixels/__init__": "",
    "ssliqa_bench/pixels/renamed": SMALL["ssliqa_bench/training/c"],
}


@pytest.mark.parametrize(
    "importer",
    [
        "from ..pixels import renamed as see\nfrom ..training.d import least\nB = see, least\n",
        "from ssliqa_bench.training.d import least\nfrom ssliqa_bench.pixels import renamed as see\nB = see, least\n",
        "import ssliqa_bench.pixels.renamed as see\nfrom ..training.d import (\n    least,\n)\nB = see, least\n",
    ],
)
def test_a_module_that_is_moved_with_its_importers_changes_no_hash(tmp_path: Path, importer: str) -> None:
    changes = {**MOVED, "ssliqa_bench/methods/b": importer}
    one, two = small(tmp_path / "one"), small(tmp_path / "two", changes)
    assert one.tree("ssliqa_bench.methods.a") == two.tree("ssliqa_bench.methods.a")
    before, after = (code.files(["ssliqa_bench.methods.a"]) for code in (one, two))
    assert sorted(after.values()) == sorted(before.values()) and after.keys() != before.keys()


def test_the_module_that_is_asked_for_may_move_too(tmp_path: Path) -> None:
    moved = {"ssliqa_bench/methods/a": None,
             "ssliqa_bench/far/deep/a": SMALL["ssliqa_bench/methods/a"].replace(".b", "...methods.b")}
    assert tree(tmp_path / "two", moved, "far.deep.a") == tree(tmp_path / "one")


def test_modules_that_change_places_change_the_hash(tmp_path: Path) -> None:
    """The import lines stay as they are; what stands behind them does not."""
    one, two = "def f(): return 1\n", "def f(): return 2\n"
    user = "from ssliqa_bench.training.c import f as a\nfrom ssliqa_bench.training.d import f as b\nprint(a(), b())\n"
    base = {"ssliqa_bench/methods/a": user, "ssliqa_bench/training/c": one, "ssliqa_bench/training/d": two}
    turned = {**base, "ssliqa_bench/training/c": two, "ssliqa_bench/training/d": one}
    assert tree(tmp_path / "one", base) != tree(tmp_path / "two", turned)
    path = "import ssliqa_bench.training.c\nimport ssliqa_bench.training.d\nprint(ssliqa_bench.training.c.f())\n"
    base, turned = ({**own, "ssliqa_bench/methods/a": path} for own in (base, turned))
    assert tree(tmp_path / "three", base) != tree(tmp_path / "four", turned)


def test_another_import_in_the_same_place_changes_the_hash(tmp_path: Path) -> None:
    other = SMALL["ssliqa_bench/methods/b"].replace("import c as see", "import d as see")
    assert tree(tmp_path / "two", {"ssliqa_bench/methods/b": other}) != tree(tmp_path / "one")
    other = SMALL["ssliqa_bench/training/c"].replace("array", "zeros")
    assert tree(tmp_path / "three", {"ssliqa_bench/training/c": other}) != tree(tmp_path / "one")


def test_the_order_of_imports_counts_where_one_hides_another(tmp_path: Path) -> None:
    first = "from ..training.c import four as math\n"
    for number, second in enumerate(("from ..training.d import least as math\n", "import math\n", "import math.x\n")):
        one, two = ({"ssliqa_bench/methods/a": text} for text in (first + second, second + first))
        assert tree(tmp_path / f"one{number}", one) != tree(tmp_path / f"two{number}", two)
    one, two = ({"ssliqa_bench/methods/a": text} for text in (first + "import x.y\n", "import x.y\n" + first))
    assert tree(tmp_path / "three", one) == tree(tmp_path / "four", two)


def circle(first: str = "one", second: str = "two", least: int = 3) -> dict[str, str | None]:
    return {
        "ssliqa_bench/methods/a": f"from .{first} import f\nf()\n",
        f"ssliqa_bench/methods/{first}": f"from . import {second} as other\ndef f(): return other.g()\n",
        f"ssliqa_bench/methods/{second}": f"from . import {first} as other\ndef g(): return {least}\n",
    }


def test_modules_that_import_each_other_are_one_unit_whatever_their_names(tmp_path: Path) -> None:
    before = tree(tmp_path / "one", circle())
    assert tree(tmp_path / "two", circle("zeta", "alpha")) == before
    assert tree(tmp_path / "three", circle(least=4)) != before
    code = small(tmp_path / "one")
    assert code.tree("ssliqa_bench.methods.one") != code.tree("ssliqa_bench.methods.two")


def test_circles_of_different_length_differ(tmp_path: Path) -> None:
    """Seen from inside, one module that imports itself and two that import each other look the same."""
    alone = {"ssliqa_bench/methods/a": "from . import a as other\n"}
    both = {"ssliqa_bench/methods/a": "from . import z as other\n",
            "ssliqa_bench/methods/z": "from . import a as other\n"}
    assert tree(tmp_path / "one", alone) != tree(tmp_path / "two", both)


def test_what_a_package_binds_itself_counts(tmp_path: Path) -> None:
    before = tree(tmp_path / "one")
    assert tree(tmp_path / "two", {"ssliqa_bench/training/__init__": '"""What it is."""\n'}) == before
    assert tree(tmp_path / "three", {"ssliqa_bench/training/__init__": "c = 1\n"}) != before
    assert tree(tmp_path / "four", {"ssliqa_bench/__init__": "__version__ = '2'\n"}) == before


def definition(folder: Path, text: str, name: str = "Mine") -> str:
    return Code(inside(write(folder, {"mine": text}))).definition(f"mine:{name}").definition


def test_a_definition_is_known_by_what_it_is_not_by_its_name(tmp_path: Path) -> None:
    text = "class Mine(Base):\n    x = 1\n"
    before = definition(tmp_path / "1", text)
    assert definition(tmp_path / "2", text.replace("Mine", "Other"), "Other") == before
    assert definition(tmp_path / "3", "# moved\n\n\ny = 3\n" + text) == before
    for number, (old, new) in enumerate([("Base", "Basis"), ("x = 1", "x = 2"), ("class", "@deco\nclass")]):
        assert definition(tmp_path / f"4{number}", text.replace(old, new)) != before


def test_a_class_is_its_bases_too(tmp_path: Path) -> None:
    text = "class Base:\n    x = 1\nclass Mine(Base):\n    y = 2\n"
    assert definition(tmp_path / "1", text) != definition(tmp_path / "2", text.replace("x = 1", "x = 3"))
    write(tmp_path / "3", {"far": "class Base:\n    x = 1\n"})
    write(tmp_path / "4", {"far": "class Base:\n    x = 3\n"})
    for taken in ("from far import Base\nclass Mine(Base):\n", "import far\nclass Mine(far.Base):\n"):
        assert definition(tmp_path / "3", f"{taken}    y = 2\n") != definition(tmp_path / "4", f"{taken}    y = 2\n")


def test_two_names_that_a_module_makes_otherwise_are_two_definitions(tmp_path: Path) -> None:
    text = "def make(sign): ...\nOne = make(1)\nTwo = make(-1)\nThree = One\n"
    found = {name: definition(tmp_path, text, name) for name in ("One", "Two", "Three")}
    assert len(set(found.values())) == 3
    taken = Code(inside(write(tmp_path, {"beside": "from mine import One, Two\nX = 1\n"})))
    assert [taken.definition(f"beside:{name}").definition for name in ("One", "Two")] == [found["One"], found["Two"]]
    unknown = [taken.definition(f"beside:{name}").definition for name in ("Made", "Later")]
    assert unknown[0] != unknown[1], "a name that is given its value in another way counts as it is written"


def test_imports_inside_a_definition_are_part_of_it(tmp_path: Path) -> None:
    text = "def f():\n    from a import g\n    return g()\ndef h():\n    from b import g\n    return g()\n"
    write(tmp_path, {"a": "def g(): return 1\n", "b": "def g(): return 2\n"})
    assert definition(tmp_path, text, "f") != definition(tmp_path, text, "h")


def test_a_class_in_a_folder_counts_all_modules_of_that_folder(tmp_path: Path) -> None:
    mine = "from ssliqa_bench.methods.supervised import Supervised\n"
    write(tmp_path, {"mine": mine, "neighbour": "x = 1\n", "sub/far": "y\n"})
    found = Code(inside(tmp_path)).files(["mine:Learner"])
    own = [path for path in found if not path.startswith("ssliqa_bench/")]
    assert own == ["mine.py", "neighbour.py"]
    assert "ssliqa_bench/training/losses.py" in found, "what it takes from this package determines its results"
    before = Code(inside(tmp_path)).tree("mine")
    write(tmp_path, {"neighbour": "x = 2\n"})
    assert Code(inside(tmp_path)).tree("mine") != before


def test_a_folder_may_be_renamed_and_so_may_its_modules(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"mine": "from helper import f\n", "helper": "def f(): ...\n"})
    two = write(tmp_path / "two", {"own": "from aid import f\n", "aid": "def f(): ...\n"})
    assert Code(inside(one)).tree("mine") == Code(inside(two)).tree("own")
    # Where modules may be loaded by names that code computes, the names count.
    dynamic = "import importlib\nf = importlib.import_module('helper').f\n"
    one, two = (write(tmp_path / name, {"mine": dynamic, other: "def f(): ...\n"})
                for name, other in (("three", "helper"), ("four", "aid")))
    assert Code(inside(one)).tree("mine") != Code(inside(two)).tree("mine")


def test_a_class_in_a_package_counts_all_modules_of_that_package(tmp_path: Path) -> None:
    write(tmp_path, {"pack/__init__": "", "pack/deep/__init__": "", "pack/deep/mod": "from .. import base\n",
                     "pack/base": "import scipy.stats\nfrom pack.deep import mod\n", "beside": "z = 1\n"})
    code = Code(inside(tmp_path))
    found = code.files(["pack.deep.mod:Learner"])
    assert list(found) == ["pack/__init__.py", "pack/base.py", "pack/deep/__init__.py", "pack/deep/mod.py"]
    assert code.files(["pack:Learner"]) == found
    assert code.packages(["pack.deep.mod:Learner"]) == {"scipy"}, "not its own modules"
    assert code.tree("pack.deep.mod") != code.tree("pack.base")


def test_libraries_behind_a_class_outside_are_those_of_ours_that_it_uses_too(tmp_path: Path) -> None:
    write(tmp_path, {"mine": "import helper\nfrom ssliqa_bench.methods.ssiqa.ssiqa import SSIQA\n",
                     "helper": "import timm\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import yaml\n"})
    found = Code(inside(tmp_path)).packages(["mine:Learner"])
    assert {"timm", "torch", "sklearn"} <= found
    assert not {"helper", "mine", "ssliqa_bench", "yaml"} & found


def test_a_module_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='"nobody_has_this" was not found'):
        Code(inside(tmp_path)).tree("nobody_has_this")
    with pytest.raises(InputError, match=r"ssliqa_bench\.methods\.nothing"):
        Code(nowhere).files(["ssliqa_bench.methods.nothing:Learner"])


@pytest.mark.parametrize("content", [b"def f(:\n", b"print 'hello'\n", b"x = '\xe9'\n", b"x = '\0'\n"])
def test_a_neighbour_that_is_no_python_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, {"mine": "x = 1\n"})
    (tmp_path / "broken.py").write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.py: not readable as Python"):
        Code(inside(tmp_path)).tree("mine")


def test_looking_for_code_imports_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"loud": "raise SystemExit('imported')\n"})
    assert Code(inside(tmp_path)).files(["loud:Learner"]).keys() == {"loud.py"}
