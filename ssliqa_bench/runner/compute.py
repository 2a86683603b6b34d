"""Computing a run: its sets, its stages, its predictions and metrics, its record. Imports torch."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping, Sequence

from ssliqa_bench.datasets.conversions import conversions
from ssliqa_bench.datasets.leaks import copies_notes, kept_apart_notes
from ssliqa_bench.errors import InputError, SsliqaError
from ssliqa_bench.methods.base import Learner, Predictor
from ssliqa_bench.pixels.cache import Pixels
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.artifact_keys import untrained_key
from ssliqa_bench.runner.devices import prepare_process, reset_peak_memory
from ssliqa_bench.runner.facts import dataset_facts, leak_facts, run_facts
from ssliqa_bench.runner.learner_sets import check_scores, check_sets, make_sets
from ssliqa_bench.runner.learners import describe_model, model_of, ready_learner
from ssliqa_bench.runner.near_duplicates import look_alike_notes
from ssliqa_bench.runner.plan import Plan, make_plan
from ssliqa_bench.runner.plan_cache import Known
from ssliqa_bench.runner.progress import ConsoleReporter
from ssliqa_bench.runner.pseudo_labels import PseudoLabelling
from ssliqa_bench.runner.ranks import Group, LostProcess
from ssliqa_bench.runner.scoring import PredictionSet, Scorer
from ssliqa_bench.runner.sets import Source, check_content, test_set
from ssliqa_bench.runner.settings import Settings, tolerated
from ssliqa_bench.runner.sources import open_sources
from ssliqa_bench.runner.stages import StageResult, StageRunner, discard, final_artifact
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.record import Record, Seconds
from ssliqa_bench.store.records import read_record, write_record, write_result
from ssliqa_bench.store.store import Store


def compute(plan: Plan, settings: Settings, made: Collection[str] = ()) -> Record:
    """Run every stage that is not stored, evaluate, and write the record.

    Args:
        made: keys of stages that were computed for this run just now; they stay in the store.
    """
    prepare_process(plan.device, settings.threads)
    reporter = ConsoleReporter(str(plan.spec), quiet=settings.quiet)
    try:
        return _compute(plan, settings, reporter, made)
    finally:
        reporter.stop()


def compute_stages(plan: Plan, settings: Settings, last: str) -> tuple[str, ...]:
    """Run the stages of a plan up to one, those that are not stored; gives the keys of those that were computed."""
    prepare_process(plan.device, settings.threads)
    reporter = ConsoleReporter(str(plan.spec), quiet=settings.quiet)
    store = Store(settings.store)
    try:
        with store.in_use():
            learner, _, sources, _, _ = _opened(plan, settings)
            sets = make_sets(plan, learner, sources)
            check_sets(plan, learner, sets)
            runner = StageRunner(plan, learner, sets, ArtifactStore(store), reporter, settings.use_store)
            return tuple(stage.key for stage in runner.run(last) if not stage.cached)
    finally:
        reporter.stop()


def follow(group: Group, registry: Registry, settings: Settings) -> int:
    """As another process than 0: train the stages that process 0 orders, until it is done; gives the exit code.

    Nothing is printed or kept. Process 0 reports an error.
    """
    settings = dataclasses.replace(settings, quiet=True)
    known, store = Known(), ArtifactStore(settings.store)
    runner: StageRunner | None = None
    spec = None
    try:
        while (order := group.next_order()) is not None:
            if runner is None or order.spec != spec:
                spec, plan = order.spec, make_plan(order.spec, registry, settings, known)
                learner, _, sources, _, _ = _opened(plan, settings)
                reporter = ConsoleReporter(quiet=True)
                runner = StageRunner(plan, learner, make_sets(plan, learner, sources), store, reporter, True)
            runner.follow(order, group)
    except LostProcess:
        return 1
    except Exception as error:
        told = str(error) if isinstance(error, SsliqaError) else f"{type(error).__name__}: {error}"
        group.give_up(told)
        return error.exit_code if isinstance(error, SsliqaError) else 1
    return 0


def add_tests(plan: Plan, record: Record, datasets: Sequence[str], settings: Settings) -> Record:
    """Evaluate the stored model of a record on further datasets and add the results to it; no training.

    Raises:
        InputError: the final weights were not kept.
        LeakError: a further dataset holds an image that the run learned from.
    """
    prepare_process(plan.device, settings.threads)
    learner, model = ready_learner(plan)
    store = ArtifactStore(settings.store)
    if model is None:
        model = model_of(plan, learner, final_artifact(record, store))
    sources, skipped = open_sources(plan, settings, learner)
    leaks = (*plan.leaks, *tolerated(lambda: check_content(sources), settings))
    tests = {name: test_set(sources[name], references=learner.needs.references is True) for name in datasets}
    scorer = Scorer(plan, learner, store, tests, use_store=True, processes=settings.processes)
    judged = scorer.judge(record.facts.model_key, model)
    results, rows = scorer.results(
        judged, {}, dataset_facts(plan, learner, sources, skipped),
        leak=leak_facts(leaks, settings),
        notes=[*_conversion_notes(sources), *_look_alikes(learner, sources, settings)],
    )  # fmt: skip
    for name in datasets:
        write_result(settings.store, name, results[name], rows[name])
    return read_record(settings.store, record.key)  # other processes may have added some meanwhile


def _opened(
    plan: Plan, settings: Settings
) -> tuple[Learner, Predictor | None, dict[str, Source], dict[str, int], tuple[str, ...]]:
    """The learner, its model if nothing trains it, the datasets with their pixels, how many images were skipped, and
    the leaks that are accepted."""
    learner, model = ready_learner(plan)
    if settings.ranks > 1 and not learner.stages():
        raise InputError(
            f"{plan.spec}: this method trains nothing that {settings.ranks} processes could share. Run it without "
            f"torchrun; --jobs N lets processes share the images of a slow metric."
        )
    check_scores(plan)
    sources, skipped = open_sources(plan, settings, learner)
    return learner, model, sources, skipped, (*plan.leaks, *tolerated(lambda: check_content(sources), settings))


def _compute(plan: Plan, settings: Settings, reporter: ConsoleReporter, made: Collection[str]) -> Record:
    learner, untrained, sources, skipped, leaks = _opened(plan, settings)
    store = ArtifactStore(settings.store)
    sets = make_sets(plan, learner, sources)
    check_sets(plan, learner, sets)
    started = time.perf_counter()
    stages = StageRunner(plan, learner, sets, store, reporter, settings.use_store, made).run()
    reset_peak_memory(plan.device)
    scorer = Scorer(plan, learner, store, sets.tests, use_store=settings.use_store, processes=settings.processes)
    labelling = PseudoLabelling.of(plan, learner, sources, settings.processes)
    judged, predicting = _judged(plan, learner, untrained, stages, scorer, labelling)
    _, final = judged.popitem()
    datasets = dataset_facts(plan, learner, sources, skipped)
    results, rows = scorer.results(final, judged, datasets)
    facts = run_facts(
        plan,
        settings,
        stages,
        datasets,
        tested=sorted(results),
        seconds=Seconds(
            # Stages found in the store cost what they cost when they were trained.
            train=round(sum(s.seconds for s in stages), 3),
            predict=round(predicting, 3),
            total=round(time.perf_counter() - started, 3),
        ),
        n_parameters=final.n_parameters,
        model_key=final.model_key,
        model=describe_model(plan, learner).to_json(),
        pseudo_labels={} if labelling is None else labelling.found,
        leak=leak_facts(leaks, settings),
        notes=[
            *final.notes,
            *([] if labelling is None else labelling.notes),
            *_alignment_notes(plan),
            *kept_apart_notes(plan.spec.pair, plan.tables, plan.roles),
            *copies_notes(plan.tables, plan.roles),
            *_conversion_notes(sources),
            *_look_alikes(learner, sources, settings),
        ],
    )
    record = Record(facts, results)
    with store.lock(plan.key):
        write_record(settings.store, record, rows)
    discard(stages, settings.keep, store, made)
    return record


def _judged(
    plan: Plan,
    learner: Learner,
    untrained: Predictor | None,
    stages: Sequence[StageResult],
    scorer: Scorer,
    labelling: PseudoLabelling | None,
) -> tuple[dict[str, PredictionSet], float]:
    """What the model of each stage says of the test sets, by stage, that of the last one last, and the seconds that
    this took. The model is built once, and one at a time, and says how good its pseudo-labels are too."""
    judged, seconds = {}, 0.0
    for result in [own for own in stages if own.stage.predicts]:
        began = time.perf_counter()
        model = model_of(plan, learner, result.load())
        judged[result.stage.name] = scorer.judge(result.key, model)
        seconds += time.perf_counter() - began
        if labelling is not None:
            labelling.look(result.stage.name, model)
    if not judged:
        began = time.perf_counter()
        model = model_of(plan, learner, None) if untrained is None else untrained
        judged[""] = scorer.judge(untrained_key(plan, learner), model)
        seconds = time.perf_counter() - began
    return judged, seconds


def _alignment_notes(plan: Plan) -> list[str]:
    """A sentence where predictions for images of one dataset are aligned with labels of another."""
    method, pair = plan.method, plan.spec.pair
    aligned = method.about.aligned and method.params.get("align_target", "labeled") == "labeled"
    if not aligned or pair.unlabeled in (None, pair.labeled):
        return []
    return ["assumption not met: the unlabeled images are from another dataset, and alignment takes their levels to be "
            "distributed like those of the labeled ones"]  # fmt: skip


def _conversion_notes(sources: Mapping[str, Source]) -> list[str]:
    """Sentences about used images that decoding changed; features of a frozen network do not keep what it changed."""
    notes = []
    for name, source in sources.items():
        if isinstance(source.pixels, Pixels):
            used = [row for row, role in enumerate(source.roles) if role != "unused"]
            counts = (len({*rows}.intersection(used)) for rows in (source.pixels.blended, source.pixels.converted))
            if found := conversions(*counts):
                notes.append(f"{name}, images used: {found}")
    return notes


def _look_alikes(learner: Learner, sources: Mapping[str, Source], settings: Settings) -> list[str]:
    """Sentences about look-alikes between what was learned from and what is tested; none where nothing is learned."""
    learns = learner.needs.labels or learner.needs.unlabeled
    return look_alike_notes(sources, settings.cache_root) if learns else []
