"""The network of levels taught by labels alone: the comparator of all matching learners.

Source of the comparison: Dang et al. (2024), whose rows are a ViT with and without an algorithm.
"""

from __future__ import annotations

from ssliqa_bench.methods.matching.base import LabelsOnlyLearner
from ssliqa_bench.methods.matching.parts import BatchSizes
from ssliqa_bench.methods.matching.reports import note_missing
from ssliqa_bench.methods.matching.training import Taught, check_sizes, train_on_levels
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact


def run_supervised_levels(context: StageContext) -> Artifact:
    """Train on the labeled images, as many a step as the matching learners take."""
    labeled, p = context.labeled, context.params
    assert labeled is not None  # declared by the stage
    taught = Taught.of(labeled, p)
    note_missing(context, taught.labels)
    size = int(p["batch_size"])
    check_sizes(len(labeled), None, BatchSizes(int(p["levels"]), taught.labels, size, 0))
    return train_on_levels(context, labeled.images, taught, size, int(p["epochs"]), "labeled")


class SupervisedLevels(LabelsOnlyLearner):
    """Levels of quality from labels."""

    run = staticmethod(run_supervised_levels)
