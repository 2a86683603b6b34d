"""KOKA10K: KonIQ-10k, seen as five classes, with the pristine photographs of KADIS-700k as unlabeled images.

Source: Dang et al., "Semi-supervised Learning for Image Quality Assessment Problem", 2024, which prints how many
images each class has, but no rule and no list. The most frequent rating gives the printed counts of two classes
exactly and comes close for the others; no equally wide intervals of the score do. The 359 photographs of KADIS-700k
that the authors labeled by hand were not published: a list of one's own may name some.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.kadis import read_kadis
from ssliqa_bench.datasets.readers.koniq import read_koniq
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import read_rows

_LEVELS = 5
_PER_LEVEL = 25.0  # from one rating to the next: 0 to 100 over four steps
_EXTRA = "koka10k_labels.csv"


def read_koka10k(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read KOKA10K: scores and shares of the ratings as in KonIQ-10k; an image's class is its most frequent rating.

    A photograph of KADIS-700k that a list of one's own puts into class k counts as rated k by everybody: all its
    ratings are that one, and its score is 25·k.

    Args:
        folder: that of KonIQ-10k; `koka10k_labels.csv` there, with columns `image` and `class` (0, the worst, to 4),
            labels photographs of KADIS-700k.
        options: `kadis`: names that the folder of KADIS-700k beside this one may have; `images`: the image folder of
            KonIQ-10k; `unlabeled`: true, since there are images without score.

    Raises:
        DataError: a file or folder is missing, the label file has no ratings, or an extra label does not fit.
    """
    koniq = read_koniq(folder, {key: value for key, value in options.items() if key == "images"})
    if koniq.distribution is None:
        raise DataError(f"{koniq.source}: has no ratings per level (columns c1 to c5), the most frequent of which is "
                        f"the class; expected koniq10k_distributions_sets.csv of the authors.")
    names, paths, score, ratings = koniq.name, koniq.path, koniq.score, koniq.distribution
    places = (Path(os.path.abspath(folder)).parent / str(name) for name in options.get("kadis", ("kadis", "kadis700k")))
    place = next((place for place in places if place.is_dir()), None)
    if place is None:
        _extra_labels(folder, {})
    else:
        kadis = read_kadis(place, {})
        rows = {name: len(names) + row for row, name in enumerate(kadis.name)}
        names, paths = (*names, *kadis.name), (*paths, *kadis.path)
        score = np.concatenate([score, kadis.score])
        ratings = np.concatenate([ratings, np.full((len(kadis.name), _LEVELS), np.nan)])
        for row, own in _extra_labels(folder, rows).items():
            score[row], ratings[row] = _PER_LEVEL * own, np.eye(_LEVELS)[own]
    return RawTable(name=names, path=paths, score=score, source=koniq.source, distribution=ratings, group=names)


def _extra_labels(folder: Path, rows: Mapping[str, int]) -> dict[int, int]:
    """Row -> class of the photographs that a list of one's own labels."""
    path = folder / _EXTRA
    if not path.is_file():
        return {}
    extra = read_rows(path)
    found: dict[int, int] = {}
    for line, name, value in zip(extra.lines, extra.column("image"), extra.numbers("class").tolist(), strict=True):
        if name not in rows:
            raise DataError(f'{path}:{line}: "{name}" is no photograph of KADIS-700k that is at hand; expected a name '
                            f"of its list, and its folder beside that of KonIQ-10k.")
        if value not in range(_LEVELS):
            raise DataError(f"{path}:{line}: class is {value:g}; expected 0 to {_LEVELS - 1}.")
        if rows[name] in found:
            raise DataError(f'{path}:{line}: "{name}" occurs twice.')
        found[rows[name]] = int(value)
    return found
