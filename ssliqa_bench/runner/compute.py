"""Computing a run: its sets, its stages, its predictions and metrics, its record. Imports torch."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.leaks import copies_notes, kept_apart_notes
from ssliqa_bench.datasets.splits import split_hash, transductive_rows
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.correlations import plcc, rmse, srcc
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.runner.artifact_keys import untrained_key
from ssliqa_bench.runner.devices import peak_memory_bytes, prepare_process, reset_peak_memory
from ssliqa_bench.runner.learners import ready_learner
from ssliqa_bench.runner.near_duplicates import look_alike_notes
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.progress import ConsoleReporter
from ssliqa_bench.runner.scoring import Scorer
from ssliqa_bench.runner.sets import LearnerSets, Source, build_sets, check_content, test_set
from ssliqa_bench.runner.settings import Settings, tolerated
from ssliqa_bench.runner.sources import open_sources
from ssliqa_bench.runner.stages import StageResult, StageRunner
from ssliqa_bench.specs import cell_of
from ssliqa_bench.store import provenance
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.records import (
    checked_facts,
    join_predictions,
    read_predictions,
    record_folder,
    write_record,
)
from ssliqa_bench.types import Artifact

_log = logging.getLogger("ssliqa_bench")


def compute(plan: Plan, settings: Settings) -> dict[str, Any]:
    """Run every stage that is not stored, evaluate, and write the record.

    Returns:
        The facts of the record.
    """
    prepare_process(plan.device, settings.threads)
    reporter = ConsoleReporter(str(plan.spec), quiet=settings.quiet)
    try:
        return _compute(plan, settings, reporter)
    finally:
        reporter.stop()


def add_tests(plan: Plan, facts: Mapping[str, Any], datasets: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Evaluate the stored model of a record on further datasets and write them into the record; no training.

    Raises:
        InputError: the final weights were not kept.
        LeakError: a further dataset holds an image that the run learned from.
    """
    prepare_process(plan.device, settings.threads)
    learner = ready_learner(plan)
    store = ArtifactStore(settings.store)
    artifact = final_artifact(facts, store)
    sources, skipped = open_sources(plan, settings, learner)
    leaks = (*plan.leaks, *tolerated(lambda: check_content(sources), settings))
    tests = {name: test_set(sources[name], references=learner.needs.references is True) for name in datasets}
    scorer = Scorer(plan, learner, store, tests, use_store=True, processes=settings.processes)
    scored = scorer.score(facts["keys"]["model"], artifact)
    folder = record_folder(settings.store, str(facts["key"]))
    with store.lock(folder.name):
        facts = checked_facts(folder)  # another process may have added further ones meanwhile
        held = read_predictions(folder)
        kept = [held.of(name) for name in facts["metrics"] if name not in datasets]
        updated = {
            **facts,
            "metrics": {**facts["metrics"], **scored.metrics},
            **({"classes": {**facts.get("classes", {}), **scored.classes}} if scored.classes else {}),
            "datasets": {**facts["datasets"], **_dataset_facts(plan, sources, skipped, datasets)},
            "evaluation_inputs": {**facts["evaluation_inputs"], **scored.checksums},
            "keys": {**facts["keys"], "predictions": {**facts["keys"]["predictions"], **scored.keys}},
            "leak": _leak(leaks, settings) or facts.get("leak"),
            "notes": list(dict.fromkeys([*facts["notes"], *_look_alikes(learner, sources, settings)])),
        }
        write_record(settings.store, updated, join_predictions([*kept, *scored.predictions]))
    return updated












