"""Which photographs to score next: those that models disagree about, in corners that nobody has scored yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ssliqa_bench.errors import InputError
from ssliqa_bench.photos.fold_fits import Candidate, Photographs, fit, predicted, predictor
from ssliqa_bench.photos.folds import FOLDS, folds
from ssliqa_bench.training.images import FeatureSource, PixelSource
from ssliqa_bench.types import FloatArray, derive_seed

_FLOOR = 0.1  # of the mean deviation of a feature: one that is silent on the scored photographs must not decide alone


@dataclass(frozen=True)
class Suggestion:
    """A photograph that is worth a score.

    Attributes:
        row: of the photographs without a score.
        prediction: mean of the models, on [0, 1].
        disagreement: standard deviation between the models, on the same scale.
        distance: to the nearest photograph that is scored or was picked before, in standardised features, per feature.
    """

    row: int
    prediction: float
    disagreement: float
    distance: float


def next_labels(
    candidate: Candidate, photos: Photographs, count: int, seed: int = 0, *, device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Suggestion]:  # fmt: skip
    """The photographs to score next, the most wanted first.

    Ten models, each trained on four fifths of the labels, predict the photographs without a score. One after the other,
    the photograph is picked whose ranks of disagreement and of distance to what is scored or picked sum highest.

    Raises:
        InputError: fewer photographs than asked for, a learner from pixels, or one from unlabeled images.
    """
    source = photos.unlabeled
    if source is None or not isinstance(source, FeatureSource) or candidate.learns_from_unlabeled:
        raise InputError("next-labels needs --unlabeled and a learner from labels on frozen features.")
    total = len(source.hashes)
    if not 1 <= count <= total:
        raise InputError(f"--n: got {count}; expected 1 to {total}, the number of photographs without a score.")
    splits = list(folds(photos.groups, 2, derive_seed(seed, "committee")))
    said = np.empty((len(splits), total))
    for number, (_, training, _) in enumerate(splits):
        model = predictor(candidate, fit(candidate, photos, training, derive_seed(seed, number), device), device)
        said[number] = predicted(model, source, range(total))
        progress(number + 1, 2 * FOLDS)
    disagreement = said.std(axis=0, ddof=1)
    known, asked = _standardised(photos.labeled, len(photos)), _standardised(source, total)
    middle, spread = known.mean(axis=0), known.std(axis=0)
    width = np.maximum(spread, _FLOOR * spread.mean())
    known, asked = (known - middle) / width, (asked - middle) / width
    nearest = np.min([_distances(asked, one) for one in known], axis=0)
    ranks, left = rankdata(disagreement), np.ones(total, dtype=bool)
    found = []
    for _ in range(count):
        worth = np.where(left, ranks + rankdata(nearest), -np.inf)
        row = int(worth.argmax())
        found.append(Suggestion(row, float(said[:, row].mean()), float(disagreement[row]), float(nearest[row])))
        left[row] = False
        nearest = np.minimum(nearest, _distances(asked, asked[row]))
    return found


def _standardised(source: PixelSource, count: int) -> FloatArray:
    """Features (n, d) of whole images, their skew evened out."""
    assert isinstance(source, FeatureSource)
    values = np.stack([source.views(row, "whole")[0] for row in range(count)]).astype(np.float64)
    evened: FloatArray = np.sign(values) * np.sqrt(np.abs(values))
    return evened


def _distances(rows: FloatArray, one: FloatArray) -> FloatArray:
    found: FloatArray = np.sqrt(np.mean(np.square(rows - one), axis=1))
    return found
