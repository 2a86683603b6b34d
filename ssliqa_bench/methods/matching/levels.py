"""Levels of quality: P ordered classes made of scores, and scores made of predicted classes.

Level 0 is the worst. Scores are on the learner's scale, which runs from 0 to 1 over the nominal ends of the rating
scale; scores outside count as its ends.
"""

from __future__ import annotations

import numpy as np
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.images import LabeledSet
from ssliqa_bench.types import FloatArray, IntArray

RULES = ("equal_width", "nearest", "mode")
ENCODINGS = ("hard", "two_hot", "rating_histogram")
_ROUNDING = 1e-9  # a score this close below the edge of a level is on it


def levels_of(labeled: LabeledSet, levels: int, rule: str) -> IntArray:
    """Level (n,) of every labeled image.

    Args:
        rule: `equal_width`, P bins of equal width, half-open, the top one closed; `nearest`, the nearest of P points
            from 0 to 1, ties to the lower one; `mode`, the most frequent rating, ties to the lower one.

    Raises:
        InputError: fewer than two levels, an unknown rule, ratings of another number of levels, or all images in one.
    """
    if levels < 2:
        raise InputError(f"Parameter levels: got {levels}; expected 2 or more.")
    scores = np.clip(labeled.score01, 0.0, 1.0)
    if rule == "equal_width":
        found = np.minimum(levels - 1, np.floor(levels * scores + _ROUNDING))
    elif rule == "nearest":
        found = np.ceil((levels - 1) * scores - 0.5 - _ROUNDING)
    elif rule == "mode":
        found = np.argmax(_ratings(labeled, levels), axis=1)
    else:
        raise InputError(f'Parameter label_rule: got "{rule}"; expected {", ".join(RULES)}.')
    found = found.astype(np.int64)
    if len(found) and (found == found[0]).all():
        raise InputError(
            f"All {len(found)} labeled images are of level {found[0]} (label_rule {rule}, {levels} levels): there is "
            f"nothing to tell apart. Raise --budget, or choose other levels with --set levels=…"
        )
    return found


def coordinate(score01: FloatArray, levels: int, rule: str) -> FloatArray:
    """Scores on the continuous scale of levels, at whose integers the levels of a rule are centred."""
    scores = np.clip(score01, 0.0, 1.0)
    return levels * scores - 0.5 if rule == "equal_width" else (levels - 1) * scores


def quality_of(expectation: FloatArray, levels: int, rule: str) -> FloatArray:
    """The inverse of `coordinate`: expected levels in [0, P−1] as scores on the learner's scale."""
    return (expectation + 0.5) / levels if rule == "equal_width" else expectation / (levels - 1)


def expected_level(shares: FloatArray) -> FloatArray:
    """Σ k·p_k (n,) of distributions (n, P)."""
    return shares @ np.arange(shares.shape[1], dtype=np.float64)


def encoded(labeled: LabeledSet, own: IntArray, levels: int, rule: str, encoding: str) -> FloatArray:
    """What labeled images teach, distributions (n, P).

    Args:
        own: their levels.
        encoding: `hard`, the level alone; `two_hot`, the two levels next to the score, such that the mean is the
            score; `rating_histogram`, the shares of the ratings.

    Raises:
        InputError: an unknown encoding, or ratings of another number of levels.
    """
    if encoding == "hard":
        return np.eye(levels)[own]
    if encoding == "rating_histogram":
        return _ratings(labeled, levels)
    if encoding != "two_hot":
        raise InputError(f'Parameter label_encoding: got "{encoding}"; expected {", ".join(ENCODINGS)}.')
    place = np.clip(coordinate(labeled.score01, levels, rule), 0, levels - 1)
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(levels)))


def logit_shift(own: IntArray, levels: int, strength: float) -> torch.Tensor | None:
    """Logit adjustment: strength · log of the levels' frequencies among the labeled images (one more for each).

    Added to logits in the supervised loss, it lets a network whose plain logits are judged favour rare levels as if
    all were equally frequent. None for strength 0.

    Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, Eq. 10.
    """
    if strength == 0:
        return None
    counts = np.bincount(own, minlength=levels) + 1.0
    return torch.from_numpy(strength * np.log(counts / counts.sum())).float()


def _ratings(labeled: LabeledSet, levels: int) -> FloatArray:
    if labeled.distribution is None:
        raise InputError("Parameters label_rule and label_encoding: the labeled images have no rating distribution.")
    if labeled.distribution.shape[1] != levels:
        raise InputError(
            f"Parameter levels: got {levels}; expected {labeled.distribution.shape[1]}, the number of rating levels "
            f"of the labeled images."
        )
    return labeled.distribution
