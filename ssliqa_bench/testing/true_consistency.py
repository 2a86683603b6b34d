"""What would SSLIQA reach if its teacher knew the true distributions?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.record import Metrics
from ssliqa_bench.types import FloatArray


def metrics_with_true_consistency(plan: Plan, settings: Settings) -> dict[str, Metrics]:
    """What SSLIQA would reach if the sample-level loss drew the student to the true distributions of all images in
    place of the teacher's; everything else stays.

    No record is written. A test's question about the learner, not a method: it looks behind the firewall.

    Returns:
        Metrics by dataset, as in a record.
    """
    from ssliqa_bench.methods.ssliqa.ssliqa import SSLIQA
    from ssliqa_bench.runner.devices import prepare_process
    from ssliqa_bench.runner.learner_sets import make_sets
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.progress import ConsoleReporter
    from ssliqa_bench.runner.scoring import Scorer
    from ssliqa_bench.runner.sources import open_sources
    from ssliqa_bench.runner.stages import StageRunner

    prepare_process(plan.device, settings.threads)
    sources, _ = open_sources(plan, settings, make_learner(plan))
    learner = SSLIQA(plan.params)
    stages = [replace(stage, run=_run_told, settings={"told": "true"}) for stage in learner.stages()]
    learner.stages = lambda: stages  # type: ignore[method-assign]
    _TOLD["true"] = _true_distributions(plan, sources)
    store = ArtifactStore(settings.store)
    reporter = ConsoleReporter(f"{plan.spec} (true distributions)", quiet=settings.quiet)
    sets = make_sets(plan, learner, sources)
    done = StageRunner(plan, learner, sets, store, reporter, use_store=True).run()
    return Scorer(plan, learner, store, sets.tests, use_store=True).metrics(done[-1].key, done[-1].load())


_TOLD: dict[str, FloatArray] = {}


def _true_distributions(plan: Plan, sources: Any) -> FloatArray:
    """Of the unlabeled images, in the order of content, like the unlabeled set."""
    from ssliqa_bench.methods.ssliqa.distributions import target_distributions
    from ssliqa_bench.training.images import ImageSet, LabeledSet

    tables = [
        (source.pixels.hashes[row], source.table, row)
        for source in sources.values()
        for row in source.rows("unlabeled")
    ]
    tables.sort(key=lambda item: item[0])

    def column(name: str) -> FloatArray | None:
        values = [getattr(table, name) for _, table, _ in tables]
        if any(value is None for value in values):
            return None
        return np.array([value[row] for value, (_, _, row) in zip(values, tables, strict=True)], dtype=np.float64)

    scores = column("score01")
    assert scores is not None  # every table holds the column, with NaN where a score is unknown
    told = LabeledSet(ImageSet([]), scores, column("distribution"), column("rating_std01"))
    return target_distributions(told, plan.params["levels"], plan.params["rating_std"])


def _run_told(context: Any) -> Any:
    import torch

    from ssliqa_bench.methods.ssliqa.ssliqa import run_pair

    told = torch.from_numpy(_TOLD[str(context.settings["told"])]).float()
    return run_pair(context, lambda shares, batch: torch.cat((batch.target, told[batch.unlabeled].to(shares.device))))
