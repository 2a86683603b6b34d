"""KOKA10K: KonIQ-10k as five classes, with the pristine photographs of KADIS-700k as unlabeled images.

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

from ssliqa_bench.datasets.base import RawTable
from ssliqa_bench.datasets.classes import equal_width_classes, modal_classes
from ssliqa_bench.datasets.readers.kadis import read_kadis
from ssliqa_bench.datasets.readers.koniq import read_koniq
from ssliqa_bench.datasets.readers.rows import read_rows
from ssliqa_bench.errors import DataError
from ssliqa_bench.types import FloatArray

_LEVELS = 5
_EXTRA = "koka10k_labels.csv"
_RULES = ("modal", "equal-width")


def read_koka10k(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read KOKA10K: the score is the class, 0 (worst) to 4.

    Args:
        folder: that of KonIQ-10k; `koka10k_labels.csv` there, with columns `image` and `class`, labels photographs
            of KADIS-700k.
        options: `classes`: `modal` (default) or `equal-width`; `kadis`: names that the folder of KADIS-700k beside
            this one may have; `images`: the image folder of KonIQ-10k; `unlabeled`: true, since there are images
            without score.

    Raises:
        DataError: a file or folder is missing, the label file has no ratings, or an extra label does not fit.
    """
    rule = str(options.get("classes", "modal"))
    if rule not in _RULES:
        raise DataError(f'Reader read_koka10k: option classes is "{rule}"; expected {" or ".join(_RULES)}.')
    koniq = read_koniq(folder, {key: value for key, value in options.items() if key == "images"})
    if rule == "equal-width":
        classes = equal_width_classes(koniq.score / 100, _LEVELS)
    elif koniq.distribution is None:
        raise DataError(f"{koniq.source}: has no ratings per level (columns c1 to c5), the most frequent of which is "
                        f"the class; expected koniq10k_distributions_sets.csv of the authors.")
    else:
        classes = modal_classes(koniq.distribution)
    places = (Path(os.path.abspath(folder)).parent / str(name) for name in options.get("kadis", ("kadis", "kadis700k")))
    place = next((place for place in places if place.is_dir()), None)
    if place is None:
        names, paths, score = koniq.name, koniq.path, classes.astype(np.float64)
        _extra_labels(folder, {})
    else:
        kadis = read_kadis(place, {})
        names, paths = (*koniq.name, *kadis.name), (*koniq.path, *kadis.path)
        score = np.concatenate([classes, kadis.score])
        rows = {name: len(koniq.name) + row for row, name in enumerate(kadis.name)}
        for row, value in _extra_labels(folder, rows).items():
            score[row] = value
    return RawTable(name=names, path=paths, score=score, source=koniq.source, group=names)


def _extra_labels(folder: Path, rows: Mapping[str, int]) -> dict[int, float]:
    """Row -> class of the photographs that a list of one's own labels."""
    path = folder / _EXTRA
    if not path.is_file():
        return {}
    extra = read_rows(path)
    found: dict[int, float] = {}
    values: FloatArray = extra.numbers("class")
    for line, name, value in zip(extra.lines, extra.column("image"), values.tolist(), strict=True):
        if name not in rows:
            raise DataError(f'{path}:{line}: "{name}" is no photograph of KADIS-700k that is at hand; expected a name '
                            f"of its list, and its folder beside that of KonIQ-10k.")
        if value not in range(_LEVELS):
            raise DataError(f"{path}:{line}: class is {value:g}; expected 0 to {_LEVELS - 1}.")
        if rows[name] in found:
            raise DataError(f'{path}:{line}: "{name}" stands there twice.')
        found[rows[name]] = value
    return found
