"""Copies of one picture that no hash of bytes or pixels finds: encoded again, resized, brightened, toned.

Every image is reduced to its luminance on a grid, and two images are compared in two steps. Their coarse forms
(32 × 32 means) have to correlate, which most copies and many pictures of one scene do. Then their fine details
(256 × 256 less the means of 8 × 8 blocks) have to correlate as well: an encoder, another size or another brightness
leave these where they are, while the next photograph of a series moves them. Crops and mirrored copies are not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssliqa_bench.datasets.parallel import in_order
from ssliqa_bench.files import digest
from ssliqa_bench.pixels.decode import content_hash, decode

# Raised by one when the same images may give other copies: what registry entries state about copies goes by it.
VERSION = 1

_FINE, _MIDDLE, _COARSE = 256, 64, 32  # sides of the grids
_BLOCK = 8  # side of the blocks whose means are no detail
_ALIKE = 0.9  # least correlation of the coarse forms
_MAYBE = 0.6  # least correlation of the details on the middle grid for a look at the fine one
_SAME = 0.9  # least correlation of the fine details
_FLAT = 0.5  # grey levels: below this deviation there is nothing to compare
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_AT_ONCE = 1 << 24  # comparisons at a time
_SHARE = 16  # images that a process reduces at a time

Values = NDArray[np.float32]
# Called with the number of images done and the number of all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class NearCopies:
    """Sets of images, by position, that show one picture, and how many pairs in them were found in which way."""

    sets: tuple[tuple[int, ...], ...]
    equal_pixels: int
    near: int


def near_copies(paths: Sequence[str], *, processes: int = 1, progress: Progress | None = None) -> NearCopies:
    """The copies among some image files; decodes all of them, and those that look alike once more.

    Raises:
        DataError: a file cannot be decoded.
    """
    hashes: list[str] = []
    coarse = np.zeros((len(paths), _COARSE**2), dtype=np.float32)
    middle = np.zeros((len(paths), _MIDDLE**2), dtype=np.float16)
    for row, (found, one, other) in enumerate(in_order(_reduce, paths, processes=processes, share=_SHARE)):
        hashes.append(found)
        coarse[row], middle[row] = one, other
        if progress is not None:
            progress(row + 1, len(paths))
    equal = list(_equal(hashes))
    same = set(equal)
    maybe = [pair for pair in _alike(coarse, middle) if pair not in same]
    rows = sorted({row for pair in maybe for row in pair})
    place = {row: k for k, row in enumerate(rows)}
    details = list(in_order(_details, [paths[row] for row in rows], processes=processes, share=_SHARE))
    near = [
        (a, b) for a, b in maybe
        if float(details[place[a]].astype(np.float32) @ details[place[b]].astype(np.float32)) >= _SAME
    ]  # fmt: skip
    return NearCopies(_components([*equal, *near]), len(equal), len(near))


def copies_digest(sets: Sequence[Sequence[str]]) -> str:
    """64 hexadecimal digits over sets of image names, whatever their order."""
    return digest(sorted(sorted(names) for names in sets))


def torn_pairs(sets: Sequence[Sequence[int]], parts: Sequence[str]) -> int:
    """Pairs within the sets of which one image is in the part "test" and the other is not."""
    return sum(
        (parts[a] == "test") != (parts[b] == "test") for rows in sets for a, b in combinations(rows, 2)
    )


def _reduce(path: str) -> tuple[str, Values, NDArray[np.float16]]:
    """Content hash, coarse form and details on the middle grid of an image; nothing to compare is all zero."""
    pixels = decode(path)
    fine = _luminance(pixels)
    coarse = _means(fine, _FINE // _COARSE)
    return content_hash(pixels), _unit(coarse - coarse.mean()), _detail(_means(fine, _FINE // _MIDDLE))


def _details(path: str) -> NDArray[np.float16]:
    return _detail(_luminance(decode(path)))


def _luminance(pixels: NDArray[np.uint8]) -> Values:
    """Luminance on the fine grid, each place the mean over its share of the image."""
    grey = Image.fromarray(pixels.astype(np.float32) @ _LUMA)
    return np.asarray(grey.resize((_FINE, _FINE), Image.Resampling.BOX), dtype=np.float32)


def _means(values: Values, block: int) -> Values:
    side = len(values) // block
    means: Values = values.reshape(side, block, side, block).mean((1, 3))
    return means


def _detail(values: Values) -> NDArray[np.float16]:
    means = _means(values, _BLOCK)
    return _unit(values - np.repeat(np.repeat(means, _BLOCK, 0), _BLOCK, 1)).astype(np.float16)


def _unit(values: Values) -> Values:
    flat = values.ravel()
    length = float(np.linalg.norm(flat))
    return flat / length if length >= _FLAT * len(flat) ** 0.5 else np.zeros_like(flat)


def _equal(hashes: Sequence[str]) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for row, found in enumerate(hashes):
        if first.setdefault(found, row) != row:
            yield first[found], row


def _alike(coarse: Values, middle: NDArray[np.float16]) -> Iterator[tuple[int, int]]:
    """Pairs of rows, the smaller one first, that are worth a look at their fine details."""
    rows = max(1, _AT_ONCE // max(1, len(coarse)))
    for start in range(0, len(coarse), rows):
        found, other = np.nonzero(coarse[start : start + rows] @ coarse.T >= _ALIKE)
        found += start
        later = other > found
        for a, b in zip(found[later].tolist(), other[later].tolist(), strict=True):
            if float(middle[a].astype(np.float32) @ middle[b].astype(np.float32)) >= _MAYBE:
                yield a, b


def _components(pairs: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Rows that pairs connect, directly or through others; sorted."""
    members: dict[int, set[int]] = {}
    for a, b in pairs:
        joined = members.get(a, {a}) | members.get(b, {b})
        members.update(dict.fromkeys(joined, joined))
    return tuple(sorted({tuple(sorted(rows)) for rows in members.values()}))
