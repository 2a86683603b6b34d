"""What counts of a Python source text: its statements as tokens, and what it imports.

Left out, because no result depends on it: comments, docstrings, layout, quotes, trailing commas, what only type
checkers read, and message texts. A message text is a string literal inside a `raise` statement, or one that is an
argument of a logging call or of `report.say`, alone or as a part of a concatenation, a choice or a template. A literal
deeper down counts, since it may be the argument of a call that is executed (`report.note` counts: the record keeps it).

Positions come from the syntax tree and texts from the tokens, since dumps of syntax trees differ between versions of
Python. Version 3.12 splits f-strings into tokens and 3.11 does not, so an f-string is one token here.
"""

from __future__ import annotations

import ast
import io
import json
import tokenize
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
_STRING_STARTS = {getattr(tokenize, f"{kind}STRING_START", -1) for kind in "FT"} - {-1}
_STRING_ENDS = {getattr(tokenize, f"{kind}STRING_END", -1) for kind in "FT"} - {-1}
_OPENING, _CLOSING = {"(", "[", "{"}, {")", "]", "}"}
_LOGGERS = {"log", "logger", "logging"}
_LOG_CALLS = {"critical", "debug", "error", "exception", "info", "log", "warn", "warning"}
_BRACKETED = (ast.Call, ast.List, ast.Set, ast.Dict)
_TEXTS = (ast.BinOp, ast.Constant, ast.IfExp, ast.Starred, ast.keyword)  # of what a message is made
_EFFECTS = (ast.Await, ast.Call, ast.NamedExpr, ast.Yield, ast.YieldFrom)

Place = tuple[int, int]  # row from 1, column in characters


@dataclass(frozen=True)
class Import:
    """One name that an import statement binds.

    Attributes:
        level, module: as `from ..module import`; level 0 for an absolute name.
        name: what is taken from the module; None where the module itself is imported.
        bound: the name that it gets; "" for `import a.b`, which binds `a`.
    """

    level: int
    module: str
    name: str | None
    bound: str


@dataclass(frozen=True)
class Statement:
    """One statement, or the head of a compound one: its depth of indentation, its tokens, and what it imports.

    A line of nothing but imports has no tokens.
    """

    row: int
    depth: int
    tokens: tuple[tuple[Place, str], ...]
    imports: tuple[Import, ...] = ()


