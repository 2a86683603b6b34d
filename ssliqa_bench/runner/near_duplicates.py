"""Test images that look like an image which the run learned from: counted in the record, named on the screen."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.datasets.near_duplicates import LIKENESS, DecodedImages, look_alikes, perceptual_hashes
from ssliqa_bench.pixels.decode import decode
from ssliqa_bench.pixels.features import Features
from ssliqa_bench.runner.sets import Source

_log = logging.getLogger("ssliqa_bench")
_LEARNED_FROM = ("labeled", "unlabeled", "validation")
_FIRST = 3


def look_alike_notes(sources: Mapping[str, Source], cache_root: Path) -> list[str]:
    """One sentence for every pair of datasets between which there are look-alikes.

    Names go to the screen only: those of some datasets may not be passed on with a record.
    """
    rows = {name: [k for k, role in enumerate(s.roles) if role != "unused"] for name, s in sources.items()}
    hashes = {
        name: dict(zip(rows[name], perceptual_hashes(_pictures(s), rows[name], cache_root / "near" / f"{name}.json")))
        for name, s in sources.items()
        if rows[name]
    }
    notes = []
    for tested, source in sources.items():
        test = source.rows("test")
        for learned, other in sources.items():
            train = [row for row in rows[learned] if other.roles[row] in _LEARNED_FROM]
            if not test or not train:
                continue
            found = look_alikes(
                np.array([hashes[tested][row] for row in test]), np.array([hashes[learned][row] for row in train])
            )
            if not found:
                continue
            look = "looks" if len(found) == 1 else "look"
            notes.append(
                f"{len(found)} of {len(test)} test images of {tested} {look} like an image of {learned} that was "
                f"learned from (perceptual hash, at most {LIKENESS} of 64 bits apart)"
            )
            first = ", ".join(
                f"{source.table.name[test[a]]} like {other.table.name[train[b]]}" for a, b in found[:_FIRST]
            )
            _log.warning("%s; first: %s", notes[-1], first)
    return notes


@dataclass(frozen=True)
class _Files:
    """Pictures decoded from their files, for a source that holds features alone."""

    hashes: Sequence[str]
    path: Sequence[str]

    def image(self, row: int) -> NDArray[np.uint8]:
        return decode(self.path[row])


def _pictures(source: Source) -> DecodedImages:
    pixels = source.pixels
    return _Files(pixels.hashes, source.table.path) if isinstance(pixels, Features) else pixels
