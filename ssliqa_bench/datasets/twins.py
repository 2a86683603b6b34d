"""`data twins`: copies of one picture in several groups of a dataset, and a registry file that joins them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssliqa_bench.datasets.base import dataset_folder, groups_of, read_raw, row_problems
from ssliqa_bench.datasets.copies import Progress, differs, join_groups, named_copies, search_copies
from ssliqa_bench.datasets.near_copies import VERSION, copies_digest, torn_pairs
from ssliqa_bench.errors import DataError
from ssliqa_bench.files import write_text

if TYPE_CHECKING:
    from ssliqa_bench.registry.schema import DatasetEntry

_HEAD = "# Made by `ssliqa-bench data twins`: images that show one picture. Give it to runs with --registry.\n"


@dataclass(frozen=True)
class Twins:
    """What was found in a dataset.

    Attributes:
        images: of the dataset.
        sets: names of the images that show one picture, for pictures that are in several of its groups; files with
            equal bytes, and twins that the registry entry names, are one group already.
        within: how many more pictures have all their images in one group.
        equal_pixels, near: pairs by which all sets were found: equal pixels, and the same picture in other pixels.
        torn_pairs: pairs of copies of which the dataset's own split tests one and not the other; None without a split.
        version, digest: of the search, and of all sets of copies, as a registry entry states them.
        problem: how they differ from what its registry entry states; "" where it states none, or the same.
    """

    dataset: str
    images: int
    sets: tuple[tuple[str, ...], ...]
    within: int
    equal_pixels: int
    near: int
    torn_pairs: int | None
    version: int
    digest: str
    problem: str = ""


def find_twins(
    entry: DatasetEntry,
    data_root: Path,
    cache_root: Path,
    *,
    load: Callable[[str], Any],
    processes: int = 1,
    progress: Progress | None = None,
) -> Twins:
    """Look for copies in a dataset; decodes every image the first time.

    Raises:
        DataError: the dataset is not there, an image is missing or cannot be decoded, or the entry states an image as
            a twin that the dataset does not have.
    """
    raw = read_raw(entry, dataset_folder(entry, data_root, cache_root, load=load), cache_root, load=load)
    for problem in row_problems(entry, raw):
        if problem.rule in ("count", "names", "files", "missing"):
            raise DataError(problem.message)
    found = search_copies(entry.name, raw, cache_root, processes=processes, progress=progress)
    groups, _ = join_groups(groups_of(entry, raw), named_copies(entry, raw, cache_root).sets)
    across = tuple(rows for rows in found.sets if len({groups[row] for row in rows}) > 1)
    names = [[raw.name[row] for row in rows] for rows in found.sets]
    return Twins(
        entry.name,
        len(raw.name),
        tuple(tuple(raw.name[row] for row in rows) for rows in across),
        len(found.sets) - len(across),
        found.equal_pixels,
        found.near,
        None if raw.split is None else torn_pairs(found.sets, raw.split),
        VERSION,
        copies_digest(names),
        differs(entry, raw, found),
    )


def write_twins(found: Twins, entry: DatasetEntry, file: Path) -> int:
    """Write a registry file that makes one group of each set, joined with those that the entry states already.

    Returns:
        The number of sets in it.
    """
    names = sorted({name for names in (*found.sets, *entry.twins) for name in names})
    row_of = {name: row for row, name in enumerate(names)}
    joined, _ = join_groups(names, tuple(tuple(row_of[n] for n in own) for own in (*found.sets, *entry.twins)))
    sets: dict[str, list[str]] = {}
    for name, group in zip(names, joined, strict=True):
        sets.setdefault(group, []).append(name)
    lines = [f"      - {json.dumps(own, ensure_ascii=False)}" for own in sets.values()]
    text = "\n".join(["    twins:", *lines] if lines else ["    twins: []"])
    write_text(file, f"{_HEAD}datasets:\n  {found.dataset}:\n{text}\n")
    return len(sets)
