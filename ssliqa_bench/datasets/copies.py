"""Images of one dataset that show the same picture under several names: they become one group, which no split tears.

Files with equal bytes are found here, whatever the dataset. Copies with other bytes are facts of the registry entry:
its `twins` name them, or its `copies` say how many there are and what the digest of their names is. Those are looked
for once by their content (`near_copies.py`) and kept beside the decoded images.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssliqa_bench.caches import keep
from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import CorruptFileError, DataError, SchemaError
from ssliqa_bench.files import digest, read_sealed, set_aside

if TYPE_CHECKING:
    from ssliqa_bench.datasets.near_copies import NearCopies
    from ssliqa_bench.registry.schema import DatasetEntry

LOG = logging.getLogger("ssliqa_bench")
Rows = tuple[tuple[int, ...], ...]
# Called with the number of images done and the number of all.
Progress = Callable[[int, int], None]
_FIRST = 3
_KIND = "copies"


@dataclass(frozen=True)
class Copies:
    """Sets of rows that show one picture, by how that is known: equal bytes, stated in the registry entry, or found by
    their content."""

    equal_files: Rows = ()
    stated: Rows = ()
    found: Rows = ()

    @property
    def sets(self) -> Rows:
        """All of them; a row may be in several."""
        return self.equal_files + self.stated + self.found

    @property
    def same_image(self) -> Rows:
        """Sets of rows that are one image: its bytes, or, where the entry states twins, its pixels are equal."""
        return self.equal_files + self.stated

    def counts(self) -> str:
        """How many there are, for people: "2 images in 1 set with equal bytes"; "" for none."""
        kinds = (
            ("with equal bytes", self.equal_files),
            ("stated as copies in the registry", self.stated),
            ("found to be copies by their content", self.found),
        )
        return ", ".join(
            f"{sum(map(len, sets)):,} images in {len(sets):,} {'set' if len(sets) == 1 else 'sets'} {what}"
            for what, sets in kinds
            if sets
        )


def find_copies(entry: DatasetEntry, raw: RawTable, cache_root: Path) -> Copies:
    """The copies in a dataset; hashes of files are kept below `cache_root`, and files that are not there left out.

    Where the entry has `copies`, all images are decoded for it the first time, which takes minutes.

    Raises:
        DataError: the entry states an image as a twin that the dataset does not have, or other copies are found than
            it says, or an image that the search needs cannot be decoded.
    """
    named = named_copies(entry, raw, cache_root)
    if entry.copies is None:
        return named
    found = search_copies(entry.name, raw, cache_root)
    if problem := differs(entry, raw, found):
        raise DataError(problem)
    return replace(named, found=found.sets)


def named_copies(entry: DatasetEntry, raw: RawTable, cache_root: Path) -> Copies:
    """The copies that are known without a search by content: files with equal bytes, and `twins` of the entry.

    Raises:
        DataError: the entry states an image as a twin that the dataset does not have.
    """
    equal = _equal_files(raw, Path(cache_root) / "hashes" / f"{entry.name}.json")
    known = [set(rows) for rows in equal]
    stated = tuple(rows for rows in _stated(entry, raw) if not any(same.issuperset(rows) for same in known))
    return Copies(equal, stated)


def search_copies(
    dataset: str, raw: RawTable, cache_root: Path, *, processes: int = 1, progress: Progress | None = None
) -> NearCopies:
    """Copies by content among the images of a dataset, as `near_copies` finds them, kept until a file changes.

    Raises:
        DataError: an image is missing or cannot be decoded.
    """
    from ssliqa_bench.datasets.near_copies import VERSION, NearCopies, near_copies
    from ssliqa_bench.pixels.decode import PIXELS_VERSION

    hashes = file_hashes(raw.path, cache=Path(cache_root) / "hashes" / f"{dataset}.json")
    files = sorted((name, hashes[path]) for name, path in zip(raw.name, raw.path, strict=True))
    kept = Path(cache_root) / "copies" / f"{dataset}-{digest([VERSION, PIXELS_VERSION, files])[:32]}.json"
    row_of = {name: row for row, name in enumerate(raw.name)}
    try:
        told = read_sealed(kept, kind=_KIND)
        return NearCopies(tuple(tuple(row_of[n] for n in names) for names in told["sets"]), told["equal_pixels"],
                          told["near"])  # fmt: skip
    except FileNotFoundError:
        pass
    except (CorruptFileError, SchemaError) as error:
        LOG.warning("%s Set aside as %s; copies are looked for again.", str(error), set_aside(kept))
    if progress is None:
        LOG.warning("%s: looking for copies among %d images, once; this takes minutes.", dataset, len(raw.path))
    found = near_copies(raw.path, processes=processes, progress=progress)
    sets = [[raw.name[row] for row in rows] for rows in found.sets]
    keep(kept, {**asdict(found), "sets": sets}, kind=_KIND)
    return found


def differs(entry: DatasetEntry, raw: RawTable, found: NearCopies) -> str:
    """How the copies that were found differ from those that the entry states; "" where they do not."""
    from ssliqa_bench.datasets.near_copies import VERSION, copies_digest

    stated = entry.copies
    if stated is None:
        return ""
    images = sum(map(len, found.sets))
    if stated.version != VERSION:
        return (
            f"{entry.name}: its registry entry states the copies of version {stated.version} of the search, this is "
            f'version {VERSION}. "ssliqa-bench data twins {entry.name}" shows what is to be stated.'
        )
    if stated.digest == copies_digest([[raw.name[row] for row in rows] for rows in found.sets]):
        return ""
    return (
        f"{entry.name}: the {len(found.sets):,} sets of copies with {images:,} images that were found are not the "
        f"{stated.groups:,} with {stated.images:,} that its registry entry states. The images are not those of the "
        f"release that it describes, or this machine decodes them differently. "
        f'"ssliqa-bench data twins {entry.name}" lists them.'
    )


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


def same_image_as(facts: Mapping[str, object], names: frozenset[str]) -> frozenset[str]:
    """Images of a table that are one of the named ones under another name."""
    sets = facts.get("same_image", ())
    assert isinstance(sets, tuple)
    return frozenset(name for own in sets if not names.isdisjoint(own) for name in own) - names


def copies_of(facts: Mapping[str, object]) -> frozenset[str]:
    """The groups of a table that have copies in them, as its facts name them."""
    found = facts.get("copies", frozenset())
    assert isinstance(found, frozenset)
    return found
