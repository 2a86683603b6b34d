"""Which records were made by other code than the code of today, or with other data than the newest record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ssliqa_bench.store.comparable import outdated
from ssliqa_bench.store.record import Record


@dataclass(frozen=True)
class Stale:
    """A record, the files of code that have changed since it was made, and the datasets that have (`outdated`)."""

    key: str
    method: str
    seed: int
    files: tuple[str, ...]
    datasets: tuple[str, ...] = ()

    def __str__(self) -> str:
        data = [f"images, scores or split of {', '.join(self.datasets)}"] if self.datasets else []
        return f"{self.key[:12]} {self.method} seed {self.seed}: {', '.join([*self.files, *data])}"


def stale_records(
    records: Iterable[Record],
    today: Mapping[str, str],
    imports: Mapping[str, str] | None = None,
    *,
    of: Callable[[str], bool] = lambda _: True,
) -> list[Stale]:
    """Records with at least one file of code or one dataset that has changed, by method, seed and key.

    A file that was moved has not changed. Looking at the stored files is enough: code that is new to a run is imported
    by a file that has changed, or that imports something else.

    Args:
        today: hash of every file of code, as records name files.
        imports: hash of every file with those that it imports; without, a file that only imports something else is
            not found.
        of: which files to look at.
    """
    known, known_imports = set(today.values()), None if imports is None else set(imports.values())
    given = list(records)
    data = outdated(given)
    found = []
    for record in given:
        code = record.facts.code
        changed = {file for file, stored in code.files.items() if of(file) and stored not in known}
        if not changed and known_imports is not None:
            changed = {file for file, stored in code.imports.items() if of(file) and stored not in known_imports}
        datasets = data.get(record.key, ())
        if changed or datasets:
            found.append(Stale(record.key, record.cell.method, record.cell.seed, tuple(sorted(changed)), datasets))
    return sorted(found, key=lambda stale: (stale.method, stale.seed, stale.key))
