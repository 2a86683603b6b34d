"""What readers of official folders share: finding files as people have them, and opening the formats of labels.

Archives were unpacked on many systems: capitals differ, folders are doubled, label files moved. A helper here
looks in the stated places and, where it finds nothing, says which ones those were.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.errors import DataError, near_names
from ssliqa_bench.tabular import Rows, read_rows


class Images:
    """The image files below some folders, found whatever their capitals.

    With `flat`, by the file name alone, in whatever subfolder: for datasets in which no name occurs twice, and whose
    archives were unpacked into different folders. Copies of a file are taken for one; different files are refused.
    """

    def __init__(self, *folders: Path, flat: bool = False) -> None:
        self.folders = tuple(Path(os.path.abspath(folder)) for folder in folders)
        self._flat = flat

    def path(self, name: str) -> str:
        """Where an image is, spelled as it is on disk; where it should be, if it is nowhere.

        Raises:
            DataError: as `found`.
        """
        return self.found(name) or os.path.join(self.folders[0], name)

    def found(self, name: str) -> str:
        """Where an image is, spelled as it is on disk; "" if it is nowhere.

        Raises:
            DataError: two different files may be meant.
        """
        if not self._flat:
            for folder in self.folders:
                exact = os.path.join(folder, name)
                if os.path.isfile(exact):
                    return exact
        return self._files.one(name) or self._by_small_letters.one(name.lower())

    @property
    def names(self) -> Iterable[str]:
        """The names of all files there, as they are on disk."""
        return self._files.first.keys()

    @cached_property
    def _files(self) -> _Paths:
        found = _Paths()
        for home in self.folders:
            for place, below, files in os.walk(home):
                below.sort()
                for file in sorted(files):
                    path = os.path.join(place, file)
                    found.add(file if self._flat else os.path.relpath(path, home), path)
        return found

    @cached_property
    def _by_small_letters(self) -> _Paths:
        found = _Paths()
        for name, path in self._files.first.items():
            found.add(name.lower(), path)
        return found


class _Paths:
    """Names to files; a name that stands for several files is only an error when it is asked for."""

    def __init__(self) -> None:
        self.first: dict[str, str] = {}
        self._further: dict[str, list[str]] = {}

    def add(self, name: str, path: str) -> None:
        """One more file of that name."""
        if self.first.setdefault(name, path) != path:
            self._further.setdefault(name, []).append(path)

    def one(self, name: str) -> str:
        """The file of that name, "" for none."""
        path = self.first.get(name, "")
        for other in self._further.get(name, ()):
            if not filecmp.cmp(path, other, shallow=False):
                raise DataError(f'Image "{name}" may be {path} or {other}, which differ; expected one file of that '
                                f"name. Take the other out of the dataset's folder.")
        return path


def first_file(folder: Path, candidates: Sequence[str | Path], what: str = "label file") -> Path:
    """The first of some files that exists; candidates are relative to the folder, or absolute.

    Raises:
        DataError: none does; names what was looked for and, where one is near, what is there.
    """
    for candidate in candidates:
        if (folder / candidate).is_file():
            return folder / candidate
    places = dict.fromkeys((folder / candidate).parent for candidate in candidates)
    there = sorted(path.name for place in places if place.is_dir() for path in place.iterdir())
    near = [name for candidate in candidates for name in near_names(Path(candidate).name, there, limit=1)]
    hint = f' There is "{near[0]}".' if near else ""
    raise DataError(f"No {what} in {folder}; looked for {', '.join(map(str, candidates))}.{hint}")


def first_folder(folder: Path, candidates: Sequence[str], what: str = "image folder") -> Path:
    """The first of some folders that exists; "." stands for the folder itself.

    Raises:
        DataError: none does.
    """
    for candidate in candidates:
        if (folder / candidate).is_dir():
            return folder / candidate
    raise DataError(f"No {what} in {folder}; looked for {', '.join(candidates)}.")


def meta_info(folder: Path, name: str) -> Path:
    """Where pyiqa's mirror keeps its label file for a dataset: in `meta_info`, beside the dataset's folder.

    Of a folder that is a link, beside the link or beside the folder itself.
    """
    file = f"meta_info_{name}Dataset.csv"
    places = [parent / "meta_info" / file for parent in (Path(os.path.abspath(folder)).parent, folder.resolve().parent)]
    return next((place for place in places if place.is_file()), places[0])


def read_meta_info(path: Path) -> tuple[Rows, Mapping[str, str]]:
    """A label file of pyiqa's mirror, and its names for our columns: image, score, and what else it has.

    Of its splits only `official_split` is taken: the ratio splits of pyiqa are its own.
    """
    rows = read_rows(path)
    known = {
        "image": ("dist_name", "img_name", "Image name"),
        "reference": ("ref_name",),
        "score": ("mos", "dmos"),
        "rating_std": ("std", "mos_std"),
        "split": ("official_split",),
    }
    columns = {ours: name for ours, names in known.items() for name in names if name in rows.header}
    for ours in ("image", "score"):
        if ours not in columns:
            raise DataError(
                f"{path}:1: no column {' or '.join(known[ours])}; found {', '.join(rows.header)}. Expected the "
                f"meta_info file of pyiqa's mirror."
            )
    return rows, columns


def _read_mat(path: Path, variable: str) -> NDArray[Any]:
    """A variable of a MATLAB file, as scipy gives it.

    Raises:
        DataError: unreadable, or the variable is missing (names those that are there).
    """
    from scipy.io import loadmat

    path = first_file(path.parent, (path.name,), "MATLAB file")
    try:
        content = loadmat(path)
    except Exception as error:  # of a page saved in the file's place, scipy raises whatever its parsing meets
        raise DataError(f"{path}: not readable as a MATLAB file ({type(error).__name__}: {error}).") from error
    there = sorted(name for name in content if not name.startswith("__"))
    if variable not in content:
        raise DataError(f'{path}: no variable "{variable}"; found {", ".join(there) or "none"}.')
    return np.asarray(content[variable])


def mat_texts(path: Path, variable: str) -> tuple[str, ...]:
    """The texts of a cell array in a MATLAB file, in its order.

    Raises:
        DataError: unreadable, no such variable (names those that are there), or it is no cell array of texts.
    """
    values = _read_mat(path, variable)
    texts = [np.asarray(cell).ravel() for cell in values.ravel()] if values.dtype == object else []
    if not texts or any(len(text) != 1 or text.dtype.kind != "U" for text in texts):
        raise DataError(f'{path}: variable "{variable}" is {_shown(values)}; expected a cell array of names.')
    return tuple(str(text[0]) for text in texts)


def mat_numbers(path: Path, variable: str) -> NDArray[np.float64]:
    """The numbers of an array in a MATLAB file, in its order.

    Raises:
        DataError: unreadable, no such variable (names those that are there), or it is no array of numbers.
    """
    values = _read_mat(path, variable)
    if values.dtype.kind not in "buif":
        raise DataError(f'{path}: variable "{variable}" is {_shown(values)}; expected an array of numbers.')
    return values.astype(np.float64).ravel()


def _shown(values: NDArray[Any]) -> str:
    kind = {"O": "cells", "U": "text", "V": "a structure"}.get(values.dtype.kind, f"numbers ({values.dtype})")
    return f"{' × '.join(map(str, values.shape))} of {kind}"
