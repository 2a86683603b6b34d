"""One run, from plan to record: answer it from the store, or compute what is missing.

A run that was killed is started again in the same words: finished stages are found under their keys, the
one that was interrupted continues after its last finished epoch.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection
from dataclasses import dataclass

from ssliqa_bench.datasets.splits import split_hash
from ssliqa_bench.errors import CorruptFileError, InputError, LeakError, SchemaError, SsliqaError
from ssliqa_bench.runner.keys import Difference, key_differences
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.places import LOCKS
from ssliqa_bench.store.record import Record, RunCell
from ssliqa_bench.store.records import iter_records, read_record, set_record_aside
from ssliqa_bench.store.store import Store

_log = logging.getLogger("ssliqa_bench")


@dataclass(frozen=True)
class Outcome:
    """What a run gives back: its record, and whether the store held it already."""

    record: Record
    cached: bool


def run(plan: Plan, settings: Settings, made: Collection[str] = ()) -> Outcome:
    """Answer a run from the store, or compute what is missing and write its record.

    Args:
        made: keys of stages that were computed for this run just now, which others need too: they do not count as found
            in the store, and stay there.

    Raises:
        RunError: training or prediction failed.
        LeakError: an image has two roles.
        StorageError: the disk is full.
    """
    stored = stored_record(plan, settings) if settings.use_store else None
    missing = () if stored is None else unanswered(plan, stored)
    if stored is not None and not missing:
        return Outcome(stored, cached=True)
    # From here on torch is needed.
    from ssliqa_bench.runner.compute import add_tests, compute

    store = Store(settings.store)
    new = store.folder if store.folder is not None and not store.folder.exists() else None
    try:
        with store.in_use():
            if stored is not None:
                return Outcome(add_tests(plan, stored, missing, settings), cached=True)
            return Outcome(compute(plan, settings, made), cached=False)
    except SsliqaError:
        if new is not None:  # a refused run leaves no store behind; one that finished a stage keeps it
            with contextlib.suppress(OSError):
                (new / LOCKS).rmdir()
            with contextlib.suppress(OSError):
                new.rmdir()
        raise


def stored_record(plan: Plan, settings: Settings, *, look_only: bool = False) -> Record | None:
    """The finished record of a plan; a damaged one is set aside, logged, and counts as missing.

    A record that skipped unreadable images answers only requests that skip them too. What an older version
    evaluated is evaluated again from the predictions on record. With `look_only` everything stays as it is.
    """
    try:
        record = read_record(settings.store, plan.key, with_predictions=True)
        if not look_only:
            record = _renewed(record, plan, settings)
    except FileNotFoundError:
        return None
    except SchemaError:
        raise  # another version wrote it; it is sound, and not ours to set aside
    except CorruptFileError as error:
        if not look_only:
            aside = set_record_aside(settings.store, plan.key)
            _log.warning("%s Set aside as %s; the run is made again.", str(error), aside)
        return None
    if record.leak is not None and settings.allow_leak is None:
        raise LeakError(
            f"Record {plan.key[:12]} is the stored result of this run, but has a leak that was allowed because: "
            f'{record.leak.reason}. {" ".join(record.leak.found)} To accept it: --allow-leak "REASON". '
            f"To repeat the run with leaks refused, name another --store."
        )
    skipped = any(dataset.skipped for dataset in record.datasets.values())
    return None if skipped and not settings.skip_bad else record


def _renewed(record: Record, plan: Plan, settings: Settings) -> Record:
    from ssliqa_bench.evaluation import EVALUATION_VERSION

    if all(result.evaluation_version == EVALUATION_VERSION for result in record.results.values()):
        return record
    # From here on scipy is needed.
    from ssliqa_bench.runner.renewal import ImagesOfRecord, images_at_hand, renew

    def at_hand(dataset: str) -> ImagesOfRecord | None:
        if dataset not in plan.tables:
            return None
        return images_at_hand(record, dataset, plan.entries[dataset], plan.protocol, plan.tables[dataset], settings)

    return renew(settings.store, record, at_hand)


def unanswered(plan: Plan, record: Record) -> tuple[str, ...]:
    """Further test datasets of a plan that a record does not hold, or holds as they were before they changed."""
    held = {
        name: (result.dataset.fingerprint, result.dataset.split_hash) for name, result in record.results.items()
    }
    asked = {name: (plan.fingerprints[name], split_hash(plan.tables[name], plan.roles[name]))
             for name in plan.spec.tests}
    return tuple(name for name, marks in asked.items() if held.get(name) != marks)


def refuse_submitted(record: Record) -> None:
    """Refuse to look behind a record whose predictions were submitted.

    Raises:
        InputError: there is no model and no code on record.
    """
    if record.submitted:
        raise InputError(f"Record {record.key[:12]} ({record.cell.method}) was submitted as predictions; there is no "
                         f"model or code behind it on this machine.")  # fmt: skip


def refuse_other_key(plan: Plan, record: Record) -> None:
    """Refuse to add predictions to a record that the same run would not make today.

    Raises:
        InputError: what differs; predictions of one record come from one key.
    """
    if plan.key == record.key:
        return
    changed = ", ".join(str(d) for d in changes(plan, record)[:6])
    short = record.key[:12]
    raise InputError(
        f"Record {short} differs from what the same run would produce today, in: {changed}. Repeat the run, then "
        f'test its record. "ssliqa-bench store why {short}" shows all differences.'
    )


def why_again(plan: Plan, settings: Settings) -> tuple[str, list[Difference]] | None:
    """The newest record of the same cell and in what its key differs from the plan's; None without such a record."""
    cell = RunCell.of(plan.spec)
    same = [record for record in _readable(settings) if record.cell == cell and record.key != plan.key]
    if not same:
        return None
    newest = max(same, key=lambda record: (record.created, record.key))
    return newest.key, changes(plan, newest)


def changes(plan: Plan, record: Record) -> list[Difference]:
    """In what the key of a plan differs from that of a record."""
    code = plan.method_code.told(plan.code)
    return key_differences(record.facts.key_parts, record.facts.code.model_dump(), plan.key_parts, code)


def _readable(settings: Settings) -> list[Record]:
    try:
        return list(iter_records(settings.store))
    except CorruptFileError as error:
        _log.warning("%s", str(error))
        return []
