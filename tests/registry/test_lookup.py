"""Names to entries, parameters from root to leaf, and classes from beside a user's file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry, load_object, locate_module

FAMILY = """
parameters:
  a: {type: integer, least: 1, meaning: How many.}
  b: {type: number, meaning: How much.}
  c: {type: text, meaning: What.}
  d: {type: integers, optional: true, meaning: Which.}
  e: {type: integers, meaning: Which others.}
  f: {type: boolean, meaning: Whether.}
  g: {type: integer, meaning: How many others.}
methods:
  root:
    about: {aligned: true, citation: "Of the root."}
    class: pkg.mod:Root
    params: {a: 1, b: 1.5, c: text, d: null, e: [1], f: false}
    recipes:
      small: {a: 10, b: 20}
      large: {a: 100}
  middle:
    extends: root
    class: pkg.mod:Middle
    unlabeled_role: labeled
    like: root
    params: {b: 3.5, g: 7}
    recipes:
      small: {g: 70}
  leaf:
    extends: middle
    aliases: [blatt]
    params: {a: 5}
"""


@pytest.fixture
def family(tmp_path: Path) -> Registry:
    file = tmp_path / "family.yaml"
    file.write_text(FAMILY, encoding="utf-8")
    return load_registry([file])


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("default", {"a": 5, "b": 3.5, "g": 7}),
        # root's params, root's recipe, middle's params, middle's recipe, leaf's params: later ones win
        ("small", {"a": 5, "b": 3.5, "g": 70}),
        ("large", {"a": 5, "b": 3.5, "g": 7}),
    ],
)
def test_parameters_go_from_root_to_leaf(family: Registry, recipe: str, expected: dict[str, Any]) -> None:
    leaf = family.resolve_method("leaf", recipe)
    assert leaf.params == {"c": "text", "d": None, "e": [1], "f": False, **expected}
    assert (leaf.chain, leaf.class_path, leaf.recipe) == (("root", "middle", "leaf"), "pkg.mod:Middle", recipe)


def test_a_recipe_of_an_ancestor_stands_where_nothing_below_overrides_it(family: Registry) -> None:
    middle = family.resolve_method("middle", "small")
    assert middle.params["a"] == 10
    assert middle.params["b"] == 3.5
    assert middle.origins["a"] == "root, recipe small"
    assert middle.origins["b"] == "middle"
    assert middle.origins["g"] == "middle, recipe small"


def test_what_is_inherited_and_what_is_not(family: Registry) -> None:
    leaf, middle, root = (family.resolve_method(name) for name in ("leaf", "middle", "root"))
    assert (leaf.unlabeled_role, middle.unlabeled_role, root.unlabeled_role) == ("labeled", "labeled", "unlabeled")
    assert (leaf.like, middle.like, root.like) == (None, "root", None)
    assert (leaf.about.aligned, middle.about.aligned, root.about.aligned) == (True, True, True)
    assert (leaf.about.citation, middle.about.citation, root.about.citation) == ("", "", "Of the root.")


def test_the_default_recipe_is_taken_where_there_is_one(family: Registry) -> None:
    assert family.resolve_method("leaf", None, {}, ("none", "small")).recipe == "small"
    assert family.resolve_method("leaf", None, {}, ("demo",)).recipe == "default"
    assert family.resolve_method("leaf", None, {}, "demo").params == family.resolve_method("leaf", "default").params
    assert family.resolve_method("blatt", "large", {}, "small") == family.resolve_method("leaf", "large")


def test_overrides_come_last_and_keep_the_type(family: Registry) -> None:
    given = {"a": 2.0, "b": 2, "c": "x", "d": [1], "e": [], "f": True}
    leaf = family.resolve_method("leaf", "small", given)
    assert leaf.overrides == {"a": 2, "b": 2.0, "c": "x", "d": [1], "e": [], "f": True}
    assert [type(leaf.params[key]) for key in "ab"] == [int, float]
    assert leaf.params == {**leaf.overrides, "g": 70}
    assert leaf.origins["a"] == "--set"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("f", 1, "--set f: got 1; expected true or false."),
        ("f", None, "--set f: got null; expected true or false."),
        ("a", True, "--set a: got true; expected a whole number, 1 or more."),
        ("a", "7", '--set a: got "7"; expected a whole number, 1 or more.'),
        ("a", 0, "--set a: got 0; expected a whole number, 1 or more."),
        ("a", 1.5, "--set a: got 1.5; expected a whole number, 1 or more."),
        ("c", 3, "--set c: got 3; expected text."),
        ("e", "x", '--set e: got "x"; expected a list of whole numbers.'),
    ],
)
def test_overrides_that_a_declaration_does_not_accept(family: Registry, key: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        family.resolve_method("leaf", None, {key: value})
    assert str(caught.value) == f'{message} "ssliqa-bench show leaf --params" explains each parameter.'


def test_an_unknown_parameter(family: Registry) -> None:
    with pytest.raises(InputError) as caught:
        family.resolve_method("leaf", None, {"h": 3})
    assert str(caught.value) == 'Unknown parameter "h" of leaf. "ssliqa-bench show leaf --params" shows all 7.'


def test_unknown_names_come_with_near_ones(family: Registry) -> None:
    with pytest.raises(InputError, match=r'Unknown recipe of leaf "smal"\. Did you mean \'small\'\?'):
        family.resolve_method("leaf", "smal")
    with pytest.raises(InputError, match=r'Unknown method "ssiqa-1in10"\. Did you mean \'ssiqa-1in100\''):
        family.method("ssiqa-1in10")
    with pytest.raises(InputError, match=r'Unknown dataset "demo-sin"\. .*"ssliqa-bench list datasets" shows all'):
        family.pair("demo-sin:demo-wild")
    with pytest.raises(InputError, match=r'Unknown protocol "standart"\. Did you mean \'standard\'\?'):
        family.protocol("standart")
    with pytest.raises(InputError, match=r'Unknown parameter "smooth_l1beta" of ssiqa\. .*smooth_l1_beta'):
        family.resolve_method("ssiqa", None, {"smooth_l1beta": 1})


@pytest.mark.parametrize("kind", ["datasets", "methods", "protocols"])
def test_the_count_is_that_of_the_list_and_aliases_are_near_names(kind: str) -> None:
    registry = load_registry()
    listed, aliases = getattr(registry, kind), registry.aliases[kind]
    find = getattr(registry, kind[:-1])
    with pytest.raises(InputError, match=rf'"zzzz"\. "ssliqa-bench list {kind}" shows all {len(listed)}\.'):
        find("zzzz")
    for alias in aliases:
        with pytest.raises(InputError, match=rf"Did you mean .*'{alias}'"):
            find(f"{alias}-")
    assert kind != "datasets" or aliases


def test_resolving_hands_out_copies(family: Registry) -> None:
    family.resolve_method("leaf").params["e"].append(2)
    family.resolve_backbone("timm:x").arguments["name"] = "y"
    assert family.resolve_method("leaf").params["e"] == [1]
    assert family.resolve_backbone("timm:x").arguments == {"name": "x"}


def test_backbones_by_entry_and_by_prefix(family: Registry) -> None:
    assert family.resolve_backbone("cnniqa").class_path.endswith(":CNNIQA")
    assert family.resolve_backbone("cnniqa").arguments == {}
    timm = family.resolve_backbone("timm:vit_small_patch16_224.augreg_in1k")
    assert (timm.name, timm.arguments) == (
        "timm:vit_small_patch16_224.augreg_in1k", {"name": "vit_small_patch16_224.augreg_in1k"}
    )
    assert family.resolve_backbone("torchvision:alexnet").arguments == {"name": "alexnet"}
    # An entry with facts about one network and that network's own name are the same thing.
    known = family.resolve_backbone("deit3-small")
    assert known == family.resolve_backbone("timm:deit3_small_patch16_224.fb_in1k")
    assert (known.name, known.input_size) == ("timm:deit3_small_patch16_224.fb_in1k", 224)
    assert known.class_path == timm.class_path


@pytest.mark.parametrize("name", ["resnet18", "timm", "timm:", ":x", "keras:x", "cnniqa:x", "deit3-small:x", ""])
def test_backbones_that_are_none(family: Registry, name: str) -> None:
    with pytest.raises(InputError, match=rf'Unknown backbone "{name}"\..*timm:NAME, torchvision:NAME'):
        family.resolve_backbone(name)


@pytest.fixture
def import_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules and import path as they were before the test."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def make_package(folder: Path) -> None:
    (folder / "beside_pkg").mkdir(parents=True)
    (folder / "beside_pkg" / "__init__.py").write_text("LOADED = True\n")
    (folder / "beside_pkg" / "inner.py").write_text(
        "import beside_helper\n\nclass Mine:\n    word = 'found' + beside_helper.TAIL\n"
    )
    (folder / "beside_helper.py").write_text("TAIL = '!'\n")


@pytest.mark.usefixtures("import_state")
def test_a_class_beside_a_users_file(tmp_path: Path) -> None:
    make_package(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text('methods:\n  mine: {class: "beside_pkg.inner:Mine"}\n')
    registry = load_registry([file])
    inner = tmp_path / "beside_pkg" / "inner.py"
    assert locate_module("beside_pkg.inner", registry.search_folders) == inner
    assert locate_module("beside_pkg", registry.search_folders) == tmp_path / "beside_pkg" / "__init__.py"
    assert "beside_pkg" not in sys.modules, "locating imports nothing"
    assert registry.load("beside_pkg.inner:Mine").word == "found!"
    with pytest.raises(InputError, match="no module beside_pkg.inner in the import path"):
        sys.path.remove(str(tmp_path))
        load_object("beside_pkg.inner:Mine")


@pytest.mark.usefixtures("import_state")
def test_two_files_may_have_modules_of_one_name(tmp_path: Path) -> None:
    for word in ("first", "second"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "beside_one.py").write_text(f"class Mine:\n    word = '{word}'\n")
    for word in ("first", "second", "first"):
        assert load_object("beside_one:Mine", [tmp_path / word]).word == word
    assert load_object("beside_one:Mine", [tmp_path / "first"]) is load_object("beside_one:Mine", [tmp_path / "first"])


@pytest.mark.usefixtures("import_state")
def test_neighbours_of_a_users_file_hide_nothing(tmp_path: Path) -> None:
    for name in ("json.py", "ssliqa_bench.py"):
        (tmp_path / name).write_text("class Mine: pass\n")
    (tmp_path / "numpy").mkdir()
    assert locate_module("json", [tmp_path]) == Path(sys.modules["json"].__file__ or "")
    assert locate_module("ssliqa_bench.errors", [tmp_path]) == Path(sys.modules["ssliqa_bench.errors"].__file__ or "")
    assert (locate_module("numpy", [tmp_path]) or tmp_path).name == "__init__.py"
    with pytest.raises(InputError, match="has no Mine"):
        load_object("json:Mine", [tmp_path])


@pytest.mark.usefixtures("import_state")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("class Main: pass\n", r"beside_bad\.py has no Mine\. Did you mean 'Main'\?"),
        ("import no_such_library\n", r"importing .*beside_bad\.py failed: ModuleNotFoundError: .*no_such_library"),
        ("class Mine(:\n", r"importing .*beside_bad\.py failed: SyntaxError"),
        ("1 / 0\n", r"importing .*beside_bad\.py failed: ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "beside_bad.py").write_text(content)
    with pytest.raises(InputError, match=message):
        load_object("beside_bad:Mine", [tmp_path])


def test_no_such_module(tmp_path: Path) -> None:
    for module in ("no_such_module", "json.no_such_module", "ssliqa_bench.errors.deeper"):
        assert locate_module(module, [tmp_path]) is None
        with pytest.raises(InputError, match=f'"{module}:X": no module {module} in the import path, '):
            load_object(f"{module}:X", [tmp_path])


def test_a_recipe_that_begins_with_another(tmp_path: Path) -> None:
    """`a/b` is `a` with what `b` changes, along the chain of the method; its values stand nearest to the method."""
    file = tmp_path / "own.yaml"
    file.write_text("""
