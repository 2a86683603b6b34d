"""Which code determines a result: hashes of source files, found without importing them.

Only tokens count: comments, docstrings and layout do not change a hash. The closure of a module is the
module itself and every module of the same top-level package that it imports, directly or not, inside
functions too. For a class outside this package it is every module of its package or folder.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from ssliqa_bench.errors import InputError

PACKAGE = "ssliqa_bench"
Locate = Callable[[str], Path | None]
_ROOT = Path(__file__).resolve().parent.parent
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
_MARKS = {tokenize.NEWLINE: "\n", tokenize.INDENT: "\x01", tokenize.DEDENT: "\x02"}


def code_hashes(modules: Iterable[str], locate: Locate) -> dict[str, str]:
    """File → hash (16 digits) of all code of ours behind some modules.

    Args:
        modules: dotted names; a class path `module:Class` counts as its module.
        locate: gives the source file of a module outside this package without importing it, or None.

    Raises:
        InputError: a module cannot be found.
    """
    hashes: dict[str, str] = {}
    for name in modules:
        found = _behind(name.partition(":")[0], locate)
        hashes.update((path, _file_hash(file)) for path, (file, _) in found.items())
    return dict(sorted(hashes.items()))


def imported_packages(modules: Iterable[str], locate: Locate) -> set[str]:
    """Top-level names of everything that the code of `code_hashes` imports from elsewhere."""
    packages: set[str] = set()
    for name in modules:
        found = _behind(name.partition(":")[0], locate).values()
        own = {module.partition(".")[0] for _, module in found}
        imported = {full.partition(".")[0] for file, module in found for full in _imports(file, module)}
        packages |= imported - own
    return packages - {PACKAGE, ""}


def source_hash(text: str) -> str:
    """Hash (16 digits) of the tokens of a source text, comments and docstrings left out."""
    docstrings = _docstring_starts(text)
    lines = text.splitlines(keepends=True)
    pieces: list[str] = []
    depth, fstring = 0, (0, 0)  # Python 3.12 cuts f-strings into tokens, 3.11 does not: take them whole
    start_kind = getattr(tokenize, "FSTRING_START", None)
    end_kind = getattr(tokenize, "FSTRING_END", None)
    after_docstring = False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        ends_docstring, after_docstring = after_docstring, token.start in docstrings
        if after_docstring or (ends_docstring and token.type == tokenize.NEWLINE):
            continue
        if start_kind is not None and token.type == start_kind:
            fstring = fstring if depth else token.start
            depth += 1
        elif end_kind is not None and token.type == end_kind:
            depth -= 1
            if not depth:
                pieces.append(_between(lines, fstring, token.end))
        elif depth or token.type in _LAYOUT:
            continue
        else:
            pieces.append(_MARKS.get(token.type, token.string))
    return hashlib.sha256("\x1f".join(pieces).encode()).hexdigest()[:16]


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *middle, lines[end[0] - 1][: end[1]]])


def _docstring_starts(text: str) -> set[tuple[int, int]]:
    starts = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and body:
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                starts.add((first.lineno, first.col_offset))
    return starts


def _behind(module: str, locate: Locate) -> dict[str, tuple[Path, str]]:
    """Path as a key names it → file and dotted name, of all code of ours behind a module."""
    if _is_ours(module):
        return _named(_files_of(module), _ROOT.parent)
    base, files = _outside_files(module, locate)
    found = _named(files, base)
    for file, name in list(found.values()):  # what such a class takes from this package determines its results as well
        for imported in _imports(file, name):
            if _is_ours(imported) and _own_file(imported) is not None:
                found.update(_behind(imported, locate))
    return found


def _named(files: Iterable[Path], base: Path) -> dict[str, tuple[Path, str]]:
    paths = {file.relative_to(base): file for file in files}
    names = {path: path.parent.parts if path.stem == "__init__" else path.with_suffix("").parts for path in paths}
    return {path.as_posix(): (file, ".".join(names[path])) for path, file in paths.items()}


def _is_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(PACKAGE + ".")


def _own_file(module: str) -> Path | None:
    """The file of a module of this package; None where the name is not a module's."""
    base = _ROOT.parent.joinpath(*module.split("."))
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)


def _outside_files(module: str, locate: Locate) -> tuple[Path, list[Path]]:
    """All modules of the package that a module outside belongs to, or of its folder, and the folder above."""
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
        file = waiting.pop()
        for name in _imports(file, file.stem):
            beside = folder / name.partition(".")[0]
            new = set(beside.rglob("*.py")) - found if name and beside.is_dir() else set()
            found |= new
            waiting += new
    return sorted(found)


@cache
def _files_of(module: str) -> tuple[Path, ...]:
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = None if name in found else _own_file(name)
        if file is None:
            continue
        found[name] = file
        waiting += [imported for imported in _imports(file, name) if imported.startswith(PACKAGE + ".")]
    if not found:
        raise InputError(f'Module "{module}" was not found in {PACKAGE}.')
    return tuple(sorted(found.values()))


@cache
def _imports(file: Path, module: str) -> tuple[str, ...]:
    """Absolute names that a file imports; `from a import b` gives both a and a.b, which may be a module."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in _nodes_that_run(ast.parse(_source(file))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (parent, node.module or "") if part)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _nodes_that_run(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, without what only type checkers read."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


@cache
def _file_hash(file: Path) -> str:
    return source_hash(_source(file))


@cache
def _source(file: Path) -> str:
    """The text of a Python file, which must be one: it is hashed, and asked what it imports.

    Raises:
        InputError: it is not.
    """
    try:
        text = file.read_text(encoding="utf-8")
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise InputError(
            f"{file}: not readable as Python ({error}). It lies beside or below a class of the registry, so its code "
            f"is part of that class's key: mend it, or move the class to a folder of its own."
        ) from error
    return text
