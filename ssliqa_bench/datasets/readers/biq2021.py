"""BIQ2021: the authors' lists for training and testing, and one folder of images.

Source: Ahmed, Asif, "BIQ2021: a large-scale blind image quality assessment database", Journal of Electronic Imaging
31(5), 2022, and the authors' repository. The training list ends in two columns without name or content. The first
word of an image name is the part of the collection that it comes from: `ss03 (N).jpg`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.layout import Images, first_file, first_folder
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import read_rows

_LISTS = {"train": "Train (Images and MOS).csv", "test": "Test (Images and MOS).csv"}
_PART = re.compile(r"(ss0[123]) \(\d+\)\.jpg")


def read_biq2021(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read BIQ2021: MOS on 0 to 1, the official split, the part of each image.

    Args:
        folder: holds both lists and the folder `Images`.
        options: none.

    Raises:
        DataError: a list or the image folder is missing, or a name has no part.
    """
    images = Images(first_folder(folder, ("Images",)))
    tables = {split: read_rows(first_file(folder, (name,))) for split, name in _LISTS.items()}
    names, parts, splits, lines, files = [], [], [], [], []
    for split, rows in tables.items():
        for name, line in zip(rows.column("Image Name"), rows.lines, strict=True):
            found = _PART.fullmatch(name)
            if found is None:
                raise DataError(f'{rows.source}:{line}: image name is "{name}"; expected "PART (N).jpg", the part '
                                f"ss01, ss02 or ss03.")  # fmt: skip
            names.append(name)
            parts.append(found[1])
            splits.append(split)
            lines.append(line)
            files.append(rows.source)
    return RawTable(
        name=tuple(names),
        path=tuple(images.path(name) for name in names),
        score=np.concatenate([rows.numbers("MOS") for rows in tables.values()]),
        source=str(folder),
        lines=tuple(lines),
        files=tuple(files),
        split=tuple(splits),
        part=tuple(parts),
    )
