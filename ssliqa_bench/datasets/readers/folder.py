"""A folder of photographs without scores: every image file below it, in whatever subfolder."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.readers.table import read_csv
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.pixels.formats import HEIF_ADVICE, HEIF_ENDINGS, image_endings, is_image_name, is_system_folder

LOG = logging.getLogger("ssliqa_bench")

_OPTIONS = ("labels", "images", "columns", "separator", "decimal")


def read_folder(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read the image files of a folder, known by their endings; how many other files there are is logged.

    Hidden files, broken links and what systems keep beside photographs (thumbnails in `@eaDir`) are no photographs.

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
    scored = {os.path.realpath(path) for path in read_csv(folder, options).path} if "labels" in options else set()
    found = _Found()
    for place, below, files in os.walk(folder):
        system = [name for name in below if is_system_folder(name)]
        for name in system:
            found.skip_folder(os.path.join(place, name))
        below[:] = sorted(name for name in below if name not in system)
        for file in sorted(files):
            found.add(Path(os.path.join(place, file)).relative_to(folder).as_posix(), os.path.join(place, file))
    names = [name for name in found.images if os.path.realpath(os.path.join(folder, name)) not in scored]
    left_out = found.left_out()
    if left_out:
        LOG.warning("%s: %s", folder, left_out)
    if not names:
        others = ", apart from those with a score" if scored else ""
        raise DataError(f"No image file below {folder}{others}; looked for names that end in "
                        f"{', '.join(image_endings())}.{f' {left_out}' if left_out else ''}")  # fmt: skip
    return RawTable(
        name=tuple(names),
        path=tuple(os.path.join(folder, name) for name in names),
        score=np.full(len(names), np.nan),
        source=str(folder),
    )


class _Found:
    """The files of a folder: photographs, and how many others of which kind."""

    def __init__(self) -> None:
        self.images: list[str] = []
        self._others: Counter[str] = Counter()
        self._first = ""

    def add(self, name: str, path: str) -> None:
        """One more file, by its name relative to the folder."""
        file = os.path.basename(path)
        if file.startswith("."):
            return
        if not is_image_name(file):
            self._leave(os.path.splitext(file)[1].lower() or "without ending", name)
        elif not os.path.exists(path):
            self._leave("broken links", name)
        elif not os.path.isfile(path):
            self._leave("pipes and devices", name)
        else:
            self.images.append(name)

    def skip_folder(self, path: str) -> None:
        """A folder of the system, not a hidden one: the images in it are counted and are no photographs."""
        name = os.path.basename(path)
        if name.startswith("."):
            return
        for _, _, files in os.walk(path):
            for file in filter(is_image_name, sorted(files)):
                self._leave(f"in {name}", os.path.join(name, file))

    def left_out(self) -> str:
        """What was left out, as a sentence; "" for nothing."""
        if not self._others:
            return ""
        total = sum(self._others.values())
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self._others.items()))
        heif = any(ending in self._others for ending in HEIF_ENDINGS)
        advice = f" HEIC: {HEIF_ADVICE}." if heif else ""
        return f"{total} file{'s' if total > 1 else ''} left out (first: {self._first}): {kinds}.{advice}"

    def _leave(self, kind: str, name: str) -> None:
        self._first = self._first or name
        self._others[kind] += 1
