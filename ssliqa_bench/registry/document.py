"""A registry or suite file as read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ssliqa_bench.registry.problems import KeyPath, Place, Problem


@dataclass(frozen=True)
class Document:
    """A file as read: its value, the line of every path, and what was wrong with single values."""

    file: str
    value: Any
    lines: dict[KeyPath, int]
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """File and line of a path; a path that is not in the file has the line of what encloses it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.file, self.lines.get(path, 1)
