"""The hashes of modules that import each other: a tree, in which a module stands for all that it imports.

The hash of a module covers its tokens (see `tokens`), in which the path of every own module in an import statement is
replaced by that module's hash: a module that is moved or renamed, with the import lines that name it, changes no hash;
one that is changed, or imported in another's place, does. Modules that import each other in a circle are one unit.
Adjacent import lines count as a set, since tools sort them by path.

The `__init__` of a package counts where something is taken from it, not where it is only passed on the way to a
module; in this package none of them does more than define names.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import digest
from ssliqa_bench.runner.tokens import Import, ParsedSource, Statement, parsed

PACKAGE = "ssliqa_bench"
# Code that calls one of these may load modules by names that it computes.
_DYNAMIC = {"__import__", "eval", "exec", "globals", "import_module"}
_DIGITS = 16


def is_ours(module: str) -> bool:
    """Whether a module belongs to this package."""
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")


def source_of(file: Path) -> ParsedSource:
    """The parsed text of a Python file.

    Raises:
        InputError: it is none.
    """
    try:
        return parsed(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise InputError(
            f"{file}: not readable as Python ({error}). It lies beside or below a class of the registry, so its code "
            f"is part of that class's key: correct it, or move the class to a folder of its own."
        ) from error


class Space:
    """Modules that import each other, and their hashes, worked out when they are asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._trees: dict[str, str] = {}
        self._files: dict[str, Path | None] = {}
        self._sources: dict[str, ParsedSource] = {}
        self._imported: dict[str, tuple[str, ...]] = {}

    def find(self, module: str) -> Path | None:
        """The file of a module of this space; None where the name is not a module's."""
        base = self.root.joinpath(*module.split("."))
        places = (base.with_suffix(".py"), base / "__init__.py") if is_ours(module) else ()
        return next((file for file in places if file.is_file()), None)

    def tree(self, module: str) -> str:
        """Hash of all code behind a module."""
        self._grow(module)
        return self._trees[module]

    def files(self, module: str) -> dict[str, str]:
        """File → hash of its own tokens, of all modules behind one."""
        return {self._path(name): self.own_hash(name) for name in self.behind(module)}

    def sources(self, module: str) -> set[Path]:
        """The files of all modules behind one."""
        return {self._file(name).resolve() for name in self.behind(module)}

    def packages(self, module: str) -> set[str]:
        """Top-level names of what the modules behind one import from elsewhere."""
        behind = self.behind(module)
        names = {self._base(name, taken) for name in behind for taken in self.source(name).imports}
        return {name.partition(".")[0] for name in names if not self._exists(name.partition(".")[0])}

    def behind(self, module: str) -> set[str]:
        """A module and all that it imports, directly or not."""
        return self._closure([module])

    def definition(self, module: str, name: str, seen: frozenset[tuple[str, str]] = frozenset()) -> str:
        """Hash of one definition without its name, and, of a class, of those of its bases."""
        if (module, name) in seen:
            return ""
        source, seen = self.source(module), seen | {(module, name)}
        node = source.definition(name)
        if node is None:
            taken = self._taken(module, name)
            return digest(name)[:_DIGITS] if taken is None else self.definition(*taken, seen)
        behind = [self._named(module, part, seen) for part in _references(node)]
        return digest([self._statements(source.within(node), module, self.tree), *behind])[:_DIGITS]

    def own_hash(self, module: str) -> str:
        """Hash of the tokens of one file alone: where it takes own modules from does not matter."""
        return digest(self._statements(self.source(module).lines, module, lambda _: ""))[:_DIGITS]

    def imports(self, module: str) -> dict[str, str]:
        """File → `imports_hash`, of all modules behind one."""
        return {self._path(name): self.imports_hash(name) for name in self.behind(module)}

    def imports_hash(self, module: str) -> str:
        """Hash of the tokens of one file, the files that it imports counted by their own tokens."""
        return digest(self._statements(self.source(module).lines, module, self.own_hash))[:_DIGITS]

    def source(self, module: str) -> ParsedSource:
        """The parsed text of a module."""
        if module not in self._sources:
            self._sources[module] = source_of(self._file(module))
        return self._sources[module]

    def _file(self, module: str) -> Path:
        if module not in self._files:
            self._files[module] = self.find(module)
        file = self._files[module]
        if file is None:
            raise InputError(f'Module "{module}" was not found in {PACKAGE}.')
        return file

    def _exists(self, module: str) -> bool:
        if module not in self._files:
            self._files[module] = self.find(module)
        return self._files[module] is not None

    def _path(self, module: str) -> str:
        return self._file(module).relative_to(self.root).as_posix()

    def _taken(self, module: str, name: str) -> tuple[str, str] | None:
        """Module and name that a name was imported from, where that module is one of ours."""
        for taken in self.source(module).imports:
            base = self._base(module, taken)
            if taken.bound == name and taken.name is not None and self._exists(base):
                return base, taken.name
        return None

    def _named(self, module: str, parts: tuple[str, ...], seen: frozenset[tuple[str, str]]) -> str:
        """Hash of the definition that `name` or `module.name` means in a module; "" for what is not of ours."""
        if len(parts) == 1:
            known = self.source(module).definition(parts[0]) is not None or self._taken(module, parts[0]) is not None
            return self.definition(module, parts[0], seen) if known else ""
        for taken in self.source(module).imports:
            of = self._base(module, taken) if taken.name is None else f"{self._base(module, taken)}.{taken.name}"
            if (taken.bound or of) == ".".join(parts[:-1]) and self._exists(of):
                return self.definition(of, parts[-1], seen)
        return ""

    def _base(self, module: str, taken: Import) -> str:
        """The absolute name of the module of an import line."""
        if not taken.level:
            return taken.module
        package = module if self._file(module).name == "__init__.py" else module.rpartition(".")[0]
        above = package.rsplit(".", taken.level - 1)[0] if taken.level > 1 else package
        return ".".join(part for part in (above, taken.module) if part)

    def _own(self, module: str, taken: Import) -> tuple[str, ...]:
        """The modules of this space whose hashes stand for one imported name."""
        base = self._base(module, taken)
        if taken.name is None:
            return (base,) if self._exists(base) else ()
        if not self._exists(f"{base}.{taken.name}"):
            return (base,) if self._exists(base) else ()
        # A package may bind the name of one of its modules itself.
        binds = base != PACKAGE and self._exists(base) and bool(self.source(base).lines)
        return (f"{base}.{taken.name}", base) if binds else (f"{base}.{taken.name}",)

    def _targets(self, module: str) -> tuple[str, ...]:
        if module not in self._imported:
            names = (own for taken in self.source(module).imports for own in self._own(module, taken))
            self._imported[module] = tuple(dict.fromkeys(names))
        return self._imported[module]

    def _closure(self, modules: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            if module not in found:
                found.add(module)
                waiting += self._targets(module)
        return found

    def _grow(self, module: str) -> None:
        """Work out the hashes of a module and of all that it imports, what is imported first."""
        if module not in self._trees:
            for unit in _units(module, self._targets, self._trees):
                self._trees |= self._unit(unit)

    def _unit(self, unit: Collection[str]) -> dict[str, str]:
        """Hashes of the modules of a circle, or of a module alone.

        Each is distinguished from the others by its form, the form of those that it imports, and so on for as many
        steps as it takes to distinguish any two such circles.
        """
        labels = dict.fromkeys(unit, "")
        circle = len(unit) > 1 or any(name in self._targets(name) for name in unit)
        for _ in range(2 * len(unit) if circle else 1):
            known = {**self._trees, **labels}
            labels = {name: self._label(name, known) for name in unit}
        if not circle:
            return labels
        return {name: digest([labels[name], sorted(labels.values())])[:_DIGITS] for name in unit}

    def _label(self, module: str, known: Mapping[str, str]) -> str:
        return digest(self._statements(self.source(module).lines, module, known.__getitem__))[:_DIGITS]

    def _statements(self, lines: Iterable[Statement], module: str, tree: Callable[[str], str]) -> list[list[object]]:
        """Statements as they are hashed; `tree` gives what replaces an own module's path."""
        found: list[list[object]] = []
        for line in lines:
            entries = [self._entry(module, taken, tree) for taken in line.imports]
            together = bool(found) and not line.tokens and not found[-1][1] and found[-1][0] == line.depth
            if together:
                entries = [*found.pop()[2], *entries]  # type: ignore[misc]
            found.append([line.depth, [text for _, text in line.tokens], entries])
        return [[depth, texts, _in_any_order(entries)] for depth, texts, entries in found]  # type: ignore[arg-type]

    def _entry(self, module: str, taken: Import, tree: Callable[[str], str]) -> list[str]:
        own, base = self._own(module, taken), self._base(module, taken)
        hashes = [tree(name) for name in own]
        if taken.name is None:
            # What is bound by `import a.b` is used under its path, which then stays.
            shown = [] if own and taken.bound else [base]
            return ["module" if own else "import", taken.bound, *shown, *hashes]
        if not own:
            return ["from", taken.bound, base, taken.name]
        is_module = own[0] != base
        return ["module", taken.bound, *hashes] if is_module else ["from", taken.bound, taken.name, *hashes]


class Outside(Space):
    """A package or folder outside this package, with what it takes from this package."""

    def __init__(self, base: Path, files: Iterable[Path], ours: Space) -> None:
        super().__init__(base)
        self._ours = ours
        self._modules = {dotted(file, base): file for file in files}

    def find(self, module: str) -> Path | None:
        return self._modules.get(module) or self._ours.find(module)

    def tree(self, module: str) -> str:
        trees = {name: super(Outside, self).tree(name) for name in self._modules}
        dynamic = any(_computes_names(self.source(name).tree) for name in trees)
        return digest([trees[module], sorted(trees.items() if dynamic else trees.values())])[:_DIGITS]

    def behind(self, module: str) -> set[str]:
        return self._closure(self._modules)

    def _path(self, module: str) -> str:
        file = self._file(module)
        return file.relative_to(self.root if module in self._modules else self._ours.root).as_posix()

    def _grow(self, module: str) -> None:
        for target in {target for name in self._modules for target in self._targets(name)} - self._modules.keys():
            self._trees[target] = self._ours.tree(target)
        super()._grow(module)


def dotted(file: Path, base: Path) -> str:
    """The name of the module in a file below a folder of packages."""
    path = file.relative_to(base)
    return ".".join(path.parent.parts if path.stem == "__init__" else path.with_suffix("").parts)


def _in_any_order(entries: list[list[str]]) -> list[list[str]]:
    """Adjacent imports, sorted unless one of them takes the name of another."""
    bound = [entry[1] for entry in entries if entry[1]]
    packages = {entry[2].partition(".")[0] for entry in entries if not entry[1]}  # `import a.b` binds `a`
    return entries if len(bound) > len(set(bound)) or packages & set(bound) else sorted(entries)


def _units(start: str, targets: Callable[[str], tuple[str, ...]], known: Collection[str]) -> Iterator[list[str]]:
    """Circles of imports, and modules in none, from the imported to the importing (Tarjan's algorithm)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        numbers[module] = lowest[module] = len(numbers)
        stack.append(module)
        for target in targets(module):
            if target in known:
                continue
            if target not in numbers:
                yield from visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], numbers[target])
        if lowest[module] == numbers[module]:
            unit = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            yield unit

    return visit(start)


def _computes_names(tree: ast.Module) -> bool:
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(getattr(own, "id", "") in _DYNAMIC or getattr(own, "attr", "") == "import_module" for own in called)


def _references(node: ast.stmt) -> Iterator[tuple[str, ...]]:
    """Names of the definitions that one rests on: the bases of a class, or what a name is assigned."""
    if isinstance(node, ast.ClassDef):
        values = node.bases
    else:
        values = [node.value] if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None else []
    for value in values:
        text = ast.unparse(value.value if isinstance(value, ast.Subscript) else value)
        if all(part.isidentifier() for part in text.split(".")):
            yield tuple(text.split("."))
