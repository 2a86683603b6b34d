"""KADID-10k: the authors' label file, or that of pyiqa's mirror.

Source: Lin, Hosu, Saupe, "KADID-10k: A Large-scale Artificially Distorted IQA Database", QoMEX 2019. The column
`dmos` is a mean rating on 1 to 5, higher is better, and `var` is the standard deviation of the 30 ratings, not
their variance: ratings of whole numbers give the printed values that way only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.readers.layout import Images, first_file, meta_info, read_meta_info
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import read_rows

_NAME = re.compile(r"(I\d\d)_(\d\d)_(\d\d)\.png", re.IGNORECASE)
_PARTS = tuple(f"kadid10k_part{k}" for k in (1, 2, 3))


def read_kadid(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read KADID-10k: mean rating on 1 to 5, higher is better, and the standard deviation of the ratings.

    Args:
        folder: `kadid10k`, with `images` and `dmos.csv`, or a folder with the three parts of the download.
        options: none.

    Raises:
        DataError: a file or folder is missing, or a name is not made as IRR_TT_LL.png.
    """
    homes = [home for home in (folder, *(folder / part for part in _PARTS)) if (home / "images").is_dir()]
    if not homes:
        raise DataError(f"No image folder in {folder}; looked for images, {', '.join(f'{p}/images' for p in _PARTS)}.")
    images = Images(*(home / "images" for home in homes))
    mirror = meta_info(folder, "KADID10k")
    labels = first_file(folder, ("dmos.csv", *(f"{part}/dmos.csv" for part in _PARTS), mirror))
    if labels == mirror:
        rows, found = read_meta_info(labels)
        column = dict(found)
    else:
        rows = read_rows(labels)
        column = {"image": "dist_img", "score": "dmos", "rating_std": "var"}
    names = tuple(Path(name).name for name in rows.column(column["image"]))
    parts = [_NAME.fullmatch(name) for name in names]
    for row, match in enumerate(parts):
        if match is None:
            raise DataError(f'{rows.source}:{rows.lines[row]}: image name is "{names[row]}"; expected IRR_TT_LL.png, '
                            f"two digits each of reference, type and level.")
    codes = [match.groups() for match in parts if match]
    return RawTable(
        name=names,
        path=tuple(images.path(name) for name in names),
        score=rows.numbers(column["score"]),
        source=rows.source,
        lines=rows.lines,
        rating_std=rows.numbers(column["rating_std"]) if "rating_std" in column else None,
        reference=tuple(images.found(f"{reference.upper()}.png") for reference, _, _ in codes),
        group=tuple(f"{reference.upper()}.png" for reference, _, _ in codes),
        distortion=tuple(kind for _, kind, _ in codes),
        level=tuple(str(int(level)) for _, _, level in codes),
    )
