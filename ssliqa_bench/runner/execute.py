"""One run, from plan to record: answer it from the store, or compute what is missing.

A run that was killed is started again in the same words: finished stages are found under their keys, the
one that was interrupted continues after its last finished epoch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ssliqa_bench.datasets.splits import split_hash
from ssliqa_bench.errors import CorruptFileError, InputError, LeakError, SchemaError
from ssliqa_bench.evaluation import EVALUATION_VERSION
from ssliqa_bench.files import set_aside
from ssliqa_bench.runner.keys import Difference, key_differences
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import cell_of
from ssliqa_bench.store.records import checked_facts, iter_facts, record_folder
from ssliqa_bench.store.store import Store

_log = logging.getLogger("ssliqa_bench")


@dataclass(frozen=True)
class Outcome:
    """What a run gives back: its facts, and whether the store held them already."""

    facts: dict[str, Any]
    cached: bool


def run(plan: Plan, settings: Settings) -> Outcome:
    """Answer a run from the store, or compute what is missing and write its record.

    Raises:
        RunError: training or prediction failed.
        LeakError: an image stands in two roles.
        StorageError: the disk is full.
    """
    stored = stored_facts(plan, settings) if settings.use_store else None
    missing = () if stored is None else unanswered(plan, stored)
    if stored is not None and not missing:
        return Outcome(stored, cached=True)
    # From here on torch is needed.
    from ssliqa_bench.runner.compute import add_tests, compute

    with Store(settings.store).in_use():
        if stored is not None:
            return Outcome(add_tests(plan, stored, missing, settings), cached=True)
        return Outcome(compute(plan, settings), cached=False)


def stored_facts(plan: Plan, settings: Settings, *, look_only: bool = False) -> dict[str, Any] | None:
    """Facts of the finished record of a plan; a damaged one is set aside, said, and counts as missing.

    A record that went on without unreadable images answers only who goes on without them. With `look_only`
    a damaged record stays where it is.
    """
    folder = record_folder(settings.store, plan.key)
    try:
        facts = checked_facts(folder)
    except FileNotFoundError:
        return None
    except SchemaError:
        raise  # another version wrote it; it is sound, and not ours to set aside
    except CorruptFileError as error:
        if not look_only:
            _log.warning("%s Set aside as %s; the run is made again.", error, set_aside(folder).name)
        return None
    skipped = any(dataset["skipped"] for dataset in facts["datasets"].values())
    if facts.get("leak") is not None and settings.allow_leak is None:
        raise LeakError(
            f"Record {plan.key[:12]} answers this run, and holds a leak that was allowed because: "
            f'{facts["leak"]["reason"]}. {" ".join(facts["leak"]["found"])} To take it all the same: --allow-leak '
            f'"REASON"; to make the run without what leaks, name another --store.'
        )
    outdated = facts["evaluation_version"] != EVALUATION_VERSION  # predictions are stored, so this costs little
    return None if outdated or (skipped and not settings.skip_bad) else facts


def unanswered(plan: Plan, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Further test datasets of a plan that a record does not hold, or holds as they were before they changed."""
    held = {name: (facts["datasets"][name]["fingerprint"], facts["datasets"][name]["split_hash"])
            for name in facts["metrics"]}
    asked = {name: (plan.fingerprints[name], split_hash(plan.tables[name], plan.roles[name]))
             for name in plan.spec.tests}
    return tuple(name for name, marks in asked.items() if held.get(name) != marks)


def refuse_other_key(plan: Plan, facts: Mapping[str, Any]) -> None:
    """Refuse to add predictions to a record that the same run would not make today.

    Raises:
        InputError: what differs; predictions of one record come from one key.
    """
    if plan.key == facts["key"]:
        return
    changed = ", ".join(str(d) for d in changes(plan, facts)[:6])
    short = facts["key"][:12]
    raise InputError(
        f"Record {short} was made otherwise than the same run would be today; it differs in: {changed}. Make the run "
        f'again, then test that record. "ssliqa-bench store why {short}" shows all.'
    )


def why_again(plan: Plan, settings: Settings) -> tuple[str, list[Difference]] | None:
    """The newest record of the same cell and in what its key differs from the plan's; None without such a record."""
    same = [facts for facts in _readable(settings) if facts["cell"] == cell_of(plan.spec) and facts["key"] != plan.key]
    if not same:
        return None
    newest = max(same, key=lambda facts: (facts["created"], facts["key"]))
    return newest["key"], changes(plan, newest)


def changes(plan: Plan, facts: Mapping[str, Any]) -> list[Difference]:
    """In what the key of a plan differs from that of a record."""
    code = plan.method_code.told(plan.code)
    return key_differences(facts["key_parts"], facts.get("code", {}), plan.key_parts, code)






def _readable(settings: Settings) -> list[dict[str, Any]]:
    try:
        return list(iter_facts(settings.store))
    except CorruptFileError as error:
        _log.warning("%s", error)
        return []
