"""SPAQ: the authors' workbook of scores, or the label file of pyiqa's mirror.

Source: Fang, Zhu, Zeng, Ma, Wang, "Perceptual Quality Assessment of Smartphone Photography", CVPR 2020. Only the
columns of names and scores are read: the workbook of EXIF tags has a Brightness of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.readers.layout import Images, first_file, first_folder, meta_info, read_meta_info
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.tabular.workbook import read_workbook

_WORKBOOK = "MOS and Image attribute scores.xlsx"
_FOLDERS = ("Annotations", "annotations", "Dataset/Annotations", "Dataset/annotations", ".")


def read_spaq(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read SPAQ: MOS on 0 to 100.

    Args:
        folder: `SPAQ`, with `TestImage` and `Annotations`.
        options: none.

    Raises:
        DataError: a file, folder or column is missing.
    """
    images = Images(first_folder(folder, ("TestImage", "Dataset/TestImage")))
    mirror = meta_info(folder, "SPAQ")
    labels = first_file(folder, (*(f"{place}/{_WORKBOOK}" for place in _FOLDERS), mirror), "workbook of scores")
    reads: tuple[str, ...] = ()
    if labels == mirror:
        rows, column = read_meta_info(labels)
    else:
        rows, column = read_workbook(labels, ("Image name", "MOS")), {"image": "Image name", "score": "MOS"}
        reads = (str(labels),)
    names = tuple(Path(name).name for name in rows.column(column["image"]))
    return RawTable(
        name=names,
        path=tuple(images.path(name) for name in names),
        score=rows.numbers(column["score"]),
        source=rows.source,
        lines=rows.lines,
        split=tuple(rows.column(column["split"])) if "split" in column else None,
        reads=reads,
    )
