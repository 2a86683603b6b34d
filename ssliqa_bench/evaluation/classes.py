"""Metrics of classes of quality, numbered from 0, the worst.

Dang et al. (2024) print mean absolute errors over all test images and over those of class 3, of class 4, and of
either. None where a column holds anything but classes, or no image is of the class asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.types import FloatArray, IntArray, Scale


@dataclass(frozen=True)
class ClassInputs:
    """What metrics of classes are computed from, beside predictions and scores.

    Attributes:
        true: class (n,) of each image, -1 where it is not known; such images do not count.
        predicted: class (n,) that the model predicts; None of a model that predicts none.
        levels: how many classes there are.
        rule: how the true ones follow: `modal`, the most frequent rating, or `equal_width`, parts of the scale.
        scale: native scores, higher is better, at the two ends of the scale.
    """

    true: IntArray
    predicted: IntArray | None
    levels: int
    rule: Literal["modal", "equal_width"]
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        for name, lowest, values in (("true", -1, self.true), ("predicted", 0, self.predicted)):
            if values is None:
                continue
            if values.shape != self.true.shape:
                raise InputError(f"{name} classes: got shape {values.shape}; expected {self.true.shape}.")
            if ((values < lowest) | (values >= self.levels)).any():
                raise InputError(f"{name} classes: got {values.min()} to {values.max()}; expected {lowest} to "
                                 f"{self.levels - 1}.")

    @cached_property
    def known(self) -> IntArray:
        """Rows of the images whose true class is known."""
        return np.flatnonzero(self.true >= 0)

    @property
    def width(self) -> float:
        """Native units from one class to the next."""
        low, high = self.scale
        return (high - low) / (self.levels if self.rule == "equal_width" else self.levels - 1)

    def pairs(self) -> tuple[IntArray, IntArray] | None:
        """Predicted and true class of every image that has both; None without any."""
        if self.predicted is None or not len(self.known):
            return None
        return self.predicted[self.known], self.true[self.known]

    def expected(self, quality: FloatArray) -> FloatArray:
        """Predictions on the learner's scale, 0 to 1, as places on the scale of classes: for a model that learned
        classes by the same rule, its expected class, between 0 and the last one."""
        return self.levels * quality - 0.5 if self.rule == "equal_width" else (self.levels - 1) * quality

    def place(self, scores: FloatArray) -> FloatArray:
        """Native scores as places on the scale of classes, at whose whole numbers the classes are centred."""
        return self.expected(np.clip(Scale(*self.scale).to01(scores), 0.0, 1.0))


def class_facts(inputs: ClassInputs) -> dict[str, Any]:
    """What there is to say class by class, ready for JSON.

    Returns:
        levels, rule, scale; `images`, how many are of each true class, and `unknown`, of none; `predicted`, of each
        predicted one; `confusion`, by true class (row) and predicted class (column); `error`, the mean absolute
        difference of predicted and true class by true class, None for one without images. The last three are None
        where no class is predicted.
    """
    pairs = inputs.pairs()
    table = None if pairs is None else confusion(*pairs, inputs.levels)
    known = inputs.true[inputs.known]
    return {
        "levels": inputs.levels,
        "rule": inputs.rule,
        "scale": [float(end) for end in inputs.scale],
        "images": np.bincount(known, minlength=inputs.levels).tolist(),
        "unknown": len(inputs.true) - len(known),
        "predicted": None if table is None else table.sum(axis=0).tolist(),
        "confusion": None if table is None else table.tolist(),
        "error": None if pairs is None else [mae_of(k)(*pairs) for k in range(inputs.levels)],
    }


def accuracy(predicted: Any, true: Any) -> float | None:
    """Share of images whose class is predicted."""
    if (classes := _classes(predicted, true)) is None:
        return None
    return float(np.mean(classes[0] == classes[1]))


def mae_argmax(predicted: Any, true: Any) -> float | None:
    """Mean absolute difference of predicted and true class."""
    if (classes := _classes(predicted, true)) is None:
        return None
    return float(np.mean(np.abs(classes[0] - classes[1])))


def mae_of(*wanted: int) -> Callable[[Any, Any], float | None]:
    """`mae_argmax` over the images whose true class is one of those wanted."""

    def compute(predicted: Any, true: Any) -> float | None:
        if (classes := _classes(predicted, true)) is None:
            return None
        chosen = np.isin(classes[1], wanted)
        return float(np.mean(np.abs(classes[0] - classes[1])[chosen])) if chosen.any() else None

    return compute


def mae_macro(predicted: Any, true: Any) -> float | None:
    """Mean over the true classes of the mean absolute difference in each."""
    if (classes := _classes(predicted, true)) is None:
        return None
    gap = np.abs(classes[0] - classes[1])
    return float(np.mean([gap[classes[1] == own].mean() for own in np.unique(classes[1])]))


def kappa_quadratic(predicted: Any, true: Any) -> float | None:
    """Cohen's kappa with squared distances as weights; None where all images share one class on both sides.

    Source: Cohen, "Weighted kappa", Psychological Bulletin 70, 1968.
    """
    if (classes := _classes(predicted, true)) is None:
        return None
    ours, theirs = classes
    images = len(ours)
    observed = float(np.mean((ours - theirs) ** 2))
    # The squared distances of all images × images pairs, summed by their moments; whole numbers, so exactly.
    squares, sums = int((ours**2).sum() + (theirs**2).sum()), int(ours.sum()) * int(theirs.sum())
    spread = (images * squares - 2 * sums) / images**2
    return 1 - observed / spread if spread else None


def confusion(predicted: Any, true: Any, classes: int) -> IntArray:
    """Counts (classes, classes) of images by true class (row) and predicted class (column)."""
    found = _classes(predicted, true)
    if found is None:
        raise ValueError("both columns must hold classes")
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (found[1], found[0]), 1)
    return counts


def most_frequent(images: list[int]) -> tuple[int, float, float]:
    """Of counts of images per class: the most frequent class, the lowest at a tie, and the accuracy and mean absolute
    difference of who always predicts it."""
    counts = np.asarray(images, dtype=np.float64)
    top = int(counts.argmax())
    return top, float(counts[top] / counts.sum()), float(counts @ np.abs(np.arange(len(counts)) - top) / counts.sum())


def _classes(predicted: Any, true: Any) -> tuple[IntArray, IntArray] | None:
    ours, theirs = paired(predicted, true, minimum=1)
    if any((side != np.floor(side)).any() or (side < 0).any() for side in (ours, theirs)):
        return None
    return ours.astype(np.int64), theirs.astype(np.int64)
