"""Changing one executed line of a stage or a prediction moves its key; words and moved modules do not.

Lines are drawn from those that it executes on the tiny pair; they are changed in a copy of the package.
"""

from __future__ import annotations

import ast
import io
import keyword
import random
import re
import shutil
import sys
import threading
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.runner import keys
from ssliqa_bench.runner.code import Code
from ssliqa_bench.runner.keys import Behind
from ssliqa_bench.testing.execution import keyed_files

if TYPE_CHECKING:
    from tests.conftest import Bench

ROOT = Path(keys.__file__).parents[2]
METHODS = ("supervised", "ssiqa", "ridge-probe", "fixmatch", "ssliqa")
DRAWN = 12  # lines of every such function
OPERATORS = {"+": "-", "-": "+", "*": "+", "/": "*", "<": ">", ">": "<", "<=": "<", ">=": ">", "==": "!="}
OTHER = {"True": "False", "False": "True", "None": "0", "and": "or", "or": "and", "not": "not not", "in": "not in"}


class Lines:
    """A tracer that collects the lines executed inside some functions: (file, line) by function."""

    def __init__(self, entries: set[CodeType]) -> None:
        self.entries = entries
        self.found: dict[CodeType, set[tuple[Path, int]]] = {code: set() for code in entries}
        self.inside: list[CodeType] = []

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code in self.entries:
            self.inside.append(frame.f_code)
        own = self.inside and frame.f_code.co_filename.startswith(str(ROOT / "ssliqa_bench"))
        return self.line if own else None

    def line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and self.inside:
            self.found[self.inside[-1]].add((Path(frame.f_code.co_filename), frame.f_lineno))
        elif event == "return" and frame.f_code in self.entries:
            self.inside.pop()
        return self.line


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's sources."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "ssliqa_bench", folder / "ssliqa_bench", ignore=lambda where, names: [
        name for name in names if not (name.endswith(".py") or (Path(where) / name).is_dir()) or name == "__pycache__"
    ])  # fmt: skip
    return folder


def part(behind: Behind, root: Path) -> dict[str, Any]:
    """The code part of a key, of the sources below a folder."""
    return behind.part(Code(lambda module: None, root))


def parts_of(bench: Bench, method: str) -> dict[CodeType, Behind]:
    """The functions of a method's stages, what builds its model and what asks it, and all code behind each."""
    from ssliqa_bench.models.predict import predict_set
    from ssliqa_bench.runner.artifact_keys import model_code, stage_code
    from ssliqa_bench.runner.learners import make_learner

    plan, _ = bench.plan(method)
    learner = make_learner(plan)
    behind = {stage.run.__code__: stage_code(plan, stage) for stage in learner.stages()}
    return {**behind, **dict.fromkeys((learner.model.build.__code__, predict_set.__code__), model_code(plan, learner))}


def mutations(text: str, row: int, rng: random.Random) -> Iterator[str]:
    """The text with one token of a row changed, so that it is still Python."""
    lines = text.splitlines(keepends=True)
    inside, candidates = 0, []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        name = tokenize.tok_name[token.type]
        inside += (name in ("FSTRING_START", "TSTRING_START")) - (name in ("FSTRING_END", "TSTRING_END"))
        if token.start[0] == row and not inside:
            candidates += [(token, new) for new in replacements(token)]
    rng.shuffle(candidates)
    for token, new in candidates:
        line = lines[row - 1]
        changed = line[: token.start[1]] + new + line[token.end[1] :]
        mutated = "".join([*lines[: row - 1], changed, *lines[row:]])
        try:
            ast.parse(mutated)
        except SyntaxError:
            continue
        yield mutated


def replacements(token: tokenize.TokenInfo) -> Iterator[str]:
    if token.type == tokenize.NUMBER:
        yield f"({token.string} + 1)"
    elif token.type == tokenize.NAME:
        if token.string in OTHER or not keyword.iskeyword(token.string):
            yield OTHER.get(token.string, f"{token.string}_x")
    elif token.type == tokenize.OP and token.string in OPERATORS:
        yield OPERATORS[token.string]


