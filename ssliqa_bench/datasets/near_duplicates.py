"""Near-duplicates: images that look alike without being equal, found by a perceptual hash.

The same scene photographed twice, another crop or another compression of a picture: if one is trained on and the
other tested on, the test is easier than it looks. Perceptual hashes err on both sides, so what they find is
reported and stops nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssliqa_bench.caches import cache_lock, keep
from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.files import read_sealed, set_aside

LOG = logging.getLogger("ssliqa_bench")

# Bits, of 64, in which the hashes of two images that look alike may differ.
LIKENESS = 4
_KIND = "perceptual-hashes"
_AT_ONCE = 1 << 24  # comparisons at a time

Hashes = NDArray[np.uint64]


class DecodedImages(Protocol):
    """Decoded images with content hashes, by row."""

    @property
    def hashes(self) -> Sequence[str]:
        """One content hash per row."""

    def image(self, row: int) -> NDArray[np.uint8]:
        """The whole image of a row, uint8 (H, W, 3)."""


def perceptual_hashes(images: DecodedImages, rows: Sequence[int], cache: Path) -> Hashes:
    """The 64-bit perceptual hash (low frequencies of a cosine transform, library imagehash) of some rows.

    Hashes are kept in the file `cache` by content hash, so that each picture is hashed once.
    """
    with cache_lock(cache.with_suffix(".lock")):
        known = _read(cache)
        missing = sorted({images.hashes[row]: row for row in rows if images.hashes[row] not in known}.items())
        if missing:
            import imagehash

            for content, row in missing:
                known[content] = str(imagehash.phash(Image.fromarray(images.image(row))))
            keep(cache, {"hashes": known}, kind=_KIND)
    return np.array([int(known[images.hashes[row]], 16) for row in rows], dtype=np.uint64)


def look_alikes(first: Hashes, second: Hashes) -> list[tuple[int, int]]:
    """For every hash of the first side that has one like it on the second: its position and that of the nearest."""
    found: list[tuple[int, int]] = []
    if not len(second):
        return found
    rows = max(1, _AT_ONCE // len(second))
    for start in range(0, len(first), rows):
        apart = np.bitwise_count(first[start : start + rows, None] ^ second[None, :])
        nearest = apart.argmin(axis=1)
        distance = apart[np.arange(len(nearest)), nearest]
        found += [(start + int(k), int(nearest[k])) for k in np.flatnonzero(distance <= LIKENESS)]
    return found


def _read(cache: Path) -> dict[str, str]:
    try:
        hashes: dict[str, str] = read_sealed(cache, kind=_KIND)["hashes"]
        return hashes
    except FileNotFoundError:
        return {}
    except CorruptFileError as error:
        LOG.warning("%s Set aside as %s; the images are hashed again.", str(error), set_aside(cache))
        return {}
