"""NNID: the three lists of the authors, one per subset of night photographs.

Source: Xiang, Yang, Guo, "Blind Night-Time Image Quality Assessment: Subjective and Objective Approaches", IEEE TMM
22(5), 2020. All names of sub1024 occur again in Sub2048 for other pictures, so a name here has its subset in front.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.layout import Images, first_file
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import read_rows

# Folder -> list; the capital S of the third is the archive's.
_SUBSETS = {
    "sub512": "mos512_with_names.txt",
    "sub1024": "mos1024_with_names.txt",
    "Sub2048": "mos2048_with_names.txt",
}
_NAME = re.compile(r"(D\d+_IC\d+)_img\d+\.jpg", re.IGNORECASE)


def read_nnid(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read NNID: MOS on 0 to 1; five pictures of one scene by one device are a group.

    Args:
        folder: `NNID`, with the folders `sub512`, `sub1024`, `Sub2048` and the three lists.
        options: none.

    Raises:
        DataError: a list is missing, or a name is not made as D1_IC01_img1.jpg.
    """
    images = Images(folder)
    labels = {subset: first_file(folder, (file,)) for subset, file in _SUBSETS.items()}
    names: list[str] = []
    groups: list[str] = []
    lines: list[int] = []
    files: list[str] = []
    scores = []
    for subset, path in labels.items():
        rows = read_rows(path, "\t", ("mos", "image"))
        for row, name in enumerate(rows.column("image")):
            found = _NAME.fullmatch(name)
            if found is None:
                raise DataError(f'{path}:{rows.lines[row]}: image name is "{name}"; expected device, content and '
                                f"picture as in D1_IC01_img1.jpg.")
            names.append(f"{subset}/{name}")
            groups.append(f"{subset}/{found.group(1)}")
        lines += rows.lines
        files += [path.name] * len(rows.lines)
        scores.append(rows.numbers("mos"))
    return RawTable(
        name=tuple(names),
        path=tuple(images.path(name) for name in names),
        score=np.concatenate(scores),
        source=", ".join(path.name for path in labels.values()) + f" in {folder}",
        lines=tuple(lines),
        files=tuple(files),
        group=tuple(groups),
    )
