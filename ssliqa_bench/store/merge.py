"""Records of one store into another: what is new is added, what both hold must agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ssliqa_bench.errors import InputError
from ssliqa_bench.store.notices import copy_notices, put_notices
from ssliqa_bench.store.record import DatasetResult, Record
from ssliqa_bench.store.records import (
    Address,
    as_store,
    read_predictions,
    read_record,
    record_keys,
    write_record,
    write_result,
)

_SHOWN = 5


@dataclass(frozen=True)
class Merged:
    """How many records were new, how many got further results, and how many were there already."""

    added: int = 0
    completed: int = 0
    equal: int = 0


def import_records(
    source: Address, target: Address, notices: Mapping[str, Path], keys: Collection[str] | None = None
) -> Merged:
    """Copy records into another store; all are checked before the first is written.

    A record that both hold is the same where the metrics on every common dataset were computed from the same scores and
    predictions and agree. Times, machine and date may differ: what the target holds stays. Results on datasets that
    only the source has are added, and names and scores that only the target lacks. The notices of all datasets whose
    names and scores the source has go along, also from a store in which runs were made, which holds none.

    Args:
        notices: dataset to the file of its notice.
        keys: those to copy; None copies all.

    Raises:
        InputError: records of one key differ; names all of them, and nothing was written.
        CorruptFileError: a record is damaged.
    """
    here, there = as_store(target), as_store(source)
    wanted = record_keys(there) if keys is None else list(keys)
    held = set(record_keys(here))
    theirs = {key: read_record(there, key, with_predictions=True) for key in wanted}
    ours = {key: read_record(here, key) for key in wanted if key in held}
    problems = [
        f"{key[:12]} ({record.spec}) on {', '.join(datasets)}"
        for key, record in ours.items()
        if (datasets := _unlike(record, theirs[key]))
    ]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InputError(
            f"{len(problems)} records have one key and different content in {there} and {here}: "
            f"{'; '.join(problems[:_SHOWN])}{more}. Nothing was imported. Move one of each pair away; \"ssliqa-bench "
            f'store verify" shows whether a record agrees with its predictions.'
        )
    copy_notices(there, here)
    shown = {name for record in theirs.values() for name, own in record.results.items() if not own.withheld}
    put_notices(here, shown, notices)
    added = completed = 0
    for key, record in theirs.items():
        if key not in ours:
            write_record(here, record, {name: read_predictions(there, key, name) for name in record.results})
            added += 1
            continue
        new = [name for name, own in record.results.items() if _adds(ours[key].results.get(name), own)]
        for name in new:
            write_result(here, name, record.results[name], read_predictions(there, key, name))
        completed += bool(new)
    return Merged(added, completed, len(theirs) - added - completed)


def _unlike(one: Record, other: Record) -> list[str]:
    """Datasets on which two records of one key disagree."""
    common = [name for name in one.results if name in other.results]
    return [name for name in common if _differ(one.results[name], other.results[name])]


def _differ(one: DatasetResult, other: DatasetResult) -> bool:
    if one.inputs != other.inputs or one.dataset.fingerprint != other.dataset.fingerprint:
        return True
    same_evaluation = one.evaluation_version == other.evaluation_version
    return same_evaluation and (one.metrics, one.classes) != (other.metrics, other.classes)


def _adds(held: DatasetResult | None, own: DatasetResult) -> bool:
    """Whether a result brings what is not there: a further dataset, or names and scores."""
    return held is None or (held.withheld and not own.withheld)
