"""From individual ratings to one score for each image: the mean, the model of raters' bias and inconsistency, or the
mean after the screening of raters of BT.500.

The model is that of ITU-T P.910 and P.913: a rating is the quality of the image, plus the bias of the rater, plus noise
whose spread is the rater's inconsistency. It is solved by alternating projection. Screening is that of ITU-R BT.500.

Sources that were read: the solver and the screening of SUREAL 0.9.0 (Netflix, Apache-2.0), which names both
recommendations; the recommendations themselves were not. SUREAL itself is not used: its last release is of 2022, it
works on a dense table of images by raters, and a rater without residual gets an unbounded weight in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.text import number_of
from ssliqa_bench.types import FloatArray, IntArray

MODELS = ("mean", "bias-and-inconsistency", "bt500")

_STEPS = 10_000
_CLOSE = 1e-10  # change of the scores, in native units, at which the solver stops
_FEW = 10  # ratings below which a rater's own inconsistency is not estimated
_LEAST = 0.25  # of the pooled inconsistency: no rater counts for more than sixteen of the usual kind
_NEAR_COMPLETE = 0.9  # share of all cells that screening needs


@dataclass(frozen=True)
class Opinions:
    """Ratings as triples: the image and the rater of each by position, and its value.

    Every image and every rater has at least one, and no rater two of one image.
    """

    image: IntArray
    rater: IntArray
    value: FloatArray

    @property
    def images(self) -> int:
        """How many images there are."""
        return int(self.image.max()) + 1

    @property
    def raters(self) -> int:
        """How many raters there are."""
        return int(self.rater.max()) + 1

    @property
    def filled(self) -> float:
        """Share of all pairs of image and rater that have a rating; 1 for a complete design."""
        return len(self.value) / (self.images * self.raters)

    @property
    def percentage(self) -> str:
        """`filled` in whole percent, rounded down, so that 100% is said of a complete design alone."""
        whole = 100 * len(self.value) // (self.images * self.raters)
        return f"{whole}%" if whole else "less than 1%"


@dataclass(frozen=True)
class Recovered:
    """Scores (n_images,) in the units of the ratings; `kept` says of each rating whether it was used.

    `bias` and `inconsistency` (n_raters,) are those of the model; None for the others.
    """

    score: FloatArray
    kept: IntArray
    bias: FloatArray | None = None
    inconsistency: FloatArray | None = None


def recover(ratings: Opinions, model: str) -> Recovered:
    """The scores by one of `MODELS`.

    Raises:
        InputError: another name.
        DataError: the ratings do not allow what the model needs.
    """
    if model == "mean":
        return Recovered(_means(ratings.value, ratings.image, ratings.images), np.arange(len(ratings.value)))
    if model == "bias-and-inconsistency":
        return _bias_and_inconsistency(ratings)
    if model == "bt500":
        return _screened(ratings)
    raise InputError(f'Model of ratings "{model}": expected one of {", ".join(MODELS)}.')


def constant_raters(ratings: Opinions) -> IntArray:
    """Positions of raters with several ratings who gave one value throughout."""
    low, high = np.full(ratings.raters, np.inf), np.full(ratings.raters, -np.inf)
    np.minimum.at(low, ratings.rater, ratings.value)
    np.maximum.at(high, ratings.rater, ratings.value)
    several = np.bincount(ratings.rater, minlength=ratings.raters) > 1
    return np.flatnonzero((low == high) & several)


def rating_spread(ratings: Opinions) -> FloatArray:
    """Standard deviation (n − 1) of the ratings of each image; NaN for an image that was rated once."""
    counts = np.bincount(ratings.image, minlength=ratings.images)
    mean = _means(ratings.value, ratings.image, ratings.images)
    squares = np.bincount(ratings.image, (ratings.value - mean[ratings.image]) ** 2, ratings.images)
    spread: FloatArray = np.sqrt(squares / np.where(counts > 1, counts - 1, np.nan))
    return spread


def _bias_and_inconsistency(ratings: Opinions) -> Recovered:
    """Alternating projection: scores given biases and weights, biases given scores, weights given residuals.

    Raises:
        DataError: images and raters fall into parts without a rating between them, or the solver does not settle.
    """
    parts = _parts(ratings)
    if parts > 1:
        raise DataError(
            f"The ratings fall into {parts} parts that share no rater, so that biases of raters cannot be separated "
            f"from differences between images; use the mean (model mean), or have some images rated in both."
        )
    value, image, rater = ratings.value, ratings.image, ratings.rater
    score = _means(value, image, ratings.images)
    bias = _means(value - score[image], rater, ratings.raters)
    for _ in range(_STEPS):
        inconsistency = _inconsistency(value - score[image] - bias[rater], ratings)
        weight = 1 / inconsistency[rater] ** 2
        before, score = score, np.bincount(image, weight * (value - bias[rater])) / np.bincount(image, weight)
        bias = _means(value - score[image], rater, ratings.raters)
        if np.abs(score - before).max() < _CLOSE:
            shift = bias.mean()  # biases are defined up to a constant: their mean is 0
            return Recovered(score + shift, np.arange(len(value)), bias - shift, inconsistency)
    raise DataError(
        f"The model of bias and inconsistency did not settle in {_STEPS:,} steps on {len(value):,} ratings of "
        f"{ratings.images:,} images by {ratings.raters:,} raters; use the mean (model mean)."
    )


def _inconsistency(residual: FloatArray, ratings: Opinions) -> FloatArray:
    """Spread of each rater's residuals, that of all for raters with few ratings; all 1 where nothing is left over.

    The likelihood has no upper end: scores that follow one rater leave that rater no residual and all the weight. Thus
    the lower limit, which changes nothing where all raters are about equally consistent.
    """
    counts = np.bincount(ratings.rater, minlength=ratings.raters)
    centred = residual - _means(residual, ratings.rater, ratings.raters)[ratings.rater]
    pooled = float(np.sqrt(np.mean(centred**2)))
    if pooled < _CLOSE:
        return np.ones(ratings.raters)
    own = np.sqrt(np.bincount(ratings.rater, centred**2, ratings.raters) / counts)
    spread: FloatArray = np.maximum(np.where(counts < _FEW, pooled, own), _LEAST * pooled)
    return spread


def _screened(ratings: Opinions) -> Recovered:
    """The mean without the raters whose ratings stray too often, and to both sides alike.

    Raises:
        DataError: too few of all pairs of image and rater have a rating.
    """
    if ratings.filled < _NEAR_COMPLETE:
        raise DataError(
            f"Screening by BT.500 needs ratings of nearly all images by nearly all raters; {ratings.percentage} of the "
            f"pairs have one, expected {_NEAR_COMPLETE:.0%}. Use the model bias-and-inconsistency."
        )
    n, m = ratings.images, ratings.raters
    centred = ratings.value - _means(ratings.value, ratings.image, n)[ratings.image]
    second, fourth = (_means(centred**power, ratings.image, n) for power in (2, 4))
    kurtosis = fourth / np.where(second > 0, second**2, np.nan)
    limit = np.where((kurtosis >= 2) & (kurtosis <= 4), 2.0, np.sqrt(20.0)) * np.sqrt(second)
    differ = second[ratings.image] > 0
    above = np.bincount(ratings.rater[differ & (centred >= limit[ratings.image])], minlength=m)
    below = np.bincount(ratings.rater[differ & (centred <= -limit[ratings.image])], minlength=m)
    stray = above + below
    rejected = (stray > 0.05 * n) & (np.abs(above - below) < 0.3 * stray)
    kept = np.flatnonzero(~rejected[ratings.rater])
    without = n - len(set(ratings.image[kept].tolist()))
    if without:
        have = "has" if without == 1 else "have"
        raise DataError(f"Screening by BT.500 rejects {int(rejected.sum())} of {number_of(m, 'rater')}, and "
                        f"{number_of(without, 'image')} {have} no other rating. Use the mean, or the model "
                        f"bias-and-inconsistency.")  # fmt: skip
    return Recovered(_means(ratings.value[kept], ratings.image[kept], n), kept)


def _parts(ratings: Opinions) -> int:
    """How many parts images and raters fall into that no rating connects."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = ratings.images + ratings.raters
    links = coo_matrix((np.ones(len(ratings.value)), (ratings.image, ratings.images + ratings.rater)), shape=(n, n))
    return int(connected_components(links, directed=False)[0])


def _means(value: FloatArray, place: IntArray, count: int) -> FloatArray:
    means: FloatArray = np.bincount(place, value, count) / np.bincount(place, minlength=count)
    return means
