"""Which records may share a table: those made with the images, scores and splits of the newest record.

Labels are corrected and images replaced while a store lives on. What was measured before cannot be ranked beside what
is measured now. Boards, `leaderboard --stale` and `store verify` all ask here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ssliqa_bench.files import canonical_json
from ssliqa_bench.store.record import Record


def age(record: Record) -> tuple[datetime, str]:
    """What decides which of two records is newer: the date of creation, at a tie the key."""
    return record.created, record.key


def newest_of_cells(records: Iterable[Record]) -> list[Record]:
    """The newest record of every cell; boards show no other."""
    found: dict[str, Record] = {}
    for record in sorted(records, key=age):
        found[canonical_json(record.cell.model_dump())] = record
    return list(found.values())


def outdated(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    """Datasets, by key of record, that are not as the newest record with them has them; records without any are left
    out, and so are those that a newer one of the same cell replaces.

    A dataset is as it was where its fingerprint (files, names, scores) is that of the newest record with the dataset,
    and its split that of the newest record of the same pair, budgets, protocol and seed.
    """
    shown = sorted(newest_of_cells(records), key=age)
    files: dict[str, str] = {}
    splits: dict[str, str] = {}
    for record in shown:
        for name, dataset in record.datasets.items():
            files[name] = dataset.fingerprint
            splits[_split_of(record, name)] = dataset.split_hash
    found = {}
    for record in shown:
        changed = sorted(
            name for name, dataset in record.datasets.items()
            if dataset.fingerprint != files[name] or dataset.split_hash != splits[_split_of(record, name)]
        )  # fmt: skip
        if changed:
            found[record.key] = tuple(changed)
    return found


def _split_of(record: Record, dataset: str) -> str:
    """What a split follows from, beside the dataset."""
    cell = record.cell
    return canonical_json([dataset, cell.pair, cell.budget, cell.unlabeled_budget, cell.protocol, cell.seed])
