"""YAML as registry and suite files use it: few types, no surprises, every value with its line.

Plain scalars are `true`, `false`, `null`, JSON numbers (`1e-4` is one) or text; `yes`, `~`, `1:3`,
`koniq:livec`, `0x10` and dates are text. Quoted scalars are text. Keys are text and occur once; anchors,
aliases and tags are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ssliqa_bench.errors import InputError, RegistryError
from ssliqa_bench.paths import file_to_read
from ssliqa_bench.registry.document import Document
from ssliqa_bench.registry.problems import KeyPath, Problem

_TAG = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$")
_WHOLE = re.compile(r"^-?(?:0|[1-9][0-9]*)$")
_WORDS = {"true": True, "false": False, "null": None}
_MAX_DEPTH = 30


def read_yaml(path: Path, shown_as: str | None = None) -> Document:
    """Read a file.

    Raises:
        RegistryError: there is no such file, it is not UTF-8 text, or not YAML; the message has the line.
    """
    name = shown_as or str(path)
    try:
        data = file_to_read(path, "a YAML file").read_bytes()
    except InputError as error:
        raise RegistryError(str(error)) from error
    except OSError as error:
        raise RegistryError(f"{name}: {error.strerror or error}; expected a YAML file.") from error
    try:
        return parse_yaml(data.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RegistryError(f"{name}:{line}: got a byte that is not UTF-8; expected UTF-8 text.") from error


def parse_yaml(text: str, file: str) -> Document:
    """Read YAML text; `file` is the name that messages show.

    Raises:
        RegistryError: not YAML, or nested deeper than any entry is.
    """
    try:
        _check_depth(text, file)
        node = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RegistryError(f"{file}:{line}: not readable as YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise RegistryError(f"{file}: not readable as YAML: {' '.join(str(error).split())}.") from error
    builder = _Builder(file)
    value = None if node is None else builder.build(node, ())
    return Document(file, value, builder.lines, builder.problems)


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read the `key=value` of --set; a value is a scalar or a list as in a registry file.

    Raises:
        InputError: no "=", an empty or repeated key, a value that is not YAML or is a mapping.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key or not text.strip():
            raise InputError(f'--set {assignment}: got "{assignment}"; expected key=value, for example lr=1e-4.')
        if key in values:
            raise InputError(f"--set {key}: given twice; expected each key once.")
        try:
            document = parse_yaml(text, f"--set {key}")
        except RegistryError as error:
            raise InputError(f"{error} Put text with signs like : # [ in quotation marks.") from error
        if document.problems:
            raise InputError(str(document.problems[0]))
        if isinstance(document.value, dict):
            raise InputError(f"--set {key}: got a mapping; expected true, false, null, a number, text or a list.")
        values[key] = document.value
    return values


class _Builder:
    """Turns YAML nodes into values, noting lines and problems on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        # An alias gives the same node a second time.
        if id(node) in self._seen:
            return self._problem(path, "an alias (*name)", "the value itself")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(item, (*path, position)) for position, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in (_TAG + "str", _TAG + "plain"):
            return self._scalar(node, path)
        return self._problem(path, f'the tag "{node.tag.replace(_TAG, "!!")}"', "a value without a tag")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(path, "a key that is a list or a mapping", "text", key_node)
                continue
            key = str(key_node.value)
            below = (*path, key)
            if key in values:
                first = self.lines[below]
                self._problem(below, f"the key a second time (first in line {first})", "each key once", key_node)
                continue
            self.lines[below] = key_node.start_mark.line + 1
            values[key] = self.build(value_node, below)
        return values

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = str(node.value)
        if node.tag != _TAG + "plain":
            return text
        if not text:
            return self._problem(path, "nothing", 'a value, or null, or "" for empty text')
        if text in _WORDS:
            return _WORDS[text]
        if _WHOLE.match(text) and len(text) < 4000:
            return int(text)
        if not _NUMBER.match(text):
            return text
        number = float(text)
        return number if math.isfinite(number) else self._problem(path, text, "a finite number")

    def _problem(self, path: KeyPath, got: str, expected: str, node: yaml.Node | None = None) -> None:
        line = self.lines[path] if node is None else node.start_mark.line + 1
        self.problems.append(Problem.mismatch((self.file, line), path, got, expected))


def _resolve(self: Any, kind: Any, value: Any, implicit: Any) -> str:
    """Tags of untagged nodes: plain scalars get a tag of their own, so that quoted text stays text."""
    if kind is yaml.ScalarNode:
        return _TAG + ("plain" if implicit[0] else "str")
    return _TAG + ("map" if kind is yaml.MappingNode else "seq")


def _parser() -> Any:
    """PyYAML's parser in C where it is there, else the one in Python; both read alike."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _check_depth(text: str, file: str) -> None:
    """Composing nodes recurses, in C without a guard: thousands of brackets would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_parser()):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise RegistryError(f"{file}:{line}: nested too deep; expected at most {_MAX_DEPTH} levels.")


def _compose(text: str) -> yaml.Node | None:
    """The node tree of the one document in `text`."""
    loader = type("_Loader", (_parser(),), {"resolve": _resolve})(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()
