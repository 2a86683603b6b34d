"""Computing a run: its sets, its stages, its predictions and metrics, its record. Imports torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from ssliqa_bench.datasets.leaks import copies_notes, kept_apart_notes
from ssliqa_bench.datasets.splits import transductive_rows
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation import EVALUATION_VERSION
from ssliqa_bench.evaluation.correlations import plcc, rmse, srcc
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.runner.artifact_keys import untrained_key
from ssliqa_bench.runner.devices import prepare_process, reset_peak_memory
from ssliqa_bench.runner.facts import dataset_facts, leak_facts, run_facts
from ssliqa_bench.runner.learners import describe_model, ready_learner
from ssliqa_bench.runner.near_duplicates import look_alike_notes
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.progress import ConsoleReporter
from ssliqa_bench.runner.scoring import Judged, Scorer
from ssliqa_bench.runner.sets import LearnerSets, Source, build_sets, check_content, test_set
from ssliqa_bench.runner.settings import Settings, tolerated
from ssliqa_bench.runner.sources import open_sources
from ssliqa_bench.runner.stages import StageResult, StageRunner
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import DatasetFacts, DatasetResult, Leak, Record, Seconds
from ssliqa_bench.store.records import read_record, write_record, write_result
from ssliqa_bench.types import Artifact


def compute(plan: Plan, settings: Settings) -> Record:
    """Run every stage that is not stored, evaluate, and write the record."""
    prepare_process(plan.device, settings.threads)
    reporter = ConsoleReporter(str(plan.spec), quiet=settings.quiet)
    try:
        return _compute(plan, settings, reporter)
    finally:
        reporter.stop()


def add_tests(plan: Plan, record: Record, datasets: Sequence[str], settings: Settings) -> Record:
    """Evaluate the stored model of a record on further datasets and add the results to it; no training.

    Raises:
        InputError: the final weights were not kept.
        LeakError: a further dataset holds an image that the run learned from.
    """
    prepare_process(plan.device, settings.threads)
    learner = ready_learner(plan)
    store = ArtifactStore(settings.store)
    artifact = final_artifact(record, store)
    sources, skipped = open_sources(plan, settings, learner)
    leaks = (*plan.leaks, *tolerated(lambda: check_content(sources), settings))
    tests = {name: test_set(sources[name], references=learner.needs.references is True) for name in datasets}
    scorer = Scorer(plan, learner, store, tests, use_store=True, processes=settings.processes)
    judged = scorer.judge(record.facts.model_key, artifact)
    results, rows = _results(
        plan, scorer, judged, {}, dataset_facts(plan, sources, skipped),
        leak=leak_facts(leaks, settings), notes=_look_alikes(learner, sources, settings),
    )  # fmt: skip
    for name in datasets:
        write_result(settings.store, name, results[name], rows[name])
    return read_record(settings.store, record.key)  # other processes may have added some meanwhile


def _compute(plan: Plan, settings: Settings, reporter: ConsoleReporter) -> Record:
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
    judged = {s.stage.name: scorer.judge(s.key, s.load()) for s in stages if s.stage.predicts}
    final = judged.popitem()[1] if judged else scorer.judge(untrained_key(plan, learner), None)
    datasets = dataset_facts(plan, sources, skipped)
    predicted = time.perf_counter()
    results, rows = _results(plan, scorer, final, judged, datasets)
    facts = run_facts(
        plan,
        settings,
        stages,
        datasets,
        tested=sorted(results),
        seconds=Seconds(
            # Stages found in the store cost what they cost when they were trained.
            train=round(sum(s.seconds for s in stages), 3),
            predict=round(predicted - trained, 3),
            total=round(time.perf_counter() - started, 3),
        ),
        n_parameters=final.n_parameters,
        model_key=final.model_key,
        model=describe_model(plan, learner).to_json(),
        leak=leak_facts(leaks, settings),
        notes=[
            *final.notes,
            *kept_apart_notes(plan.spec.pair, plan.tables, plan.roles),
            *copies_notes(plan.tables, plan.roles),
            *_look_alikes(learner, sources, settings),
        ],
    )
    record = Record(facts, results)
    with store.lock(plan.key):
        write_record(settings.store, record, rows)
    _discard(stages, settings.keep, store)
    return record


def _results(
    plan: Plan,
    scorer: Scorer,
    final: Judged,
    earlier: Mapping[str, Judged],
    datasets: Mapping[str, DatasetFacts],
    *,
    leak: Leak | None = None,
    notes: Sequence[str] = (),
) -> tuple[dict[str, DatasetResult], dict[str, Predictions]]:
    """The results and the rows of a record by dataset, sorted by name."""
    results, rows = {}, {}
    for name in sorted(final.said):
        rows[name] = scorer.rows(name, final, earlier)
        found = scorer.evaluate(name, rows[name])
        results[name] = DatasetResult(
            run=plan.key,
            dataset=datasets[name],
            prediction_key=final.keys[name],
            evaluation_version=EVALUATION_VERSION,
            inputs=found.inputs,
            metrics=found.metrics,
            stages=found.stages,
            classes=found.classes,
            leak=leak,
            notes=tuple(notes),
        )
    return results, rows


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


def final_artifact(record: Record, store: ArtifactStore) -> Artifact | None:
    """The artifact of a record's final model; None of a method that learns nothing.

    Raises:
        InputError: it was not kept or is damaged.
    """
    if not record.facts.stages:
        return None
    loaded = store.load(record.facts.model_key)
    if loaded is None:
        raise InputError(
            f"Record {record.key[:12]}: its final weights were not kept or are damaged. Run it again "
            f"with --no-cache --keep final."
        )
    return loaded[0]


def _look_alikes(learner: Learner, sources: Mapping[str, Source], settings: Settings) -> list[str]:
    """Sentences about look-alikes between what was learned from and what is tested; none where nothing is learned."""
    learns = learner.needs.labels or learner.needs.unlabeled
    return look_alike_notes(sources, settings.cache_root) if learns else []


def _discard(stages: Sequence[StageResult], keep: str, store: ArtifactStore) -> None:
    """Remove artifacts that this run made and was not asked to keep; those it found belong to others too."""
    doomed = {"phases": [], "final": stages[:-1], "none": stages}[keep]
    for result in doomed:
        if not result.cached:
            store.remove(result.key)
