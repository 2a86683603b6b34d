"""Where to start the search for the best logistic curve: a grid that is as fine as the data, and its peaks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.evaluation.search import PIN, TINY, Sample, SearchPoint, free_place
from ssliqa_bench.types import FloatArray, IntArray

# Few predictions make more hills than many: they are looked at four times between neighbours.
_SMALL = 64
_CENTRES_OF_FEW = 129
_CENTRES = 41
# Gaps that are looked into, from what ratio to the distances beside them, and to what ratio.
_GAPS = 24
_WIDE_RATIO = 6.0
_WIDEST_RATIO = 1e16


def grid_peaks(sample: Sample, *, count: int) -> list[SearchPoint]:
    """Free places at the best local maxima of a grid, looked at more closely, and pinned ones of both ends.

    Centres are at the data, widths are distances to the k-th neighbour, so that the grid is as fine as the
    data wherever they are dense. Best first.
    """
    z, size = sample.z, len(sample)
    place = np.linspace(0, size - 1, min(4 * size - 3, _CENTRES if size > _SMALL else _CENTRES_OF_FEW))
    low, high = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
    neighbours = np.unique(np.geomspace(1, size, 13).astype(np.int64))
    reach = (z[np.minimum(high + neighbours[:, None], size - 1)] - z[np.maximum(low - neighbours[:, None], 0)]) / 4
    width = np.concatenate([reach[:1] / 7, reach[:1] / 2.6, reach, reach[-1:] * 3, reach[-1:] * 9])
    centre = np.broadcast_to(z[low] + (place - low) * (z[high] - z[low]), width.shape)
    beyond_centre, beyond_width = _beyond_ends(z, neighbours)
    gap_centre, gap_width = _in_gaps(z)
    centres = np.concatenate([centre.ravel(), beyond_centre, gap_centre])
    widths = np.concatenate([width.ravel(), beyond_width, gap_width])
    value = _grid_values(sample, centres, widths)

    inner = width.size
    best = [*_peaks(value[:inner].reshape(width.shape))[:count],
            *(inner + _highest(value[inner:inner + len(beyond_width)], 2)),
            *(inner + len(beyond_width) + _highest(value[inner + len(beyond_width):], count // 2))]
    near = np.linspace(-1.2, 1.2, 5)
    widths = widths[best][:, None, None] * np.exp(near / 2)
    centres = centres[best][:, None, None] + widths * near[:, None]
    widths = np.broadcast_to(widths, centres.shape)
    value = _grid_values(sample, centres.ravel(), widths.ravel()).reshape(len(best), 25)
    at = np.argmax(value, axis=1)
    found = [free_place(sample, float(c.ravel()[k]), float(w.ravel()[k]), float(v[k]))
             for c, w, v, k in zip(centres, widths, value, at) if np.isfinite(v[k])]
    return sorted(found + _hung(sample, neighbours), key=lambda place: -place.value)


def _beyond_ends(z: FloatArray, neighbours: IntArray) -> tuple[FloatArray, FloatArray]:
    """Centres beyond both ends, with their widths: nearly exponential curves."""
    centre, width = [], []
    for end, sign in ((float(z[-1]), 1.0), (float(z[0]), -1.0)):
        scale = np.abs(end - z[::int(-sign)][np.minimum(neighbours, len(z) - 1)])
        scale = np.concatenate([scale / 3, scale[-1:] * np.array([1.0, 3.0])])
        for offset in (2.0, 6.0):
            centre.append(end + sign * offset * scale)
            width.append(scale)
    return np.concatenate(centre), np.concatenate(width)


def is_clustered(sample: Sample) -> bool:
    """Whether some gap is much wider than the distances beside it."""
    return len(_in_gaps(sample.z)[0]) > 0


def _in_gaps(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centres in wide gaps, with widths between the size of the cluster they lean on and that of the gap."""
    size = len(z)
    gap = np.diff(z)
    place = np.arange(size - 1)
    reach = 1 + size // 40
    centre, width = [np.empty(0)], [np.empty(0)]
    offsets = np.array([0.0, 1.0, 2.5, 5.0])[:, None]
    for near, far, sign in ((place, place - reach, 1.0), (place + 1, place + 1 + reach, -1.0)):
        inside = (far >= 0) & (far < size)
        local = np.where(inside, np.abs(z[near] - z[np.clip(far, 0, size - 1)]), np.inf)
        ratio = np.minimum(gap / np.maximum(local, TINY), _WIDEST_RATIO)
        for j in _highest(ratio, _GAPS):
            if ratio[j] < _WIDE_RATIO:
                break
            widths = np.geomspace(gap[j] / ratio[j], gap[j], 2 + int(np.log(ratio[j])))
            centre.append((z[near[j]] + sign * offsets * widths).ravel())
            width.append(np.tile(widths, len(offsets)))
    return np.concatenate(centre), np.concatenate(width)


def _hung(sample: Sample, neighbours: IntArray) -> list[SearchPoint]:
    """The best places pinned to either end, on a grid of widths."""
    found = []
    for pin in (PIN, -PIN):
        distance = sample.z[-1] - sample.z[::-1] if pin > 0 else sample.z - sample.z[0]
        scale = distance[np.minimum(neighbours, len(sample) - 1)]
        width = np.maximum(np.concatenate([scale[:1] / 10, scale / 3, scale[-1:] * np.array([1.0, 3.0, 9.0])]), TINY)
        shape = np.exp((-distance / width[:, None]).astype(np.float32))
        if pin > 0:
            score, weight = sample.score[::-1], sample.weight[::-1]
        else:
            score, weight, shape = sample.score, sample.weight, -shape
        value = _log_correlation(shape, weight, score)
        end = sample.ends[2] if pin > 0 else sample.ends[0]
        found += [SearchPoint(end, pin, math.log(width[k]), float(value[k])) for k in _peaks(value[:, None])[:2]]
    return found


def _grid_values(sample: Sample, centre: FloatArray, width: FloatArray) -> FloatArray:
    """Log correlation for many centres and widths, without derivatives; -inf where it is not positive."""
    shape = sample.z - centre[:, None]
    shape *= (0.5 / np.maximum(width, TINY))[:, None]
    # Single precision ranks places well enough, in half the time.
    single = shape.astype(np.float32)
    return _log_correlation(np.tanh(single, out=single), sample.weight, sample.score)


def _log_correlation(shape: NDArray[np.float32], weight: FloatArray, score: FloatArray) -> FloatArray:
    """Log of the correlation of each row with the scores, up to what pooling hides; `shape` is overwritten."""
    sides = np.stack([weight, weight * score], axis=1).astype(np.float32)
    mean, a = (shape @ sides).astype(np.float64).T
    b = np.square(shape, out=shape) @ sides[:, 0] - mean * mean
    good = (a > 0) & (b > 1e-6)
    return np.where(good, np.log(np.where(good, a, 1.0)) - 0.5 * np.log(np.where(good, b, 1.0)), -np.inf)


def _peaks(value: FloatArray) -> IntArray:
    """Flat indices of the local maxima of a table, highest first."""
    rows, columns = value.shape
    padded = np.full((rows + 2, columns + 2), -np.inf)
    padded[1:-1, 1:-1] = value
    tall = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    around = np.maximum(np.maximum(tall[:, :-2], tall[:, 1:-1]), tall[:, 2:])
    at = np.flatnonzero((value >= around) & (value > -np.inf))
    return at[np.argsort(-value.ravel()[at], kind="stable")]


def _highest(value: FloatArray, count: int) -> IntArray:
    """Indices of the highest values, highest first."""
    return np.argsort(-value, kind="stable")[:count]
