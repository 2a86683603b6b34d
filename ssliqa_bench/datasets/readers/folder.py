"""A folder of photographs without scores: every image file below it, in whatever subfolder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.table import read_csv
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".jp2")
_OPTIONS = ("labels", "images", "columns", "separator")


def read_folder(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read the image files of a folder, known by their endings; other files are left alone.

    Args:
        folder: the folder; names are relative to it.
        options: `labels`, `images`, `columns`, `separator`: as those of `read_csv`, where some of the photographs have
            scores in a label file: these are left out here.

    Raises:
        DataError: there is no image file, or the label file cannot be read.
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise DataError(f"Reader read_folder: unknown option {', '.join(unknown)}; expected {', '.join(_OPTIONS)}.")
    scored = {os.path.realpath(path) for path in read_csv(folder, options).path} if "labels" in options else set()
    names: list[str] = []
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for file in sorted(files):
            path = os.path.join(place, file)
            if not file.startswith(".") and file.lower().endswith(SUFFIXES) and os.path.realpath(path) not in scored:
                names.append(Path(path).relative_to(folder).as_posix())
    if not names:
        others = ", apart from those with a score" if scored else ""
        raise DataError(f"No image file below {folder}{others}; looked for names that end in {', '.join(SUFFIXES)}.")
    return RawTable(
        name=tuple(names),
        path=tuple(os.path.join(folder, name) for name in names),
        score=np.full(len(names), np.nan),
        source=str(folder),
    )
