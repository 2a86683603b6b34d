"""Notices of datasets: what has to stand beside names and scores that are passed on.

A store that holds records alone, as an export does, is one to be passed on; beside the names and scores of a dataset
with a notice it has the file `NOTICE-DATASET.txt`.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssliqa_bench.store.record import Record
    from ssliqa_bench.store.store import Store

_PREFIX = "NOTICE-"
# Where a store in which runs were made keeps its weights and predictions.
_WORKED_IN = ("artifacts/", "checkpoints/", "predictions/")


def notice_name(dataset: str) -> str:
    """The file of a dataset's notice."""
    return f"{_PREFIX}{dataset}.txt"


def put_notices(store: Store, datasets: Collection[str], notices: Mapping[str, Path]) -> None:
    """Write the notices of some datasets, of those that have one.

    Args:
        notices: dataset to the file of its notice.
    """
    for dataset in datasets:
        if dataset in notices:
            text = notices[dataset].read_bytes()
            if _held(store, dataset) != text:
                store.put(notice_name(dataset), text)


def copy_notices(source: Store, target: Store) -> None:
    """Copy the notices of a store that another lacks."""
    there = set(target.list(_PREFIX))
    for path in source.list(_PREFIX):
        if path not in there:
            target.put(path, source.read(path))


def missing_notices(store: Store, records: Iterable[Record], notices: Mapping[str, Path]) -> list[str]:
    """One message for every notice that is not whole beside the records of a store; none where runs were made in it.

    Args:
        records: those of the store.
        notices: dataset to the file of its notice.
    """
    if any(store.list(prefix) for prefix in _WORKED_IN):
        return []
    shown = Counter(name for record in records for name, own in record.results.items() if not own.withheld)
    problems = []
    for dataset, count in sorted(shown.items()):
        if dataset not in notices or (held := _held(store, dataset)) == notices[dataset].read_bytes():
            continue
        where = store.where(notice_name(dataset))
        found = "is missing" if held is None else "is not the whole notice"
        remedy = f"cp {shlex.quote(str(notices[dataset]))} {shlex.quote(where)}"
        if store.folder is None:
            remedy = f"put a copy of {notices[dataset]} there"
        problems.append(
            f"{where}: {found}; expected the notice of {dataset}, which must accompany its names and scores "
            f"(in {count} record{'s' * (count != 1)}). Next: {remedy}"
        )
    return problems


def _held(store: Store, dataset: str) -> bytes | None:
    try:
        return store.read(notice_name(dataset))
    except FileNotFoundError:
        return None
