"""Images of one dataset that show the same picture under several names: they become one group, which no split tears.

Files with equal bytes are found here, whatever the dataset. Copies with other bytes are facts of the registry entry:
its `twins` name them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError

if TYPE_CHECKING:
    from ssliqa_bench.registry.schema import DatasetEntry

Rows = tuple[tuple[int, ...], ...]
_FIRST = 3


@dataclass(frozen=True)
class Copies:
    """Sets of rows that show one picture, by how that is known: equal bytes, or stated in the registry entry."""

    equal_files: Rows = ()
    stated: Rows = ()

    @property
    def sets(self) -> Rows:
        """All of them; a row may stand in several."""
        return self.equal_files + self.stated

    def counts(self) -> str:
        """How many there are, for people: "2 images in 1 set with equal bytes"; "" for none."""
        kinds = (("with equal bytes", self.equal_files), ("stated as copies in the registry", self.stated))
        return ", ".join(
            f"{sum(map(len, sets)):,} images in {len(sets):,} {'set' if len(sets) == 1 else 'sets'} {what}"
            for what, sets in kinds
            if sets
        )


def find_copies(entry: DatasetEntry, raw: RawTable, cache_root: Path) -> Copies:
    """The copies in a dataset; hashes of files are kept below `cache_root`, and files that are not there left out.

    Raises:
        DataError: the entry states an image as a twin that the dataset does not have.
    """
    equal = _equal_files(raw, Path(cache_root) / "hashes" / f"{entry.name}.json")
    known = [set(rows) for rows in equal]
    stated = tuple(rows for rows in _stated(entry, raw) if not any(same.issuperset(rows) for same in known))
    return Copies(equal, stated)


def join_groups(groups: Sequence[str], sets: Rows) -> tuple[tuple[str, ...], frozenset[str]]:
    """The group of every row after the groups of copies were put together, and the groups that have copies in them.

    A joined group has the name that comes first of those that it is made of.
    """
    head: dict[str, str] = {}

    def find(group: str) -> str:
        while (above := head.get(group, group)) != group:
            group = above
        return group

    for rows in sets:
        names = sorted({find(groups[row]) for row in rows})
        head.update(dict.fromkeys(names[1:], names[0]))
    joined = tuple(map(find, groups))
    return joined, frozenset(joined[row] for rows in sets for row in rows)


def _equal_files(raw: RawTable, cache: Path) -> Rows:
    """Only files of one size can be equal, so that most need not be read."""
    by_size: dict[int, list[int]] = {}
    for row, path in enumerate(raw.path):
        if size := _size(path):  # an empty file is no picture
            by_size.setdefault(size, []).append(row)
    alike = [row for rows in by_size.values() if len(rows) > 1 for row in rows]
    hashes = file_hashes([raw.path[row] for row in alike], cache=cache) if alike else {}
    return _sets((hashes[raw.path[row]], row) for row in sorted(alike))


def _stated(entry: DatasetEntry, raw: RawTable) -> Rows:
    row_of = {name: row for row, name in enumerate(raw.name)}
    unknown = [name for twins in entry.twins for name in twins if name not in row_of]
    if unknown:
        raise DataError(
            f"{entry.name}: its registry entry states {len(unknown)} images as twins that {raw.source} does not list "
            f'(first: {", ".join(unknown[:_FIRST])}). "ssliqa-bench show {entry.name}" shows the entry.'
        )
    return tuple(tuple(row_of[name] for name in twins) for twins in entry.twins)


def _sets(marked: Iterable[tuple[str, int]]) -> Rows:
    """Rows that share their mark, where several do."""
    rows_of: dict[str, list[int]] = {}
    for mark, row in marked:
        rows_of.setdefault(mark, []).append(row)
    return tuple(tuple(rows) for rows in rows_of.values() if len(rows) > 1)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def copies_of(facts: Mapping[str, object]) -> frozenset[str]:
    """The groups of a table that have copies in them, as its facts name them."""
    found = facts.get("copies", frozenset())
    assert isinstance(found, frozenset)
    return found
