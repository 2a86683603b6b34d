"""Which records were made by other code than the code of today."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ssliqa_bench.store.record import Record


@dataclass(frozen=True)
class Stale:
    """A record and the files of code that have changed since it was made."""

    key: str
    method: str
    seed: int
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key[:12]} {self.method} seed {self.seed}: {', '.join(self.files)}"


def stale_records(
    records: Iterable[Record], today: Mapping[str, str], *, of: Callable[[str], bool] = lambda _: True
) -> list[Stale]:
    """Records with at least one file of code that has changed, by method, seed and key.

    A file that was moved has not changed. Looking at the stored files is enough: code that is new to a run is imported
    by a file that has changed.

    Args:
        today: hash of every file of code, as records name files.
        of: which files to look at.
    """
    known = set(today.values())
    found = []
    for record in records:
        files = record.facts.code.files
        changed = {file for file, stored in files.items() if of(file) and stored not in known}
        if changed:
            found.append(Stale(record.key, record.cell.method, record.cell.seed, tuple(sorted(changed))))
    return sorted(found, key=lambda stale: (stale.method, stale.seed, stale.key))
