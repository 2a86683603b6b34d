"""KonIQ-10k: the authors' label files, or that of pyiqa's mirror.

Source: Hosu, Lin, Sziranyi, Saupe, "KonIQ-10k", IEEE TIP 29, 2020. In `koniq10k_distributions_sets.csv` the
column MOS is on 0 to 100; in `koniq10k_scores_and_distributions.csv` it is the mean rating on 1 to 5, and the
score on 0 to 100 is MOS_zscore. SD is that of the ratings on 1 to 5 in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.layout import Images, first_file, first_folder, meta_info, read_meta_info
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import Rows, read_rows

_SETS = "koniq10k_distributions_sets.csv"
_SCORES = "koniq10k_scores_and_distributions.csv"
_LEVELS = ("c1", "c2", "c3", "c4", "c5")
_PER_LEVEL = 25.0  # native units from one rating level to the next: 0 to 100 over four steps


def read_koniq(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read KonIQ-10k: score, spread of the ratings in its units, shares of the five levels, split.

    Args:
        folder: holds the label files and the image folders.
        options: `images`: the image folder, `512x384` or `1024x768`; `score`: `scaled` (0 to 100) or `mean rating`
            (1 to 5).

    Raises:
        DataError: a file or folder is missing, or scores are on the other scale.
    """
    images = Images(_image_folder(folder, str(options.get("images", "512x384"))))
    labels = first_file(folder, (_SETS, _SCORES, meta_info(folder, "KonIQ10k")))
    if labels.name == _SETS:
        rows, column = read_rows(labels), {"image": "image_name", "score": "MOS", "split": "set"}
    elif labels.name == _SCORES:
        rows, column = read_rows(labels), {"image": "image_name", "score": "MOS_zscore"}
    else:
        rows, found = read_meta_info(labels)
        column = dict(found)
    score = rows.numbers(column["score"])
    if len(score):
        _check_scale(rows, column["score"], float(score.max()))
    names = tuple(Path(name).name for name in rows.column(column["image"]))
    levels = [rows.numbers(name) for name in _LEVELS] if set(_LEVELS) <= set(rows.header) else None
    # pyiqa's mirror does not say on which scale its spread is, so it is not taken.
    spread = rows.numbers("SD") if "SD" in rows.header else None
    wanted = options.get("score", "scaled")
    if wanted == "scaled":
        spread = None if spread is None else spread * _PER_LEVEL
    elif wanted == "mean rating":
        if levels is None:
            raise DataError(f"{rows.source}:1: no columns {', '.join(_LEVELS)}, of which the mean rating is made.")
        score = np.average(np.tile(np.arange(1.0, 6.0), (len(names), 1)), axis=1, weights=np.stack(levels, axis=1))
    else:
        raise DataError(f'Option score is "{wanted}"; expected scaled or mean rating.')
    return RawTable(
        name=names,
        path=tuple(images.path(name) for name in names),
        score=score,
        source=rows.source,
        lines=rows.lines,
        rating_std=spread,
        distribution=np.stack(levels, axis=1) if levels else None,
        split=tuple(rows.column(column["split"])) if "split" in column else None,
    )


def _image_folder(folder: Path, wanted: str) -> Path:
    others = [name for name in ("512x384", "1024x768") if name != wanted and (folder / name).is_dir()]
    if others and not (folder / wanted).is_dir():
        raise DataError(
            f"No folder {folder / wanted}, but {others[0]}: images of another size, which give other results. "
            f'Fetch the archive of the {wanted} images, or use the entry for these ("ssliqa-bench list datasets").'
        )
    return first_folder(folder, (wanted,))


def _check_scale(rows: Rows, column: str, largest: float) -> None:
    if largest <= 5.0:
        raise DataError(
            f"{rows.source}: {column} reaches {largest:g}, so it is the mean rating on 1 to 5; expected "
            f"the score on 0 to 100 (column MOS of {_SETS}, MOS_zscore of {_SCORES})."
        )
