"""Weights whose tensors were given a network's names, kept in the cache folder beside a note of their checksum.

No key holds the checksum of such a file, since it follows from the published one; so it is compared before every use.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ssliqa_bench.caches import cache_lock, keep
from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.files import read_sealed, set_aside, sha256_file

LOG = logging.getLogger("ssliqa_bench")
_KIND = "converted-weights"


def kept_or_made(place: Path, make: Callable[[Path], None]) -> None:
    """Make sure that a file is there as it was made; one that has changed since is set aside and made again.

    Args:
        make: writes the file.
    """
    with cache_lock(place.with_name(f".{place.name}.lock")) as writable:
        problem = changed(place)
        if problem:
            LOG.warning("%s They are made again.", problem)
        if problem is None and place.is_file():
            return
        if problem == "" and not writable:
            LOG.warning("%s: converted weights without a checksum, in a folder that may not be written; used as they "
                        "are.", place)  # fmt: skip
            return
        make(place)
        keep(_note(place), {"sha256": sha256_file(place)}, kind=_KIND)


def changed(place: Path) -> str | None:
    """What is wrong with a file that was kept, which is set aside; "" where it has no note; None where nothing is."""
    if not place.is_file():
        return None
    try:
        if read_sealed(_note(place), kind=_KIND)["sha256"] == sha256_file(place):
            return None
    except (FileNotFoundError, CorruptFileError):
        return ""
    return f"{place}: converted weights do not match their checksum. Set aside as {set_aside(place).name}."


def _note(place: Path) -> Path:
    return place.with_suffix(".json")
