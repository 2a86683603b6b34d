"""Hashes of the package that are kept are those that its files have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.runner import tree
from ssliqa_bench.runner.package import Package
from ssliqa_bench.runner.tree import Space

SOURCES = {
    "__init__": "__version__ = '1'\n",
    "a": "from ssliqa_bench.b import Base\n\n\nclass Own(Base):\n    import torch\n",
    "b": "from ssliqa_bench import c\n\n\nclass Base:\n    two = c.one + 1\n",
    "c": "import numpy\nfrom ssliqa_bench import d\none = 1\n",
    "d": "from ssliqa_bench import c\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small package of this name, and a cache folder of its own."""
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "root" / tree.PACKAGE).mkdir(parents=True)
    for name, text in SOURCES.items():
        (tmp_path / "root" / tree.PACKAGE / f"{name}.py").write_text(text)
    return tmp_path / "root"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were parsed."""
    seen: list[str] = []
    source_of: Callable[[Path], object] = tree.source_of

    def watched(file: Path) -> object:
        seen.append(file.stem)
        return source_of(file)

    monkeypatch.setattr(tree, "source_of", watched)
    return seen


def found(space: Space) -> list[object]:
    modules = [f"{tree.PACKAGE}.{name}" for name in "abcd"]
    own = space.definition(f"{tree.PACKAGE}.a", "Own")
    return [own, *map(space.tree, modules), *(sorted(space.packages(name)) for name in modules)]


def kept(root: Path) -> list[object]:
    package = Package(root)
    values = found(package)
    package.keep()
    return values


def test_the_next_process_parses_nothing(root: Path, parsed: list[str]) -> None:
    fresh = found(Space(root))
    assert kept(root) == fresh
    parsed.clear()
    assert found(Package(root)) == fresh and parsed == []


@pytest.mark.parametrize("name", list("abcd"))
def test_no_hash_survives_a_change_of_a_file(root: Path, name: str) -> None:
    before = kept(root)
    with open(root / tree.PACKAGE / f"{name}.py", "a") as file:
        file.write("import scipy\nmore = 2\n")
    assert kept(root) == found(Space(root)) != before
    (root / tree.PACKAGE / f"{name}.py").write_text(SOURCES[name])
    assert kept(root) == before


def test_what_was_not_asked_for_before_is_added(root: Path, parsed: list[str]) -> None:
    package = Package(root)
    package.tree(f"{tree.PACKAGE}.c")
    package.keep()
    fresh = found(Space(root))
    assert kept(root) == fresh
    parsed.clear()
    assert found(Package(root)) == fresh and parsed == []


def test_what_was_worked_out_beside_an_edit_is_not_kept(root: Path, parsed: list[str]) -> None:
    fresh, file = found(Space(root)), root / tree.PACKAGE / "b.py"
    package = Package(root)
    package.tree(f"{tree.PACKAGE}.a")
    package.keep()
    file.write_text("def other() -> int:\n    return 3\n")
    package.tree(f"{tree.PACKAGE}.b")
    package.definition(f"{tree.PACKAGE}.b", "other")
    package.keep()
    file.write_text(SOURCES["b"])
    assert found(Package(root)) == fresh


def swapped(data: bytes, root: Path) -> bytes:
    """The kept hash of one module in the place of another's."""
    one, other = (Space(root).tree(f"{tree.PACKAGE}.{name}").encode() for name in "ac")
    assert one in data and one != other
    return data.replace(one, other)


@pytest.mark.parametrize("damage", [swapped, lambda data, root: data[: len(data) // 2]], ids=["swapped", "cut"])
def test_a_damaged_copy_counts_as_absent(root: Path, tmp_path: Path, damage: Callable[[bytes, Path], bytes]) -> None:
    before = kept(root)
    (file,) = (tmp_path / "cache").rglob("*.json")
    file.write_bytes(damage(file.read_bytes(), root))
    assert kept(root) == before


@pytest.mark.parametrize("name", [".#a.py", "other"])
def test_a_link_that_cannot_be_followed_keeps_nothing(root: Path, tmp_path: Path, name: str) -> None:
    """Such as an editor's beside an unsaved file, or a folder elsewhere, whose files may change unseen."""
    (root / tree.PACKAGE / name).symlink_to(tmp_path / "nowhere")
    if name == "other":
        (tmp_path / "nowhere").mkdir()
    assert kept(root) == found(Space(root))
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_an_unknown_module_is_refused_each_time(root: Path) -> None:
    kept(root)
    for _ in range(2):
        with pytest.raises(InputError, match="was not found"):
            Package(root).tree(f"{tree.PACKAGE}.nowhere")
