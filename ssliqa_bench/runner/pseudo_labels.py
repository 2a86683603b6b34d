"""How good pseudo-labels are: what the model of each stage says of the unlabeled images, whose scores the runner has.

A learner never sees these scores. The figures are made when its stages are finished, and only the record has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ssliqa_bench.evaluation.constants import MINIMUM_PART
from ssliqa_bench.evaluation.correlations import mae, srcc
from ssliqa_bench.methods.base import Learner, Predictor
from ssliqa_bench.models.predict import NotFiniteError, predict_set
from ssliqa_bench.models.spread import crops_of, of_features
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.sets import Source
from ssliqa_bench.store.record import PseudoLabels
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import FloatArray

QUARTERS = 4


@dataclass
class PseudoLabelling:
    """What the models of a run, one after the other, say of its unlabeled images, whose scores are known.

    Scores and predictions are on the learner's scale; in A:B a bias is also one between two scales.

    Attributes:
        found: quality of the pseudo-labels by stage.
        notes: on stages without.
    """

    images: ImageSet
    scores: FloatArray
    crops: int
    processes: int = 1
    found: dict[str, PseudoLabels] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, plan: Plan, learner: Learner, sources: Mapping[str, Source], processes: int = 1
    ) -> PseudoLabelling | None:
        """None where nothing is learned from unlabeled images, where these come with their scores (an oracle), or where
        the dataset has too few scores."""
        if not learner.needs.unlabeled or plan.method.unlabeled_role == "labeled":
            return None
        name = plan.spec.pair.unlabeled
        if name is None or learner.needs.references is True:
            return None
        source = sources[name]
        rows = [row for row in source.rows("unlabeled") if np.isfinite(source.table.score[row])]
        if len(rows) < MINIMUM_PART:
            return None
        crops = 1 if plan.features is None else crops_of(plan.params)
        return cls(ImageSet((source.pixels, row) for row in rows), source.table.score01[rows], crops, processes)

    def look(self, stage: str, model: Predictor) -> None:
        """Find out how good the pseudo-labels are that the model of a stage gives."""
        try:
            predicted = predict_set(model, self.images, self.processes).quality
        except NotFiniteError as error:
            count = f"{len(error.images)} unlabeled images"
            self.notes.append(f"{stage}: no quality of pseudo-labels; predictions for {count} are not finite")
            return
        spread = of_features(model, self.crops)(self.images).std(axis=1) if self.crops > 1 else None
        self.found[stage] = pseudo_labels(predicted, self.scores, spread)


def pseudo_labels(predicted: FloatArray, scores: FloatArray, spread: FloatArray | None = None) -> PseudoLabels:
    """The figures of some pseudo-labels, shape (n,), against the scores.

    Args:
        spread: how far apart the values of an image's crops are; the mean absolute error is also given by quarters of
            the images, from those on which the crops agree most to those on which they agree least.
    """
    by_spread = None
    if spread is not None:
        order = np.argsort(spread, kind="stable")
        by_spread = tuple(mae(predicted[own], scores[own]) for own in np.array_split(order, QUARTERS))
    return PseudoLabels(
        n=len(scores),
        srcc=srcc(predicted, scores),
        bias=float(np.mean(predicted - scores)),
        mae=mae(predicted, scores),
        mae_by_spread=by_spread,
    )
