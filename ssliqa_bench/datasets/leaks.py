"""Who must not meet in a run: groups and files of test and validation images, within a dataset and across datasets.

Names of groups are compared between datasets of one family, those whose registry entries say by `groups_as` that
equal names mean the same picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ssliqa_bench.datasets.copies import copies_of, same_image_as
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import LeakError
from ssliqa_bench.specs import Pair
from ssliqa_bench.types import ROLES, Role

_FIRST = 3
_APART: tuple[tuple[Role, tuple[Role, ...]], ...] = (
    ("test", ("labeled", "unlabeled", "validation")),
    ("validation", ("labeled", "unlabeled")),
)


def group_family(table: Table) -> str:
    """The dataset after whose groups those of a table are named, itself where its entry names none."""
    return str(table.facts.get("groups_as", table.dataset))


def check_roles(tables: Mapping[str, Table], roles: Mapping[str, Sequence[Role]]) -> None:
    """Make sure that test and validation images share no group, and no file, with an image of another role.

    Groups are compared over all datasets of a family. Unused images reach nobody and may share one.

    Raises:
        LeakError: names the datasets, the roles and the first groups.
    """
    for what in ("group", "file"):
        members = {name: _members(table, what, roles[name]) for name, table in tables.items()}
        for held_out, others in _APART:
            for tested, other in ((name, other) for name in tables for other in others):
                family = group_family(tables[tested])
                for learned in (name for name in tables if group_family(tables[name]) == family):
                    both = sorted(members[tested][held_out] & members[learned][other])
                    if both:
                        found = f"1 {what} is" if len(both) == 1 else f"{len(both)} {what}s are"
                        where = (f"{tested}: {found} in both {other} and {held_out}" if tested == learned else
                                 f"{tested}: {found} in its {held_out} part and in {other} of {learned}")
                        raise LeakError(f"{where}: {_some(both)}. Nothing was run.")


def _members(table: Table, what: str, roles: Sequence[Role]) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {role: set() for role in ROLES}
    for unit, role in zip(table.group if what == "group" else table.path, roles, strict=True):
        members[role].add(unit)
    return members


def kept_apart_notes(pair: Pair, tables: Mapping[str, Table], roles: Mapping[str, Sequence[Role]]) -> list[str]:
    """A sentence about images of B that are unused because A holds their group out; none where there are none."""
    labeled, unlabeled = tables.get(pair.labeled), tables.get(pair.unlabeled or "")
    if labeled is None or unlabeled is None or labeled is unlabeled or group_family(labeled) != group_family(unlabeled):
        return []
    held = _members(labeled, "group", roles[labeled.dataset])
    apart = held["test"] | held["validation"]
    count = sum(
        role == "unused" and group in apart
        for group, role in zip(unlabeled.group, roles[unlabeled.dataset], strict=True)
    )
    unused = f"1 image of {unlabeled.dataset} is unused: its group is" if count == 1 else (
        f"{count} images of {unlabeled.dataset} are unused: their groups are")  # fmt: skip
    return [f"{unused} in the test or validation part of {labeled.dataset}"] if count else []


def copies_notes(tables: Mapping[str, Table], roles: Mapping[str, Sequence[Role]]) -> list[str]:
    """Sentences about the copies of one picture in each dataset, and how many are unused for a test image's sake."""
    notes = []
    for name, table in tables.items():
        copied = copies_of(table.facts)
        if not copied:
            continue
        notes.append(f"{name}: {table.facts['copies_counted']}; copies are one group")
        tested = _members(table, "group", roles[name])["test"] & copied
        apart = sum(role == "unused" and group in tested for group, role in zip(table.group, roles[name], strict=True))
        if apart:
            unused = f"1 image of {name} is unused: a copy of it is" if apart == 1 else (
                f"{apart} images of {name} are unused: a copy of each is")  # fmt: skip
            notes.append(f"{unused} in its test part")
        # Elsewhere images are unused because nothing asked for them.
        if "unlabeled" in roles[name] and "labeled" in roles[name]:
            labeled = frozenset(own for own, role in zip(table.name, roles[name], strict=True) if role == "labeled")
            again = same_image_as(table.facts, labeled)
            left = sum(role == "unused" and own in again for own, role in zip(table.name, roles[name], strict=True))
            if left:
                images = "images" if left > 1 else "image"
                notes.append(f"{left} {images} of {name} not used as unlabeled: copies of labeled images")
    return notes


def check_files(
    tables: Mapping[str, Table], roles: Mapping[str, Sequence[Role]], hashes: Mapping[str, Mapping[str, str]]
) -> None:
    """Make sure that no file has two roles under two names, within a dataset or across datasets.

    Images are also compared by their pixels when they are decoded; two datasets may decode one file to other sizes.

    Args:
        hashes: dataset -> path -> hash of the file's bytes.

    Raises:
        LeakError: names the first such files.
    """
    seen: dict[str, tuple[Role, str]] = {}
    leaks = []
    for dataset, table in tables.items():
        for name, path, role in zip(table.name, table.path, roles[dataset], strict=True):
            if role == "unused":
                continue
            here = (role, f"{dataset}/{name}")
            there = seen.setdefault(hashes[dataset][path], here)
            if there[0] != role:
                leaks.append((there, here))
    if leaks:
        (role, image), (other_role, other) = leaks[0]
        raise LeakError(
            f"{len(leaks)} files have two roles (first: {image} is {role}; {other}, the same file, is "
            f"{other_role}). Nothing was run."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_FIRST]) + (", …" if len(names) > _FIRST else "")
