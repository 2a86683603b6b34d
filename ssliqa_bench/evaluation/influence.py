"""How much each image moves a figure: the influence values behind intervals of many images and behind BCa.

A figure is a function of the weights of the images, 1/n each. Its influence value at an image is n times its slope
along the weight of that image, less the mean slope; the values sum to zero. Everything is n log n.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 21 and 22.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from ssliqa_bench.evaluation.concordance import concordance, dense_ranks
from ssliqa_bench.evaluation.correlations import centred
from ssliqa_bench.types import FloatArray


def of_plcc(x: FloatArray, y: FloatArray) -> FloatArray:
    """Influence values (n,) of Pearson's correlation; neither side may be constant."""
    a, b = (side / np.sqrt(np.mean(side * side)) for side in (centred(x), centred(y)))
    value = float(np.mean(a * b))
    return np.asarray(a * b - 0.5 * value * (a * a + b * b))


def of_srcc(x: FloatArray, y: FloatArray) -> FloatArray:
    """Influence values (n,) of Spearman's correlation; neither side may be constant."""
    a, b = (rankdata(side) / len(side) - 0.5 - 0.5 / len(side) for side in (x, y))
    across, along_x, along_y = float(np.mean(a * b)), float(np.mean(a * a)), float(np.mean(b * b))
    value = across / np.sqrt(along_x * along_y)
    # A rank is half a sum of signs over all images, so an image also moves the ranks of the others.
    d_across = a * b + 0.5 * (_sum_of_signs(x, b) + _sum_of_signs(y, a))
    d_along_x, d_along_y = a * a + _sum_of_signs(x, a), b * b + _sum_of_signs(y, b)
    return np.asarray(d_across / np.sqrt(along_x * along_y) - 0.5 * value * (d_along_x / along_x + d_along_y / along_y))


def _sum_of_signs(side: FloatArray, values: FloatArray) -> FloatArray:
    """For each image, the mean over all others of sign(side of the other - own side) · value of the other."""
    order = np.argsort(side, kind="stable")
    inside = side[order]
    starts = np.flatnonzero(np.concatenate([[True], inside[1:] > inside[:-1]]))
    held = np.add.reduceat(values[order], starts)
    below = np.cumsum(held) - held
    above = float(held.sum()) - below - held
    out = np.empty(len(side))
    out[order] = np.repeat(above - below, np.diff(np.append(starts, len(side)))) / len(side)
    return out


def of_krcc(x: FloatArray, y: FloatArray) -> FloatArray:
    """Influence values (n,) of Kendall's τ-b; neither side may be constant."""
    n = len(x)
    ranks = [dense_ranks(side) for side in (x, y)]
    untied = [1.0 - np.bincount(rank)[rank] / n for rank in ranks]
    alike = concordance(*ranks) / n
    along_x, along_y = float(np.mean(untied[0])), float(np.mean(untied[1]))
    norm = np.sqrt(along_x * along_y)
    value = float(np.mean(alike)) / norm
    return np.asarray(2.0 * alike / norm - value * (untied[0] / along_x + untied[1] / along_y))


def of_fitted(mapped: FloatArray, y: FloatArray) -> FloatArray:
    """Influence values (n,) of Pearson's correlation after mapping; neither side may be constant.

    The mapping is a least-squares fit, so to first order its refitting does not change the squared error, nor the
    correlation √(1 - squared error / variance).
    """
    error, spread = _squares(mapped, y)
    share = float(error.mean() / spread.mean())
    return np.asarray(0.5 * (share * spread - error) / spread.mean() / np.sqrt(1.0 - share))


def of_log_rmse(mapped: FloatArray, y: FloatArray) -> FloatArray:
    """Influence values (n,) of the logarithm of RMSE, after mapping or without; the two may not be equal everywhere."""
    error, _ = _squares(mapped, y)
    return np.asarray(0.5 * (error / error.mean() - 1.0))


def _squares(mapped: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Squared differences to the scores, and of the scores from their mean, in a unit in which neither overflows."""
    top = max(float(np.abs(y).max()), float(np.abs(mapped).max()), np.finfo(np.float64).tiny)
    return (mapped / top - y / top) ** 2, (y / top - np.mean(y / top)) ** 2


def standard_error(sums: FloatArray, images: int) -> float:
    """Standard error of a figure of so many images from its influence values summed by group, shape (groups,)."""
    groups = len(sums)
    return float(np.sqrt(groups / (groups - 1) * np.dot(sums, sums))) / images
