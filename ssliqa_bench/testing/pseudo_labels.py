"""What would a learner reach if its pseudo-labels were better, or worthless?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import digest
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.record import Metrics
from ssliqa_bench.types import Artifact, FloatArray, derive_seed

if TYPE_CHECKING:
    from ssliqa_bench.training.stages import Stage, StageContext


def metrics_with_pseudo_labels(plan: Plan, settings: Settings, labels: str) -> dict[str, Metrics]:
    """What a learner with pseudo-labels would reach with others: "true" scores of the unlabeled images, or "shuffled"
    ones; of several rounds these are the first one's.

    Stages that do not depend on pseudo-labels are shared with the ordinary run through the store; no record is
    written. A test's question about the learner, not a method: it looks behind the firewall.

    Returns:
        Metrics by dataset, as in a record.

    Raises:
        InputError: the learner makes no pseudo-labels that could be replaced.
    """
    from ssliqa_bench.runner.devices import prepare_process
    from ssliqa_bench.runner.learner_sets import make_sets
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.progress import ConsoleReporter
    from ssliqa_bench.runner.scoring import Scorer
    from ssliqa_bench.runner.sources import open_sources
    from ssliqa_bench.runner.stages import StageRunner

    prepare_process(plan.device, settings.threads)
    learner = make_learner(plan)
    own = learner.stages()
    if not any("told" in stage.settings for stage in _told_stages(own, labels)):
        raise InputError(f'Method "{plan.method.name}" makes no pseudo-labels that others could be put in place of.')
    sources, _ = open_sources(plan, settings, learner)
    rows = [
        (s.pixels.hashes[row], float(s.table.score01[row])) for s in sources.values() for row in s.rows("unlabeled")
    ]
    scores = [score for _, score in sorted(rows)]  # in the order of content, like the unlabeled set
    if labels == "shuffled":
        rng = np.random.Generator(np.random.Philox(key=derive_seed("shuffled pseudo-labels", plan.spec.seed)))
        scores = list(rng.permutation(scores))
    told = f"{labels} {digest([float(score) for score in scores])[:16]}"  # the settings of a stage are part of its key
    _TOLD[told] = np.array(scores)
    stages = _told_stages(own, told)
    learner.stages = lambda: stages  # type: ignore[method-assign]
    sets = make_sets(plan, learner, sources)
    store = ArtifactStore(settings.store)
    reporter = ConsoleReporter(f"{plan.spec} ({labels} pseudo-labels)", quiet=settings.quiet)
    done = StageRunner(plan, learner, sets, store, reporter, use_store=True).run()
    return Scorer(plan, learner, store, sets.tests, use_store=True).metrics(done[-1].key, done[-1].load())


_TOLD: dict[str, FloatArray] = {}


def _told_stages(stages: Sequence[Stage], labels: str) -> list[Stage]:
    """The stages, with other pseudo-labels for those that make them, and without teachers that are no longer used."""
    from ssliqa_bench.methods.noisy_student.pseudo_labels import run_pseudo_labels
    from ssliqa_bench.methods.ssiqa.ssiqa import run_phase

    told: list[Stage] = []
    for stage in stages:
        settings = {**stage.settings, "told": labels}
        if stage.run is run_phase:
            told.append(replace(stage, run=_run_told_phase, settings=settings))
        elif stage.run is run_pseudo_labels:
            told.append(
                replace(stage, run=_leave_told, settings=settings, sets=("unlabeled",), inputs=(), params=())
            )
        else:
            told.append(stage)
    asked = {name for stage in told for name in stage.inputs}
    return [stage for stage in told if stage.predicts or stage.name in asked]


def _run_told_phase(context: StageContext) -> Artifact:
    from ssliqa_bench.methods.ssiqa.ssiqa import run_phase

    return run_phase(context, lambda stage, block, view: _TOLD[str(stage.settings["told"])][block])


def _leave_told(context: StageContext) -> Artifact:
    from ssliqa_bench.methods.noisy_student.training import PSEUDO_LABELS

    return Artifact({PSEUDO_LABELS: _TOLD[str(context.settings["told"])]})
