"""Keys: what determines a result, as one nested JSON object, and its hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ssliqa_bench.files import digest

_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """One entry that two keys do not share; `old` or `new` is None where the entry is absent."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.path.startswith("code."):
            change = "new" if self.old is None else "gone" if self.new is None else "changed"
            return f"{self.path.replace('code.', 'code ', 1)} ({change})"
        return f"{self.path} ({_short(self.old)} -> {_short(self.new)})"


def make_key(parts: Mapping[str, Any]) -> str:
    """The key (64 hexadecimal digits) of everything in `parts`; the order of entries does not matter."""
    return digest(parts)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[Difference]:
    """Every leaf in which two nested objects differ, sorted by path."""
    found: list[Difference] = []
    for name in sorted({*old, *new}):
        a, b = old.get(name, _ABSENT), new.get(name, _ABSENT)
        path = f"{prefix}{name}"
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{path}.")
        elif a is _ABSENT or b is _ABSENT or a != b:
            found.append(Difference(path, None if a is _ABSENT else a, None if b is _ABSENT else b))
    return found


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 24 else text[:12] + "…"
