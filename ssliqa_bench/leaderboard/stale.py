"""Which records were made by other code than the code of today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ssliqa_bench.leaderboard.collect import Facts, code_files


@dataclass(frozen=True)
class Stale:
    """A record and the files of code that have changed since it was made."""

    key: str
    method: str
    seed: int
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key[:12]} {self.method} seed {self.seed}: {', '.join(self.files)}"


def stale_records(facts: Iterable[Facts], today: Mapping[str, str]) -> list[Stale]:
    """Records with at least one file of code that has changed, by method, seed and key.

    A file that was moved has not changed. Looking at the stored files is enough: code that is new to a run is imported
    by a file that has changed.

    Args:
        today: hash of every file of code, as records name files.
    """
    known = set(today.values())
    found = []
    for record in facts:
        cell = record["cell"]
        changed = {file for file, stored in code_files(record).items() if stored not in known}
        if changed:
            found.append(Stale(record["key"], cell["method"], cell["seed"], tuple(sorted(changed))))
    return sorted(found, key=lambda stale: (stale.method, stale.seed, stale.key))