methods:
  root:
    about: {title: Root}
    class: pkg.mod:Root
    params: {lr: 1.0, epochs: 10}
    recipes:
      small: {lr: 0.5, epochs: 2}
      small/tuned: {lr: 0.25}
  leaf:
    extends: root
    recipes:
      small: {epochs: 3}
""")
    registry = load_registry([file])
    found = {name: registry.resolve_method(name, "small/tuned") for name in ("root", "leaf")}
    assert {name: (own.params["lr"], own.params["epochs"]) for name, own in found.items()} == {
        "root": (0.25, 2), "leaf": (0.25, 3)}  # fmt: skip
    assert found["leaf"].recipe == "small/tuned" and found["leaf"].origins["lr"] == "root, recipe small/tuned"
    assert registry.resolve_method("leaf", "small").params["lr"] == 0.5
    with pytest.raises(InputError, match="recipe of root"):
        registry.resolve_method("root", "small/other")


PREFIXED = """
methods:
  shelf:
    about: {title: of the shelf}
    class: pkg.mod:Shelf
    prefix: metric
    references: where known
    params: {metric: null, weights_file: null}
    recipes:
      check: {weights_file: small}
  chosen:
    extends: shelf
    params: {metric: one}
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Registry:
    file = tmp_path / "shelf.yaml"
    file.write_text(PREFIXED)
    return load_registry([file])


