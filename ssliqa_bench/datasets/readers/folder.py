"""A folder of photographs without scores: every image file below it, in whatever subfolder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.image_folders import FoundFiles
from ssliqa_bench.datasets.readers.table import read_csv
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.pixels.formats import image_endings

_OPTIONS = ("labels", "images", "columns", "separator", "decimal")


def read_folder(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read the image files of a folder, known by their endings; how many other files there are is logged.

    Hidden files, broken links, linked folders and what systems keep beside photographs (thumbnails in `@eaDir`) are
    no photographs.

    Args:
        folder: the folder; names are relative to it.
        options: `labels`, `images`, `columns`, `separator`, `decimal`: as those of `read_csv`, where some of the
            photographs have scores in a label file: these are left out here.

    Raises:
        DataError: there is no image file, or the label file cannot be read.
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise DataError(f"Reader read_folder: unknown option {', '.join(unknown)}; expected {', '.join(_OPTIONS)}.")
    scored = _scored(folder, options) if "labels" in options else set()
    found = FoundFiles(folder).walk()
    paths = [path for path in found.images if os.path.realpath(path) not in scored]
    found.warn()
    if not paths:
        others = ", apart from those with a score" if scored else ""
        left_out = found.left_out()
        raise DataError(f"No image file below {folder}{others}; looked for names that end in "
                        f"{', '.join(image_endings())}.{f' {left_out}' if left_out else ''}")  # fmt: skip
    return RawTable(
        name=tuple(Path(path).relative_to(folder).as_posix() for path in paths),
        path=tuple(paths),
        score=np.full(len(paths), np.nan),
        source=str(folder),
    )


def _scored(folder: Path, options: Mapping[str, Any]) -> set[str]:
    """The files of a label file. How scores follow from individual ratings, and whether they do, is not looked at."""
    return {os.path.realpath(path) for path in read_csv(folder, {**options, "unlabeled": True}).path}