@pytest.mark.parametrize("method", METHODS)
def test_changing_an_executed_line_moves_the_key(bench: Bench, copy: Path, method: str) -> None:
    behind = parts_of(bench, method)
    tracer, before = Lines(set(behind)), sys.gettrace()
    threading.settrace(tracer)  # batches are drawn in a thread of their own
    sys.settrace(tracer)
    try:
        bench.run(method)
    finally:
        sys.settrace(before)
        threading.settrace(None)  # type: ignore[arg-type]
    rng = random.Random(f"{method} 1")
    for code, own in behind.items():
        keyed = keyed_files({file for file, _ in tracer.found[code]}, ())
        lines = sorted((file, line) for file, line in tracer.found[code] if file in keyed)
        assert len(lines) > DRAWN and len({file for file, _ in lines}) > 1, "it was traced"
        plain, tried = part(own, copy), 0
        for file, row in rng.sample(lines, len(lines)):
            text = file.read_text(encoding="utf-8")
            mutated = next(mutations(text, row, rng), None)
            if mutated is None:
                continue
            target = copy / file.relative_to(ROOT)
            target.write_text(mutated, encoding="utf-8")
            changed = part(own, copy)
            target.write_text(text, encoding="utf-8")
            assert changed != plain, f"{file.name}:{row}: {mutated.splitlines()[row - 1]}"
            tried += 1
            if tried == DRAWN:
                break
        assert tried == DRAWN and part(own, copy) == plain


SAYS = ("_log.warning", "_log.info", "LOG.warning", "context.report.say")


def reworded(text: str) -> str:
    """The same program with other comments, docstrings, messages and layout."""
    tree = ast.parse(text)
    docstrings, messages = [], []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            docstrings.append((node.body[0].lineno, node.body[0].end_lineno))
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Raise) or (called is not None and ast.unparse(called) in SAYS):
            messages.append((node.lineno, node.end_lineno))
    lines = text.splitlines()
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for token in reversed(tokens):
        row = token.start[0]
        if any(first <= row <= last for first, last in docstrings):
            if token.type == tokenize.STRING:
                indent = lines[row - 1][: token.start[1]]
                lines[row - 1 : token.end[0]] = [f'{indent}"""Said in other words.', "", f'{indent}At length."""']
        elif token.type == tokenize.STRING and any(first <= row <= last for first, last in messages):
            if row == token.end[0]:
                lines[row - 1] = f'{lines[row - 1][: token.start[1]]}"other words"{lines[row - 1][token.end[1] :]}'
        elif token.type == tokenize.NEWLINE:
            lines[row - 1 : row] = [f"{lines[row - 1]}  # said", "# more", ""]
    return "\n".join(["# first", *lines, ""])


@pytest.mark.parametrize("method", METHODS)
def test_words_move_no_key(bench: Bench, copy: Path, tmp_path: Path, method: str) -> None:
    changed = 0
    for path in copy.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        target = tmp_path / "words" / path.relative_to(copy)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(reworded(text), encoding="utf-8")
        changed += target.read_text(encoding="utf-8") != text
    assert changed > 100
    for behind in parts_of(bench, method).values():
        assert part(behind, tmp_path / "words") == part(behind, copy)


MOVED = {
    "ssliqa_bench.training.loop": "ssliqa_bench.training.circuit",
    "ssliqa_bench.training.backbones.base": "ssliqa_bench.networks.what",
    "ssliqa_bench.methods.supervised": "ssliqa_bench.methods.plain.initial",
    "ssliqa_bench.types": "ssliqa_bench.deep.small.records",
    "ssliqa_bench.methods.ssiqa.kernel_ridge": "ssliqa_bench.training.ridge",
}


@pytest.mark.parametrize("method", METHODS)
def test_moving_modules_moves_no_key(bench: Bench, copy: Path, tmp_path: Path, method: str) -> None:
    root = tmp_path / "moved"
    shutil.copytree(copy, root)
    for old, new in MOVED.items():
        target = root / f"{new.replace('.', '/')}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        for parent in target.relative_to(root).parents:
            (root / parent / "__init__.py").touch() if parent != Path(".") else None
        (root / f"{old.replace('.', '/')}.py").rename(target)
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for old, new in MOVED.items():
            text = re.sub(rf"\b{re.escape(old)}\b(?!\.)", new, text)
        path.write_text("\n".join(sorted_imports(text.splitlines())) + "\n", encoding="utf-8")
    for behind in parts_of(bench, method).values():
        moved = {name: MOVED.get(path.partition(":")[0], path.partition(":")[0]) + ":" + path.partition(":")[2]
                 for name, path in behind.definitions.items()}  # fmt: skip
        assert part(Behind(moved, behind.modules), root) == part(behind, copy)


def sorted_imports(lines: list[str]) -> Iterator[str]:
    """Lines of a module, import lines that stand together in the order of their paths, as tools leave them."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.startswith(("from ", "import ")) and not line.endswith("("):
            block.append(line)
            continue
        yield from sorted(block)
        block = []
        yield line
