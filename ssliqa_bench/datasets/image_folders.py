"""The photographs below a folder, and a count of what else is there: the same for every command that takes a folder."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ssliqa_bench.errors import DataError
from ssliqa_bench.pixels.formats import HEIF_ADVICE, HEIF_ENDINGS, is_image_name, is_system_folder
from ssliqa_bench.text import printable

LOG = logging.getLogger("ssliqa_bench")


class FoundFiles:
    """The files of a folder: photographs, files that a caller asks for, and how many others of which kind.

    Hidden files, broken links, folders reached by a link and what systems keep beside photographs (thumbnails in
    `@eaDir`) are no photographs. All but hidden ones are counted.

    Attributes:
        images: paths of the photographs; the names of each folder sorted.
        others: paths of files for which `wanted` holds.
    """

    def __init__(self, root: Path | str = "", wanted: Callable[[str], bool] = lambda path: False) -> None:
        """Nothing yet.

        Args:
            root: a folder, relative to which messages name files.
            wanted: for paths of further files that are kept, in `others`.
        """
        self.images: list[str] = []
        self.others: list[str] = []
        self._root, self._wanted = str(root), wanted
        self._left: Counter[str] = Counter()
        self._first = ""

    def walk(self, skip: Callable[[str], bool] = lambda folder: False) -> FoundFiles:
        """Look through the folder; those below it for which `skip` holds are passed over.

        Raises:
            DataError: a folder cannot be read.
        """
        for place, below, files in os.walk(self._root, onerror=_stop):
            below[:] = [name for name in sorted(below) if self._enters(os.path.join(place, name), skip)]
            for file in sorted(files):
                self.add(os.path.join(place, file))
        return self

    def add(self, path: str) -> None:
        """One more file."""
        file = os.path.basename(path)
        if file.startswith("."):
            return
        if os.path.isdir(path):
            self._leave("folders", path)
        elif self._wanted(path) and os.path.isfile(path):
            self.others.append(path)
        elif not is_image_name(file):
            self._leave(os.path.splitext(file)[1].lower() or "without ending", path)
        elif not os.path.exists(path):
            self._leave("broken links", path)
        elif not os.path.isfile(path):
            self._leave("pipes and devices", path)
        else:
            self.images.append(path)

    def left_out(self) -> str:
        """What was left out, as a sentence; "" for nothing."""
        if not self._left:
            return ""
        total = sum(self._left.values())
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self._left.items()))
        heif = any(ending in self._left for ending in HEIF_ENDINGS)
        advice = f" HEIC: {HEIF_ADVICE}." if heif else ""
        return printable(f"{total} file{'s' if total > 1 else ''} left out (first: {self._first}): {kinds}.{advice}")

    def warn(self, name: str = "") -> None:
        """Log what was left out of what; the folder unless named."""
        if left_out := self.left_out():
            LOG.warning("%s: %s", printable(name or self._root), left_out)

    def _enters(self, folder: str, skip: Callable[[str], bool]) -> bool:
        name = os.path.basename(folder)
        if is_system_folder(name):
            if not name.startswith("."):
                self._skip_system_folder(folder, name)
            return False
        if os.path.islink(folder):
            self._leave("linked folders", folder)
            return False
        return not skip(folder)

    def _skip_system_folder(self, path: str, name: str) -> None:
        """The images in it are counted and are no photographs."""
        for place, _, files in os.walk(path):
            for file in filter(is_image_name, sorted(files)):
                self._leave(f"in {name}", os.path.join(place, file))

    def _leave(self, kind: str, path: str) -> None:
        self._first = self._first or os.path.relpath(path, self._root or None)
        self._left[kind] += 1


def _stop(error: OSError) -> None:
    raise DataError(f"{error.filename}: the folder cannot be read ({error.strerror}); expected one whose files may be "
                    f"listed.") from error  # fmt: skip
