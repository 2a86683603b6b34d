"""TID2013 and TID2008: the official list, or the label file of pyiqa's mirror.

Source: Ponomarenko et al., "Image database TID2013: Peculiarities, results and perspectives", Signal Processing:
Image Communication 30, 2015. Names are iRR_TT_L.bmp: reference, type, level. Capitals differ from row to row, and
between the list and the disk. `mos_std.txt` holds the standard error of the mean, not the spread of the ratings,
and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.readers.layout import Images, first_file, first_folder, meta_info, read_meta_info
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import read_rows

_NAME = re.compile(r"i(\d\d)_(\d\d)_(\d)\.bmp", re.IGNORECASE)


def read_tid(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read TID: MOS on 0 to 9; group is the reference `I01` to `I25`, distortion the two-digit code of the type.

    Args:
        folder: `tid2013` or `tid2008`, with `distorted_images`, `reference_images` and `mos_with_names.txt`.
        options: `year`: 2013 or 2008, for the name of the mirror's label file.

    Raises:
        DataError: a file or folder is missing, or a name is not made as iRR_TT_L.bmp.
    """
    images = Images(first_folder(folder, ("distorted_images",)))
    references = Images(folder / "reference_images")
    mirror = meta_info(folder, f"TID{options.get('year', 2013)}")
    labels = first_file(folder, ("mos_with_names.txt", mirror))
    if labels == mirror:
        rows, column = read_meta_info(labels)
    else:
        rows, column = read_rows(labels, " ", ("mos", "image")), {"image": "image", "score": "mos"}
    names = tuple(Path(name).name for name in rows.column(column["image"]))
    parts = [_NAME.fullmatch(name) for name in names]
    for row, found in enumerate(parts):
        if found is None:
            raise DataError(f'{rows.source}:{rows.lines[row]}: image name is "{names[row]}"; expected iRR_TT_L.bmp, '
                            f"two digits of reference, two of type, one of level.")
    codes = [found.groups() for found in parts if found]
    return RawTable(
        name=names,
        path=tuple(images.path(name) for name in names),
        score=rows.numbers(column["score"]),
        source=rows.source,
        lines=rows.lines,
        reference=tuple(references.found(f"I{reference}.BMP") for reference, _, _ in codes),
        group=tuple(f"I{reference}" for reference, _, _ in codes),
        distortion=tuple(kind for _, kind, _ in codes),
        level=tuple(level for _, _, level in codes),
    )
