"""What would a learner reach if its pseudo-labels were better, or worthless?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ssliqa_bench.runner.plan import Plan, Settings
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.types import FloatArray, derive_seed


def metrics_with_pseudo_labels(plan: Plan, settings: Settings, labels: str) -> dict[str, dict[str, Any]]:
    """What SS-IQA would reach with other pseudo-labels: "true" scores of the unlabeled images, or "shuffled" ones.

    Θ_0 is shared with the ordinary run through the store; no record is written. A test's question about the
    learner, not a method: it looks behind the firewall.

    Returns:
        Metrics by dataset, as in a record.
    """
    from ssliqa_bench.runner.compute import make_learner, make_sets, open_sources
    from ssliqa_bench.runner.devices import prepare_process
    from ssliqa_bench.runner.progress import ConsoleReporter
    from ssliqa_bench.runner.scoring import Scorer
    from ssliqa_bench.runner.stages import StageRunner

    prepare_process(plan.device, settings.threads)
    sources, _ = open_sources(plan, settings, make_learner(plan))
    rows = [
        (s.pixels.hashes[row], float(s.table.score01[row])) for s in sources.values() for row in s.rows("unlabeled")
    ]
    scores = [score for _, score in sorted(rows)]  # in the order of content, as the unlabeled set stands
    if labels == "shuffled":
        rng = np.random.Generator(np.random.Philox(key=derive_seed("shuffled pseudo-labels", plan.spec.seed)))
        scores = list(rng.permutation(scores))
    learner = _told_learner(plan, labels, np.array(scores))
    sets = make_sets(plan, learner, sources)
    store = ArtifactStore(settings.store)
    reporter = ConsoleReporter(f"{plan.spec} ({labels} pseudo-labels)", quiet=settings.quiet)
    stages = StageRunner(plan, learner, sets, store, reporter, use_store=True).run()
    return Scorer(plan, learner, store, sets.tests, use_store=True).score(stages[-1].key, stages[-1].load()).metrics


_TOLD: dict[str, FloatArray] = {}


def _told_learner(plan: Plan, labels: str, scores: FloatArray) -> Any:
    from ssliqa_bench.methods.ssiqa import SSIQA

    _TOLD[labels] = scores
    learner = SSIQA(plan.params)
    stages = [
        stage
        if stage.name == "initial"
        else replace(stage, run=_run_told_phase, settings={**stage.settings, "told": labels})
        for stage in learner.stages()
    ]
    learner.stages = lambda: stages  # type: ignore[method-assign]
    return learner


def _run_told_phase(context: Any) -> Any:
    from ssliqa_bench.methods.ssiqa import run_phase

    return run_phase(context, lambda stage, block, view: _TOLD[str(stage.settings["told"])][block])
