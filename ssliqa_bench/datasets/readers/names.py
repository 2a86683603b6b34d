"""Image names of a label file, matched with the files of a folder.

Names are relative to the image folder. People's lists name files as their own machine did: with backslashes, with the
whole path, with the folder once more in front, in other capitals. Where every name of a list can be meant in only one
way it is read so, and logged; what is left has no file and is reported with near names by whoever checks the table.
"""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from ssliqa_bench.errors import DataError, near_names
from ssliqa_bench.pixels.formats import is_image_name, is_system_folder
from ssliqa_bench.tabular import Rows

LOG = logging.getLogger("ssliqa_bench")

_DRIVE = re.compile(r"[A-Za-z]:/")
_NEAR = 2
# How a name may differ from that of its file.
_CAPITALS, _FOLDER, _ENDING = "have other capitals or accents", "lack their sub-folder", "lack their ending"


def images_below(
    rows: Rows, folder: Path, names: Sequence[str], *, empty_allowed: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The name of each image relative to the folder, with slashes, and the absolute path of its file.

    An empty name stays empty where that is allowed. A path without a file is where the file should be.

    Raises:
        DataError: a name is empty, leads out of the folder, or is a path of another folder.
    """
    home = os.path.abspath(folder)
    spelled = _relative(rows, home, _with_slashes(rows, home, names))
    for i, name in enumerate(spelled):
        # Names reach records and boards, where a path of this machine has no place.
        if _is_absolute(name) or ".." in name.split("/") or not (name or empty_allowed):
            found = f'"{name}"' if name else "nothing"
            raise DataError(f"{rows.place(i)}: image name is {found}; expected a name below {folder}."
                            f"{_hint(name, home)}")  # fmt: skip
    spelled = _folder_once(rows, home, spelled)
    paths = [os.path.join(home, name) if name else "" for name in spelled]
    missing = [i for i, path in enumerate(paths) if path and not os.path.isfile(path)]
    if missing and os.path.isdir(home):
        _find_others(rows, home, spelled, paths, missing)
    return tuple(spelled), tuple(paths)


def near_files(path: str) -> list[str]:
    """Names in the folder of a file that is not there which look like its name."""
    place, name = os.path.split(path)
    try:
        there = os.listdir(place)
    except OSError:
        return []
    return near_names(name, there, limit=_NEAR)


def _with_slashes(rows: Rows, home: str, names: Sequence[str]) -> list[str]:
    changed = [i for i, name in enumerate(names) if "\\" in name and not os.path.isfile(os.path.join(home, name))]
    if changed:
        LOG.warning('%s: %d of %d names hold backslashes; read as folders (first: "%s").',
                    rows.source, len(changed), len(names), names[changed[0]])  # fmt: skip
    found = list(names)
    for i in changed:
        found[i] = names[i].replace("\\", "/")
    return found


def _relative(rows: Rows, home: str, names: list[str]) -> list[str]:
    """Whole paths as names relative to the folder, where all of them can be read in one way."""
    whole = [i for i, name in enumerate(names) if _is_absolute(name)]
    if not whole:
        return names
    paths = [_DRIVE.sub("/", names[i]) for i in whole]
    folder = os.path.basename(home).lower()
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    ways: tuple[Callable[[str], str | None], ...] = (
        lambda path: _below(path, home),
        lambda path: _below(os.path.realpath(path), os.path.realpath(home)),
        lambda path: _behind(path, folder),
        lambda path: _below(path, common),
    )
    for number, way in enumerate(ways):
        found = [way(path) for path in paths]
        # Paths below the folder are right by themselves; others have to lead to a file.
        if all(name and (number < 2 or os.path.isfile(os.path.join(home, name))) for name in found):
            LOG.warning('%s: %d of %d names are whole paths; read relative to the image folder (first: "%s" as "%s").',
                        rows.source, len(whole), len(names), names[whole[0]], found[0])  # fmt: skip
            for i, name in zip(whole, found, strict=True):
                names[i] = str(name)
            break
    return names


def _folder_once(rows: Rows, home: str, names: list[str]) -> list[str]:
    """Names that begin with the folder itself, without it, where that leads to files and the names do not."""
    named = [i for i, name in enumerate(names) if name]
    if not named or os.path.isfile(os.path.join(home, names[named[0]])):
        return names
    folder = os.path.basename(home).lower()
    found = [_behind(f"/{names[i]}", folder) for i in named]
    if not all(name and os.path.isfile(os.path.join(home, name)) for name in found):
        return names
    LOG.warning('%s: the names begin with the image folder, which is left out (first: "%s" as "%s").',
                rows.source, names[named[0]], found[0])  # fmt: skip
    for i, name in zip(named, found, strict=True):
        names[i] = str(name)
    return names


def _find_others(rows: Rows, home: str, names: Sequence[str], paths: list[str], missing: Sequence[int]) -> None:
    """Put the one file that a missing name can mean in its place: other capitals, another folder, no ending."""
    known = _Files(home)
    found: dict[str, list[int]] = {}
    for i in missing:
        way, file = known.find(names[i])
        if way:
            paths[i] = os.path.join(home, file)
            found.setdefault(way, []).append(i)
    for way, changed in found.items():
        first = changed[0]
        LOG.warning('%s: %d of %d names %s (first: "%s" is %s).', rows.source, len(changed), len(names), way,
                    names[first], os.path.relpath(paths[first], home))  # fmt: skip


class _Files:
    """The image files of a folder, found by other spellings of their names: the nearest spelling first."""

    def __init__(self, home: str) -> None:
        self._ways: dict[str, dict[str, list[str]]] = {_CAPITALS: {}, _FOLDER: {}, _ENDING: {}}
        for place, below, files in os.walk(home):
            below[:] = sorted(name for name in below if not is_system_folder(name))
            for file in filter(is_image_name, sorted(files)):
                name = os.path.relpath(os.path.join(place, file), home).replace(os.sep, "/")
                small = _small(name)
                spellings = (small, PurePosixPath(small).name, small.rpartition(".")[0])
                for way, spelling in zip(self._ways, spellings, strict=True):
                    self._ways[way].setdefault(spelling, []).append(name)

    def find(self, name: str) -> tuple[str, str]:
        """How a name differs from that of the one file that it can mean, and the file; empty texts for none."""
        small = _small(name)
        # A name with an ending never means a file with another one: that may be another picture.
        stem = "" if is_image_name(name) else small
        spellings = {_CAPITALS: small, _FOLDER: PurePosixPath(small).name, _ENDING: stem}
        for way, spelling in spellings.items():
            files = self._ways[way].get(spelling, [])
            if files:
                return (way, files[0]) if len(files) == 1 else ("", "")
        return "", ""


def _small(name: str) -> str:
    """A name without the differences that file systems and people overlook: capitals, and how accents are composed."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_absolute(name: str) -> bool:
    return name.startswith("/") or bool(_DRIVE.match(name))


def _below(path: str, folder: str) -> str | None:
    prefix = folder.rstrip("/") + "/"
    return path.removeprefix(prefix) if path.startswith(prefix) else None


def _behind(path: str, folder: str) -> str | None:
    """What follows the last part of a path that is called as the folder."""
    parts = path.split("/")
    places = [k for k, part in enumerate(parts[:-1]) if part.lower() == folder]
    return "/".join(parts[places[-1] + 1 :]) if places else None


def _hint(name: str, home: str) -> str:
    file = PurePosixPath(name).name
    if file and os.path.isfile(os.path.join(home, file)):
        return f' "{file}" is there: write the names relative to the folder.'
    near = near_files(os.path.join(home, file)) if file else []
    return f" Near: {', '.join(near)}." if near else ""
