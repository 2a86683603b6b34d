"""KADIS-700k: pristine photographs and, where somebody has made them, their distorted versions. No scores.

Source: Lin, Hosu, Saupe, "DeepFL-IQA: Weak Supervision for Deep IQA Feature Learning", arXiv 2001.08113. The archive
ships no distorted image. Its generator writes five levels of one distortion per photograph, named
STEM_TYPE_LEVEL.bmp after the first of the two types in the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.layout import Images, first_file, first_folder
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import Rows, read_rows

_LIST = "kadis700k_ref_imgs.csv"
_LEVELS = (1, 2, 3, 4, 5)
_CHOICES = ("pristine", "distorted", "both")


def read_kadis(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read KADIS-700k: images without score; the group is the pristine photograph.

    Of the distorted images those are read that exist. A photograph of which only some of the five levels exist was
    interrupted on the way: the missing ones are then missed like any image.

    Args:
        folder: `kadis700k`, with `kadis700k_ref_imgs.csv`, `ref_imgs` and perhaps `dist_imgs`.
        options: `images`: `pristine` (default), `distorted` or `both`; `photographs`: how many the list has to have,
            since the number of distorted images says nothing about it.

    Raises:
        DataError: a file or folder is missing, or there is no distorted image where those are asked for.
    """
    choice = str(options.get("images", "pristine"))
    if choice not in _CHOICES:
        raise DataError(f'Reader read_kadis: option images is "{choice}"; expected one of {", ".join(_CHOICES)}.')
    rows = read_rows(first_file(folder, (_LIST,)))
    expected = options.get("photographs")
    if expected is not None and len(rows.cells) != expected:
        raise DataError(f"{rows.source}: lists {len(rows.cells)} photographs; expected {expected}.")
    columns: dict[str, list[str]] = {name: [] for name in ("name", "path", "reference", "group", "kind", "level")}
    lines: list[int] = []

    def add(row: int, *values: str) -> None:
        lines.append(rows.lines[row])
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)

    photographs = rows.column("ref_im")
    place = folder / "ref_imgs" if choice == "distorted" else first_folder(folder, ("ref_imgs",))
    pristine = Images(place, flat=choice == "distorted")
    if choice != "distorted":
        for row, photograph in enumerate(photographs):
            add(row, photograph, pristine.path(photograph), "", photograph, "", "")
    if choice != "pristine":
        distorted = Images(folder / "dist_imgs", flat=True)
        for row, (photograph, kind) in enumerate(zip(photographs, _types(rows), strict=True)):
            stem = f"{Path(photograph).stem}_{kind}"
            names = [f"{stem}_{level:02d}.bmp" for level in _LEVELS]
            # Bitmaps of that size fill a disk; the same image as PNG is the same image.
            paths = [distorted.found(name) or distorted.found(name[:-4] + ".png") for name in names]
            if any(paths):
                reference = pristine.found(photograph)
                for level, name, path in zip(_LEVELS, names, paths, strict=True):
                    add(row, name, path or distorted.path(name), reference, photograph, kind, str(level))
        if not any(columns["kind"]):
            raise DataError(
                f"No distorted images in {distorted.folders[0]}; expected files named STEM_TYPE_LEVEL.bmp after the "
                f'rows of {_LIST}. The archive ships none; "ssliqa-bench data prepare kadis --distort" makes them.'
            )
    return RawTable(
        name=tuple(columns["name"]),
        path=tuple(columns["path"]),
        score=np.full(len(lines), np.nan),
        source=rows.source,
        lines=tuple(lines),
        reference=tuple(columns["reference"]) if choice != "pristine" else None,
        group=tuple(columns["group"]),
        distortion=tuple(columns["kind"]) if choice != "pristine" else None,
        level=tuple(columns["level"]) if choice != "pristine" else None,
    )


def _types(rows: Rows) -> list[str]:
    kinds = rows.column("dist_type_1")
    for row, kind in enumerate(kinds):
        if not (kind.isdigit() and 1 <= int(kind) <= 25):
            raise DataError(f'{rows.source}:{rows.lines[row]}: dist_type_1 is "{kind}"; expected 1 to 25.')
    return [f"{int(kind):02d}" for kind in kinds]
