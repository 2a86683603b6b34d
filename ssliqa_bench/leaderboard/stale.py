"""Which records were made by other code than the code of today."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ssliqa_bench.leaderboard.collect import Facts

# Gives the hash of a file of code as records name it, None where there is no such file any more.
CurrentHash = Callable[[str], str | None]


@dataclass(frozen=True)
class Stale:
    """A record and the files of code that have changed since it was made."""

    key: str
    method: str
    seed: int
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key[:12]} {self.method} seed {self.seed}: {', '.join(self.files)}"


def stale_records(facts: Iterable[Facts], current_hash: CurrentHash) -> list[Stale]:
    """Records with at least one file of code whose hash is no longer the stored one, by method, seed and key.

    Looking at the stored files is enough: code that is new to a run is imported by a file that has changed.
    """
    known: dict[str, str | None] = {}
    found = []
    for record in facts:
        code, cell = record["key_parts"]["code"], record["cell"]
        known.update({file: current_hash(file) for file in code if file not in known})
        files = tuple(sorted(file for file, stored in code.items() if known[file] != stored))
        if files:
            found.append(Stale(record["key"], cell["method"], cell["seed"], files))
    return sorted(found, key=lambda stale: (stale.method, stale.seed, stale.key))
