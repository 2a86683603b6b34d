"""Problems in registry and suite files: where they are, what was found, what was expected."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from ssliqa_bench.errors import RegistryError, near_names

# Keys and list positions from the top of a file to a value.
KeyPath = tuple[str | int, ...]
# A file as it is shown to the user, and a line counted from 1.
Place = tuple[str, int]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; its text is one line: `file:line path: got …; expected …`."""

    place: Place
    path: KeyPath
    message: str

    @classmethod
    def mismatch(cls, place: Place, path: KeyPath, got: str, expected: str) -> Problem:
        """The usual problem: something was found where something else was expected."""
        return cls(place, path, f"got {got}; expected {expected}.")

    def __str__(self) -> str:
        file, line = self.place
        where = f"{file}:{line} {dotted(self.path)}" if self.path else f"{file}:{line}"
        return f"{where}: {self.message}"


def raise_problems(problems: Iterable[Problem], what: str) -> None:
    """Raise one RegistryError that names all problems, one line each; return quietly when there is none.

    `what` is what the files hold, as the head line says it: "the registry", "the suite". Within a file the
    problems are in the order of their lines.
    """
    problems = list(problems)
    files = list(dict.fromkeys(problem.place[0] for problem in problems))
    problems.sort(key=lambda problem: (files.index(problem.place[0]), problem.place[1]))
    lines = list(dict.fromkeys(str(problem) for problem in problems))
    if len(lines) == 1:
        raise RegistryError(lines[0])
    if lines:
        raise RegistryError(f"{len(lines)} problems in {what}:\n" + "\n".join(lines))


def dotted(path: KeyPath) -> str:
    """A path as a user writes it: `datasets.koniq.scale`, `runs[0].methods[2]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """A value as a message shows it: short, text in quotation marks, containers by their kind."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if len(value) > 6 else f"[{', '.join(shown(item) for item in value)}]"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + '…"'


def wrong(got: str, expected: str, *below: str) -> PydanticCustomError:
    """A problem found by a rule of ours; `below` leads from the value checked to the part that is wrong."""
    return PydanticCustomError(
        "entry", "got {got}; expected {expected}", {"got": got, "expected": expected, "below": list(below)}
    )


def one_of(name: str, known: Iterable[str]) -> str:
    """What to expect in place of an unknown name: the near names first, else all known ones."""
    known = sorted(known)
    near = near_names(name, known)
    if near:
        return " or ".join(f'"{n}"' for n in near)
    return f"one of {', '.join(known)}" if known else "none, since there is none"


def from_validation(
    error: ValidationError,
    model: type[BaseModel],
    raw: Mapping[str, Any],
    base: KeyPath,
    place_of: Callable[[KeyPath], Place],
) -> list[Problem]:
    """Turn what pydantic found in one entry into problems, alternatives of one value joined by "or"."""
    found: dict[KeyPath, tuple[str, list[str]]] = {}
    for item in error.errors(include_url=False):
        path = _real_path(item["loc"], raw, item["type"])
        got, expected = _words(item["type"], item.get("ctx") or {}, item["msg"], path, raw, model)
        path += tuple((item.get("ctx") or {}).get("below", ()))
        expectations = found.setdefault(path, (got, []))[1]
        if expected not in expectations:
            expectations.append(expected)
    # A wrong item makes pydantic also complain about the list around it, and about each alternative to a list.
    inner = [path for path in found if not any(len(p) > len(path) and p[: len(path)] == path for p in found)]
    return [
        Problem.mismatch(place_of(base + path), base + path, found[path][0], " or ".join(found[path][1]))
        for path in inner
    ]


def _real_path(loc: tuple[str | int, ...], raw: Any, kind: str) -> KeyPath:
    """The part of pydantic's location that exists in the file: names of union members are left out."""
    path: list[str | int] = []
    here = raw
    for position, part in enumerate(loc):
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif isinstance(here, (list, tuple)) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (kind == "missing" and position == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)


_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "none_required": "null",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "too_short": "a list that is not empty",
}


def _words(
    kind: str, ctx: Mapping[str, Any], message: str, path: KeyPath, raw: Mapping[str, Any], model: type[BaseModel]
) -> tuple[str, str]:
    """What was found and what was expected, in our words, for one kind of pydantic's errors."""
    if kind == "extra_forbidden":
        keys = _keys_at(model, path[:-1])
        near = near_names(str(path[-1]), keys)
        return "an unknown key", (" or ".join(f'"{k}"' for k in near)) if near else f"one of {', '.join(keys)}"
    if kind == "missing":
        field = _field_at(model, path)
        return "nothing", (field.description if field else None) or "a value"
    got = shown(_value_at(raw, path))
    if kind == "literal_error":
        return got, re.sub(r"'([^']*)'", r'"\1"', str(ctx["expected"]))
    if kind == "entry":  # raised by our own validators of whole entries
        return str(ctx["got"]), str(ctx["expected"])
    if kind == "value_error":
        return got, str(ctx["error"])
    return got, _EXPECTED[kind].format(**ctx) if kind in _EXPECTED else message


def _value_at(raw: Any, path: KeyPath) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _field_at(model: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    """The field of the schema that a path leads to; None where the schema has no such field."""
    field, here = None, typing.cast(Any, model)
    for part in path:
        if isinstance(part, int):
            continue
        if typing.get_origin(here) is dict:
            here = typing.get_args(here)[1]
            continue
        inner = _inner_model(here)
        field = next((f for n, f in inner.model_fields.items() if part in (n, f.alias)), None) if inner else None
        here = field.annotation if field else None
    return field


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys allowed in the mapping at `path`, as they are written in YAML."""
    field = _field_at(model, path)
    inner = (_inner_model(field.annotation) if field else None) or model
    # The name of an entry is its key in the file, so it is no key inside an entry.
    return [f.alias or name for name, f in inner.model_fields.items() if not (name == "name" and not path)]


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in typing.get_args(annotation) if (m := _inner_model(a))), None)