def _compute(plan: Plan, settings: Settings, reporter: ConsoleReporter) -> dict[str, Any]:
    learner = ready_learner(plan)
    store = ArtifactStore(settings.store)
    _check_scores(plan)
    sources, skipped = open_sources(plan, settings, learner)
    leaks = (*plan.leaks, *tolerated(lambda: check_content(sources), settings))
    sets = make_sets(plan, learner, sources)
    _check_sets(plan, learner, sets)
    started = time.perf_counter()
    stages = StageRunner(plan, learner, sets, store, reporter, settings.use_store).run()
    trained = time.perf_counter()
    reset_peak_memory(plan.device)
    scorer = Scorer(plan, learner, store, sets.tests, use_store=settings.use_store, processes=settings.processes)
    models = [s for s in stages if s.stage.predicts]
    scores = [scorer.score(s.key, s.load()) for s in models]
    final = scores[-1] if scores else scorer.score(untrained_key(plan, learner), None)
    predicting = time.perf_counter() - trained
    facts = {
        "key": plan.key,
        "created": provenance.now(),
        "cell": cell_of(plan.spec),
        "method": _method_facts(plan),
        "datasets": _dataset_facts(plan, sources, skipped, list(plan.tables)),
        "protocol": _protocol_facts(plan),
        "metrics": final.metrics,
        **({"classes": final.classes} if final.classes else {}),
        "stages": [{**s.summary(), "metrics": score.metrics} for s, score in zip(models, scores, strict=True)],
        "seconds": {
            # Stages found in the store cost what they cost when they were trained.
            "train": round(sum(s.seconds for s in stages), 3),
            "predict": round(predicting, 3),
            "total": round(time.perf_counter() - started, 3),
        },
        "steps": sum(s.steps for s in stages),
        "model_steps": sum(s.steps for s in models),
        "n_parameters": final.n_parameters,
        "peak_memory_bytes": _peak_memory(plan, stages),
        "device": plan.device,
        "threads": settings.threads,
        "precision": plan.precision,
        "evaluation_version": scorer.evaluation_version,
        "evaluation_inputs": final.checksums,
        "keys": {"model": final.model_key, "predictions": final.keys},
        "key_parts": plan.key_parts,
        "code": plan.method_code.told(plan.code),
        "versions": {
            "ssliqa-bench": provenance.own_version(),
            "python": provenance.python_version(),
            **plan.key_parts["versions"],
        },
        "git": provenance.git_state(),
        "leak": _leak(leaks, settings),
        "notes": [
            *_notes(stages),
            *final.notes,
            *kept_apart_notes(plan.spec.pair, plan.tables, plan.roles),
            *copies_notes(plan.tables, plan.roles),
            *_look_alikes(learner, sources, settings),
        ],
    }
    with store.lock(plan.key):
        write_record(settings.store, facts, join_predictions(final.predictions))
    _discard(stages, settings.keep, store)
    return facts


def make_sets(plan: Plan, learner: Learner, sources: Mapping[str, Source]) -> LearnerSets:
    """What a learner may see of a plan's datasets; every image and group in one role only."""
    pair = plan.spec.pair
    return build_sets(
        sources,
        labels_for_unlabeled=plan.method.unlabeled_role == "labeled",
        distribution=bool(learner.needs.distribution),
        rating_std=bool(learner.needs.rating_std),
        measures={"srcc": srcc, "plcc": plcc, "rmse": rmse},
        test_references=learner.needs.references is True,
        transductive=transductive_rows(pair, plan.tables, plan.roles, plan.protocol, plan.spec.seed),
    )


def _check_scores(plan: Plan) -> None:
    """An oracle is handed the unlabeled side with its scores, so that side must have some."""
    if plan.method.unlabeled_role != "labeled":
        return
    for name, roles in plan.roles.items():
        rows = [row for row, role in enumerate(roles) if role == "unlabeled"]
        missing = sum(not np.isfinite(plan.tables[name].score[row]) for row in rows)
        if missing:
            raise InputError(
                f'Method "{plan.method.name}" needs the scores of both sides; {name} has none for {missing} of its '
                f"{len(rows)} unlabeled images."
            )


def _check_sets(plan: Plan, learner: Learner, sets: LearnerSets) -> None:
    if learner.needs.labels and sets.labeled is None:
        raise InputError(
            f"{plan.spec}: no image keeps its score; dataset {plan.spec.pair.labeled} has none, or the budget is 0."
        )
    if learner.needs.unlabeled and sets.counts["unlabeled"] == 0:
        raise InputError(plan.why_none_unlabeled())
    if not sets.tests:
        raise InputError(f"{plan.spec}: no dataset of the run has a test part.")
    for name, wanted, told in (
        ("distribution", learner.needs.distribution,
         '"ssliqa-bench data check DATASET" has a line "ratings" where a dataset has ratings per level.'),
        ("rating_std", learner.needs.rating_std,
         '"ssliqa-bench show DATASET" says "rating statistics true" where a dataset has it.'),
    ):  # fmt: skip
        if wanted is True and sets.labeled is not None and getattr(sets.labeled, name) is None:
            raise InputError(
                f'Method "{plan.method.name}" needs the column {name}, which {plan.spec.pair.labeled} '
                f"does not have. {told}"
            )