class ParsedSource:
    """A parsed source text.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.tree = ast.parse(self._text)
        self._rows = self._text.splitlines(keepends=True)

    @cached_property
    def lines(self) -> tuple[Statement, ...]:
        """Everything that counts, in order."""
        seen = _Seen()
        self._look(seen)
        seen.statements.sort(key=lambda item: item[0])
        dropped = _Ranges(seen.dropped)
        found = []
        for depth, tokens in self._logical_lines(seen.brackets):
            kept = [
                (place, seen.effects.get(place, text))
                for place, text in tokens
                if place not in dropped or place in seen.effects
            ]
            first = bisect_left(seen.statements, tokens[0][0], key=lambda item: item[0])
            last = bisect_right(seen.statements, tokens[-1][0], key=lambda item: item[0])
            begun = [node for place, node in seen.statements[first:last] if place not in dropped]
            imports = [node for node in begun if isinstance(node, (ast.Import, ast.ImportFrom))]
            if imports and len(imports) == len(begun):
                kept = []
            if kept or imports:
                names = tuple(name for node in imports for name in _names(node))
                found.append(Statement(tokens[0][0][0], depth, tuple(kept), names))
        return tuple(found)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every name that is imported, inside functions too."""
        return tuple(name for line in self.lines for name in line.imports)

    def definition(self, name: str) -> ast.stmt | None:
        """The last statement at the top level, or in a branch there, that gives a name its value; None where an import
        does, or nothing."""
        found: ast.stmt | None = None
        for node in _top_level(self.tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found = node if node.name == name else found
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found = node if name in [t.id for t in targets if isinstance(t, ast.Name)] else found
        return found

    def within(self, node: ast.stmt) -> tuple[Statement, ...]:
        """The lines of a statement with its decorators, without the name that it defines or assigns."""
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)])
        lines = [line for line in self.lines if first <= line.row <= (node.end_lineno or first)]
        if not lines:
            return ()
        depth, start = lines[0].depth, self._place(node)
        return tuple(
            Statement(line.row, line.depth - depth, _without_name(line.tokens, start), line.imports) for line in lines
        )

    def _place(self, node: ast.AST) -> Place:
        return self._at(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def _end(self, node: ast.AST) -> Place:
        return self._at(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def _at(self, row: int, offset: int) -> Place:
        """Syntax trees count bytes, tokens count characters."""
        text = self._rows[row - 1] if row <= len(self._rows) else ""
        return row, offset if text.isascii() else len(text.encode()[:offset].decode())

    def _look(self, seen: _Seen) -> None:
        """Walk the syntax tree once."""
        waiting: list[tuple[ast.AST, bool, bool]] = [(self.tree, False, False)]
        while waiting:
            node, message, raised = waiting.pop()
            if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
                seen.dropped.append((self._place(node), self._end(node.body[-1])))
                waiting += [(child, message, raised) for child in node.orelse]
                continue
            if isinstance(node, ast.stmt):
                seen.statements.append((self._place(node), node))
                raised = raised or isinstance(node, ast.Raise)
            elif isinstance(node, _BRACKETED):
                seen.brackets.add(self._end(node))
            is_template = isinstance(node, ast.JoinedStr) or type(node).__name__ == "TemplateStr"
            message = raised or _is_message_call(node) or (message and (is_template or isinstance(node, _TEXTS)))
            docstring = _docstring(node)
            if docstring is not None:
                seen.dropped.append((self._place(docstring), self._end(docstring)))
            if message and (is_template or (isinstance(node, ast.Constant) and isinstance(node.value, str))):
                seen.dropped.append((self._place(node), self._end(node)))
                called = "" if raised else _called(node)
                if called:
                    seen.effects[self._place(node)] = called
            if not is_template:  # one token; positions inside it are not reliable before Python 3.12
                waiting += [(child, message, raised) for child in ast.iter_child_nodes(node)]

    def _logical_lines(self, brackets: set[Place]) -> Iterator[tuple[int, list[tuple[Place, str]]]]:
        """Depth and tokens of every statement; strings in one spelling, f-strings in one piece."""
        depth, line, inside, start = 0, [], 0, (0, 0)
        for token in tokenize.generate_tokens(io.StringIO(self._text).readline):
            if token.type in _STRING_STARTS:
                start = start if inside else token.start
                inside += 1
            elif token.type in _STRING_ENDS:
                inside -= 1
                if not inside:
                    line.append((start, self._between(start, token.end)))
            elif inside or token.type in _LAYOUT:
                continue
            elif token.type in (tokenize.INDENT, tokenize.DEDENT):
                depth += 1 if token.type == tokenize.INDENT else -1
            elif token.type == tokenize.NEWLINE:
                if line:
                    yield depth, _without_trailing_commas(line, brackets)
                line = []
            else:
                text = _spelling(token)
                if text[0] == '"' and line and line[-1][1][0] == '"':  # two literals side by side are one string
                    start_of_both, first = line.pop()
                    line.append((start_of_both, first[:-1] + text[1:]))
                else:
                    line.append((token.start, text))

    def _between(self, start: Place, end: Place) -> str:
        if start[0] == end[0]:
            return self._rows[start[0] - 1][start[1] : end[1]]
        middle = self._rows[start[0] : end[0] - 1]
        return "".join([self._rows[start[0] - 1][start[1] :], *middle, self._rows[end[0] - 1][: end[1]]])


@lru_cache(maxsize=2048)
def parsed(text: str) -> ParsedSource:
    """A source text, parsed once in this process."""
    return ParsedSource(text)


class _Seen:
    """What one walk of a syntax tree finds.

    Attributes:
        statements: where each begins.
        brackets: where calls, lists, sets and dictionaries end.
        dropped: ranges that do not count.
        effects: what stays of f-strings in messages that call something, by their place.
    """

    def __init__(self) -> None:
        self.statements: list[tuple[Place, ast.stmt]] = []
        self.brackets: set[Place] = set()
        self.dropped: list[tuple[Place, Place]] = []
        self.effects: dict[Place, str] = {}


class _Ranges:
    """Ranges of a text; a place is in them or not."""

    def __init__(self, ranges: list[tuple[Place, Place]]) -> None:
        self._starts: list[Place] = []
        self._ends: list[Place] = []
        for start, end in sorted(ranges):
            if self._ends and start < self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __contains__(self, place: Place) -> bool:
        k = bisect_right(self._starts, place) - 1
        return k >= 0 and place < self._ends[k]


def _without_trailing_commas(line: list[tuple[Place, str]], brackets: set[Place]) -> list[tuple[Place, str]]:
    """A comma before a closing bracket makes a difference only in a tuple of one."""
    kept: list[tuple[Place, str]] = []
    commas: list[int] = []
    for place, text in line:
        if text in _OPENING:
            commas.append(0)
        elif text == "," and commas:
            commas[-1] += 1
        elif text in _CLOSING and commas:
            if kept[-1][1] == "," and (commas[-1] > 1 or (place[0], place[1] + 1) in brackets):
                kept.pop()
            commas.pop()
        kept.append((place, text))
    return kept


def _spelling(token: tokenize.TokenInfo) -> str:
    """Text of a token; a string in one spelling, whatever its quotes."""
    text = token.string
    if token.type != tokenize.STRING:
        return text
    if text[0] in "\"'" and "\\" not in text and text[:3] not in ('"""', "'''"):
        return json.dumps(text[1:-1])
    try:
        value = ast.literal_eval(text)
    except ValueError:  # an f-string, before Python 3.12
        return text
    return f'b"{value.hex()}"' if isinstance(value, bytes) else json.dumps(value)


def _docstring(node: ast.AST) -> ast.Expr | None:
    if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or not node.body:
        return None
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first
    return None


def _is_message_call(node: ast.AST) -> bool:
    """A logging call or `report.say`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    of = node.func.value
    owner = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
    owner = owner.strip("_").lower()
    return (owner in _LOGGERS and node.func.attr in _LOG_CALLS) or (owner == "report" and node.func.attr == "say")


def _called(string: ast.AST) -> str:
    """What an f-string does beyond showing values; it counts even in a message, since it may draw a number."""
    shown = (node.value for node in ast.walk(string) if isinstance(node, ast.FormattedValue))
    return "\n".join(
        ast.unparse(value) for value in shown if any(isinstance(inner, _EFFECTS) for inner in ast.walk(value))
    )


def _names(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(0, alias.name, None, alias.asname or "") for alias in node.names)
    else:
        for alias in node.names:
            yield Import(node.level, node.module or "", alias.name, alias.asname or alias.name)


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements of a module and those inside its branches, in order."""
    for node in tree.body:
        yield from _branches(node)


def _branches(node: ast.AST) -> Iterator[ast.stmt]:
    if isinstance(node, ast.stmt):
        yield node
    if isinstance(node, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
        for child in ast.iter_child_nodes(node):
            yield from _branches(child)


def _without_name(tokens: tuple[tuple[Place, str], ...], start: Place) -> tuple[tuple[Place, str], ...]:
    """Tokens of a line; where the statement starts in it, without the name after `def` or `class`, or that assigned."""
    places = [place for place, _ in tokens]
    if start not in places:
        return tokens
    k = places.index(start)
    while k < len(tokens) and tokens[k][1] in ("async", "def", "class"):
        k += 1
    return tokens[:k] + tokens[k + 1 :]
