"""How good pseudo-labels are: what the model of each stage says of the unlabeled images, whose scores the runner has.

A learner never sees these scores. The figures are made when its stages are finished, and stand in the record alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ssliqa_bench.evaluation.constants import MINIMUM_PART
from ssliqa_bench.evaluation.correlations import mae, srcc
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.models.predict import NotFiniteError, predict_set
from ssliqa_bench.models.spread import crops_of, of_features
from ssliqa_bench.runner.learners import model_of
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.sets import Source
from ssliqa_bench.runner.stages import StageResult
from ssliqa_bench.store.record import PseudoLabels
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import FloatArray

QUARTERS = 4


def pseudo_label_facts(
    plan: Plan, learner: Learner, sources: Mapping[str, Source], stages: Sequence[StageResult], processes: int = 1
) -> tuple[dict[str, PseudoLabels], list[str]]:
    """Quality of the pseudo-labels of each stage that leaves a model, by stage, and notes on stages without.

    Empty where nothing is learned from unlabeled images, where these come with their scores (an oracle), or where the
    dataset has none. Scores and predictions are on the learner's scale; in A:B a bias is also one between two scales.
    """
    models = [result for result in stages if result.stage.predicts]
    if not (learner.needs.unlabeled and models) or plan.method.unlabeled_role == "labeled":
        return {}, []
    name = plan.spec.pair.unlabeled
    source = None if name is None else sources[name]
    rows = [] if source is None else [row for row in source.rows("unlabeled") if np.isfinite(source.table.score[row])]
    if source is None or len(rows) < MINIMUM_PART or learner.needs.references is True:
        return {}, []
    images = ImageSet((source.pixels, row) for row in rows)
    scores = source.table.score01[rows]
    found, notes = {}, []
    crops = crops_of(plan.params)
    for result in models:
        model, spread = model_of(plan, learner, result.load()), None
        try:
            predicted = predict_set(model, images, processes).quality
        except NotFiniteError as error:
            count = f"{len(error.images)} unlabeled images"
            notes.append(f"{result.stage.name}: no quality of pseudo-labels; predictions for {count} are not finite")
            continue
        if plan.features is not None and crops > 1:
            spread = of_features(model, crops)(images).std(axis=1)
        found[result.stage.name] = pseudo_labels(predicted, scores, spread)
    return found, notes


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
