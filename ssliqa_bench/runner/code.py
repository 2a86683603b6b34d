"""Which code determines a result, as a hash tree over source files that are found without importing them.

The unit is the module: a key that moves too often costs a run, one that moves too seldom costs the truth. Which
definition of a module is meant is a hash of its own (see `tree`). For code outside this package it is every module of
its package or folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ssliqa_bench.errors import InputError
from ssliqa_bench.runner.package import Package
from ssliqa_bench.runner.tree import PACKAGE, Outside, Space, dotted, is_ours, source_of

Locate = Callable[[str], Path | None]
_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Definition:
    """A definition that a result comes from: all code behind it, and which one it is; both without any name."""

    tree: str
    definition: str

    @property
    def part(self) -> dict[str, str]:
        """As a key holds it."""
        return {"tree": self.tree, "definition": self.definition}


class Code:
    """The code of this package, and of packages and folders outside it.

    Args:
        locate: gives the source file of a module outside this package without importing it, or None.
        root: the folder that holds this package; another one to look at a copy of it.

    All methods raise InputError where a module is not found, or a file is not readable as Python.
    """

    def __init__(self, locate: Locate, root: Path = _ROOT) -> None:
        self._locate = locate
        self._ours: Space = _ours() if root == _ROOT else Space(root)
        self._outside: dict[str, Outside] = {}

    def definition(self, path: str) -> Definition:
        """What `module:Name` names. A name that the module does not define itself counts as it is written."""
        module, _, name = path.partition(":")
        space = self._space(module)
        return Definition(space.tree(module), space.definition(module, name))

    def tree(self, module: str) -> str:
        """Hash (16 digits) of all code behind a module."""
        return self._space(module).tree(module)

    def files(self, paths: Iterable[str]) -> dict[str, str]:
        """File → hash (16 digits) of its own tokens, for all code behind some modules or `module:Name`.

        These name what has changed. Files outside this package are named from the folder of their package on.
        """
        found: dict[str, str] = {}
        for module in _modules(paths):
            found |= self._space(module).files(module)
        return dict(sorted(found.items()))

    def imports(self, paths: Iterable[str]) -> dict[str, str]:
        """As `files`, with the hash of a file's tokens in which every file that it imports counts by its own tokens.

        These name a file in which nothing has changed but what it imports.
        """
        found: dict[str, str] = {}
        for module in _modules(paths):
            found |= self._space(module).imports(module)
        return dict(sorted(found.items()))

    def sources(self, paths: Iterable[str]) -> set[Path]:
        """The files themselves of all code behind some modules or `module:Name`."""
        return {file for module in _modules(paths) for file in self._space(module).sources(module)}

    def packages(self, paths: Iterable[str]) -> set[str]:
        """Top-level names of everything that the code behind some modules imports from elsewhere."""
        return {name for module in _modules(paths) for name in self._space(module).packages(module)} - {PACKAGE, ""}

    def _space(self, module: str) -> Space:
        if is_ours(module):
            return self._ours
        if module not in self._outside:
            base, files = _outside_files(module, self._locate)
            self._outside[module] = Outside(base, files, self._ours)
        return self._outside[module]


def package_code() -> dict[str, dict[str, str]]:
    """`files` and `imports`, as `Code` gives them, of all of this package."""
    files = sorted((_ROOT / PACKAGE).rglob("*.py"))
    modules = {file.relative_to(_ROOT).as_posix(): dotted(file, _ROOT) for file in files}
    return {
        "files": {file: _ours().own_hash(module) for file, module in modules.items()},
        "imports": {file: _ours().imports_hash(module) for file, module in modules.items()},
    }


@cache
def _ours() -> Package:
    """One for all plans of a process: the modules that it has loaded do not change either."""
    return Package(_ROOT)


def keep_hashes() -> None:
    """Keep what is known of the code of this package for the next process."""
    _ours().keep()


def _modules(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(path.partition(":")[0] for path in paths))


def _outside_files(module: str, locate: Locate) -> tuple[Path, list[Path]]:
    """The folder above the package that a module outside belongs to, or its folder, and all modules of it."""
    file = locate(module)
    if file is None:
        raise InputError(
            f'Module "{module}" was not found beside the registry file or on the Python path. Write the '
            f"class as module:Class of an installed package or of a file beside the registry file."
        )
    package = file.parent
    if file.name != "__init__.py" and "." not in module:
        return package, _folder_files(package)
    for _ in range(module.count(".") - (file.name != "__init__.py")):
        package = package.parent
    return package.parent, sorted(package.rglob("*.py"))


def _folder_files(folder: Path) -> list[Path]:
    """The modules of a folder, and those of the packages in it that any of them imports."""
    found = set(folder.glob("*.py"))
    waiting = list(found)
    while waiting:
        for taken in source_of(waiting.pop()).imports:
            name = taken.module.partition(".")[0]
            beside = folder / name
            new = set(beside.rglob("*.py")) - found if name and not taken.level and beside.is_dir() else set()
            found |= new
            waiting += new
    return sorted(found)
