"""LIVE In the Wild Image Quality Challenge: the official MATLAB files, or the label file of pyiqa's mirror.

Source: Ghadiyaram, Bovik, "Massive Online Crowdsourced Study of Subjective and Objective Picture Quality",
IEEE TIP 25(1), 2016. The official lists begin with seven training pictures, t1.bmp to t7.bmp, which are no part
of the dataset. They are recognised by name: a list that has already lost them loses nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.readers.layout import (
    Images,
    first_file,
    first_folder,
    mat_numbers,
    mat_texts,
    meta_info,
    read_meta_info,
)
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.types import FloatArray

_TRAINING = re.compile(r"t[1-7]\.bmp", re.IGNORECASE)
_FIRST = ("100.bmp", "101.bmp", "102.bmp", "103.bmp", "104.bmp", "105.bmp", "106.bmp")
_NAMES, _SCORES, _SPREAD = "AllImages_release", "AllMOS_release", "AllStdDev_release"


def read_livec(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read LIVE Challenge: MOS on 0 to 100, and the standard deviation of the ratings in the same units.

    Args:
        folder: `ChallengeDB_release` or a folder that holds it; for pyiqa's mirror, the folder of the images.
        options: none.

    Raises:
        DataError: a file or variable is missing, lists disagree in length, or real images were cut off.
    """
    release = next((f for f in (folder, folder / "ChallengeDB_release") if (f / "Data").is_dir()), folder)
    images = Images(first_folder(release, ("Images", ".")))
    labels = first_file(release, (f"Data/{_NAMES}.mat", meta_info(folder, "LIVEChallenge")))
    spread: FloatArray | None
    if labels.suffix == ".mat":
        names, score, spread, reads = _official(labels.parent)
        lines = None
    else:
        rows, column = read_meta_info(labels)
        names = tuple(Path(name).name for name in rows.column(column["image"]))
        score = rows.numbers(column["score"])
        spread = rows.numbers(column["rating_std"], empty_allowed=True) if "rating_std" in column else None
        lines, reads = rows.lines, ()
    kept = [i for i, name in enumerate(names) if not _TRAINING.fullmatch(name)]
    _check_start([names[i] for i in kept], str(labels))
    names = tuple(names[i] for i in kept)
    return RawTable(
        name=names,
        path=tuple(images.path(name) for name in names),
        score=score[kept],
        source=str(labels) if lines else str(labels.with_name(f"{_SCORES}.mat")),
        lines=None if lines is None else tuple(lines[i] for i in kept),
        rating_std=None if spread is None else spread[kept],
        reads=reads,
    )


def _official(data: Path) -> tuple[tuple[str, ...], FloatArray, FloatArray, tuple[str, ...]]:
    files = {name: data / f"{name}.mat" for name in (_NAMES, _SCORES, _SPREAD)}
    names = mat_texts(files[_NAMES], _NAMES)
    score, spread = (mat_numbers(files[name], name) for name in (_SCORES, _SPREAD))
    for name, values in ((_SCORES, score), (_SPREAD, spread)):
        if len(values) != len(names):
            raise DataError(f"{files[name]}: {len(values)} values for {len(names)} names in {_NAMES}.mat.")
    return names, score, spread, tuple(str(path) for path in files.values())


def _check_start(names: Sequence[str], source: str) -> None:
    """Some tools remove seven rows from any list; without training pictures, these are the first seven real images."""
    there = set(names)
    if names and not any(first in there for first in _FIRST):
        raise DataError(
            f"{source}: {', '.join(_FIRST)} are missing. Seven rows were removed from a list that no longer had "
            f"the training pictures t1.bmp to t7.bmp, so seven real images are missing; fetch the label file again."
        )