def final_artifact(facts: Mapping[str, Any], store: ArtifactStore) -> Artifact | None:
    if not facts["stages"]:
        return None
    loaded = store.load(facts["keys"]["model"])
    if loaded is None:
        raise InputError(
            f"Record {facts['key'][:12]}: its final weights were not kept or are damaged. Run it again "
            f"with --no-cache --keep final."
        )
    return loaded[0]


def _method_facts(plan: Plan) -> dict[str, Any]:
    method = plan.method
    return {
        "title": method.about.title,
        "family": method.about.family,
        "like": method.like,
        "unlabeled_role": method.unlabeled_role,
        "chain": list(method.chain),
        "trained_on": method.about.trained_on,
    }


def _protocol_facts(plan: Plan) -> dict[str, Any]:
    facts = plan.protocol.model_dump(mode="json", exclude={"about"})
    if facts["split"]["file"] is not None:  # where it lies is this machine's business; split_hash says what it holds
        facts["split"]["file"] = Path(facts["split"]["file"]).name
    if facts["classes"] is None:  # said only by protocols that see classes
        del facts["classes"]
    if facts["extra_unlabeled"] is None:  # records of protocols without any say nothing of it
        del facts["extra_unlabeled"]
    elif facts["extra_unlabeled"]["names"] is not None:
        facts["extra_unlabeled"]["names"] = Path(facts["extra_unlabeled"]["names"]).name
    return facts


def _dataset_facts(
    plan: Plan, sources: Mapping[str, Source], skipped: Mapping[str, int], names: Sequence[str]
) -> dict[str, Any]:
    facts = {}
    for name in names:
        roles = list(sources[name].roles)
        facts[name] = {
            "kind": plan.entries[name].kind,
            "side": plan.spec.pair.side(name),
            "fingerprint": plan.fingerprints[name],
            "split_hash": split_hash(plan.tables[name], plan.roles[name]),
            "labels_redistributable": plan.entries[name].labels_redistributable,
            "roles": {role: roles.count(role) for role in sorted(set(roles))},
            "skipped": skipped[name],
        }
    return facts


def _peak_memory(plan: Plan, stages: Sequence[StageResult]) -> int | None:
    """Largest memory of all stages, when they were computed, and of predicting; None where one did not say."""
    peaks = [result.facts.get("peak_memory_bytes") for result in stages]
    return None if None in peaks else max([*peaks, peak_memory_bytes(plan.device)])


def _look_alikes(learner: Learner, sources: Mapping[str, Source], settings: Settings) -> list[str]:
    """Sentences about look-alikes between what was learned from and what is tested; none where nothing is learned."""
    learns = learner.needs.labels or learner.needs.unlabeled
    return look_alike_notes(sources, settings.cache_root) if learns else []


def _leak(leaks: Sequence[str], settings: Settings) -> dict[str, Any] | None:
    """What was put up with, and why; None where there was nothing."""
    return {"reason": settings.allow_leak, "found": list(leaks)} if leaks else None


def _notes(stages: Sequence[StageResult]) -> list[str]:
    """What the stages noted, each sentence once with the stages that say it."""
    said: dict[str, list[str]] = {}
    for result in stages:
        for text in result.notes:
            said.setdefault(text, []).append(result.stage.name)
    return [f"{', '.join(names)}: {text}" for text, names in said.items()]


def _discard(stages: Sequence[StageResult], keep: str, store: ArtifactStore) -> None:
    """Remove artifacts that this run made and was not asked to keep; those it found belong to others too."""
    doomed = {"phases": [], "final": stages[:-1], "none": stages}[keep]
    for result in doomed:
        if not result.cached:
            store.remove(result.key)
