"""Splits that somebody published as lists of names: read, matched with the datasets, written as one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssliqa_bench.datasets.splits import part_of, read_split_file
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError, InputError, near_names
from ssliqa_bench.tabular import read_names
from ssliqa_bench.tabular.writer import sealed_csv

_FIRST = 3

# (dataset, image, part), one per image
Lists = list[tuple[str, str, str]]


def read_lists(file: Path | None, by_part: Mapping[str, Path | None], tables: Sequence[Table]) -> Lists:
    """The dataset, name and part of every image that the files list.

    A name may be given as the dataset spells it, in other capitals, or without its folders, as long as it stands for
    one image only. Positions in a list are not read: the order of a dataset's images differs from copy to copy.

    Args:
        file: a CSV with columns `image` and `split` or `role`, and perhaps `dataset`.
        by_part: a text file of names, one per line, for each part.

    Raises:
        InputError: no file, or both kinds.
        DataError: a name is no image of the datasets, stands for several, or is listed twice.
    """
    given = {part: path for part, path in by_part.items() if path is not None}
    if (file is None) == (not given):
        raise InputError("Give either one CSV file, or lists of names with --train and --test.")
    found: list[tuple[str, str, str, str]] = []  # where, dataset or "", name, part
    if file is not None:
        rows = read_split_file(file)
        parts = rows.column("role" if "role" in rows.header else "split")
        datasets = rows.column("dataset") if "dataset" in rows.header else [""] * len(parts)
        places = [f"{file}:{line}" for line in rows.lines]
        found = list(zip(places, datasets, rows.column("image"), parts, strict=True))
    for part, path in given.items():
        found += [(f"{path}:{number}", "", name, part) for number, name in read_names(path)]
    for where, _, name, word in found:
        part_of(word, f'{where}: image "{name}"')
    known = _Names(tables)
    lists: list[tuple[str, str, str]] = []
    seen_at: dict[tuple[str, str], str] = {}
    unknown = []
    for where, dataset, name, part in found:
        matches = known.find(dataset, name)
        if len(matches) > 1:
            raise DataError(f'{where}: "{name}" stands for {len(matches)} images ({matches[0][0]}/{matches[0][1]} …); '
                            f"write the dataset, or the name with its folder.")
        if not matches:
            unknown.append((where, name))
            continue
        if matches[0] in seen_at:
            raise DataError(f'{where}: "{name}" is listed already, at {seen_at[matches[0]]}.')
        seen_at[matches[0]] = where
        lists.append((*matches[0], part))
    if unknown:
        hint = near_names(unknown[0][1], known.all, limit=1)
        first = ", ".join(f'{where} "{name}"' for where, name in unknown[:_FIRST])
        raise DataError(f"{len(unknown)} of {len(found)} names are no image of {', '.join(t.dataset for t in tables)} "
                        f"(first: {first}){f'; near the first is {hint[0]!r}' if hint else ''}.")
    empty = [table.dataset for table in tables if not any(dataset == table.dataset for dataset, _, _ in lists)]
    if empty:
        files = ", ".join(str(path) for path in ([file] if file is not None else given.values()))
        raise DataError(f"{files}: the lists name no image of {', '.join(empty)}.")
    return lists


def written_lists(lists: Lists) -> str:
    """The CSV that a protocol with `rule: file` reads, below a checksum line."""
    return sealed_csv(sorted(lists), ("dataset", "image", "split"))


def protocol_entry(name: str, pair: str, file: str) -> str:
    """A registry file with one protocol that takes its split from a file beside it."""
    quoted = json.dumps(file, ensure_ascii=False)  # a string of JSON is one of YAML
    return (
        f"protocols:\n  {name}:\n    about:\n      title: {json.dumps(f'Split of {file}', ensure_ascii=False)}\n"
        f"      description: A split for {pair} that was imported from lists of names.\n"
        f"    split: {{rule: file, file: {quoted}}}\n"
    )


class _Names:
    """Images by their names, exact ones first, then without capitals, then without folders."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.all = [name for table in tables for name in table.name]
        self._ways: list[dict[str, list[tuple[str, str]]]] = [{}, {}, {}]
        for table in tables:
            for name in table.name:
                for way, spelled in zip(self._ways, self._spellings(name), strict=True):
                    way.setdefault(spelled, []).append((table.dataset, name))

    def find(self, dataset: str, name: str) -> list[tuple[str, str]]:
        """The images that a name stands for, in the first way in which it stands for any."""
        for way, spelled in zip(self._ways, self._spellings(name), strict=True):
            matches = [match for match in way.get(spelled, []) if dataset in ("", match[0])]
            if matches:
                return matches
        return []

    @staticmethod
    def _spellings(name: str) -> tuple[str, str, str]:
        return name, name.lower(), name.lower().rpartition("/")[2]