@pytest.mark.parametrize("name", ["psnr", "lpips-vgg+", "clipiqa+_vitL14_512"])
def test_methods_by_prefix(shelf: Registry, name: str) -> None:
    method = shelf.resolve_method(f"shelf:{name}")
    assert method.name == f"shelf:{name}" and method.chain == (f"shelf:{name}",)
    assert method.params == {"metric": name, "weights_file": None} and method.references == "where known"
    assert method.about.title == f"{name}, of the shelf"
    assert shelf.recipes(f"shelf:{name}") == ["check"]
    assert shelf.resolve_method(f"shelf:{name}", "check").params["weights_file"] == "small"
    assert f"shelf:{name}" not in shelf.methods


def test_a_method_may_extend_a_prefix(shelf: Registry) -> None:
    method = shelf.resolve_method("chosen")
    assert method.params["metric"] == "one" and method.chain == ("shelf", "chosen")


@pytest.mark.parametrize("name", ["shelf", "shelf:", "shelf:a:b", "shelf:a/b", "shelf:a,b", "shelf:.."])
def test_a_prefix_alone_is_no_method(shelf: Registry, name: str) -> None:
    with pytest.raises(InputError, match="shelf stands for all methods shelf:NAME, where NAME is its metric"):
        shelf.resolve_method(name)


def test_what_the_name_says_is_not_set_again(shelf: Registry) -> None:
    with pytest.raises(InputError, match="--set metric: the name shelf:psnr contains it already"):
        shelf.resolve_method("shelf:psnr", overrides={"metric": "ssim"})


def test_an_unknown_prefix_is_an_unknown_method(shelf: Registry) -> None:
    with pytest.raises(InputError, match='Unknown method "shelv:psnr"'):
        shelf.resolve_method("shelv:psnr")
