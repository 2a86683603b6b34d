"""A dataset as a table: what a reader found (`RawTable`), and what the rest of the package works with (`Table`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.types import FloatArray, IntArray


@dataclass(frozen=True)
class Table:
    """A dataset as read: one row per image, all columns of length n, nothing on disk decoded yet.

    Attributes:
        dataset: canonical id.
        name: image names, unique, as the official files spell them.
        path: absolute path of each image file.
        score: native opinion score, turned so that higher is better; NaN for an image without score.
        score01: the same mapped to [0, 1] by the registry's scale; may leave it where scores leave the scale.
        group: what must not be torn between train and test.
        scale_width: native units from 0 to 1 of `score01`.
        split_as: the dataset whose random splits and budgets it shares, "" for its own.
        rating_std: standard deviation of the ratings in native units, NaN where that is unknown, or None.
        distribution: shares of the rating levels, shape (n, P), worst level first, rows sum to 1, or None.
        reference: path of the pristine image, "" where there is none, or None.
        distortion, level, split, role, part: as the dataset states them, "" where it does not, or None; a part is a
            named share of the images, such as one of the collections that a dataset was put together from.
        n_ratings: how many ratings each score is the mean of, NaN where that is unknown, or None.
    """

    dataset: str
    name: tuple[str, ...]
    path: tuple[str, ...]
    score: FloatArray
    score01: FloatArray
    group: tuple[str, ...]
    scale_width: float = 1.0
    split_as: str = ""
    rating_std: FloatArray | None = None
    distribution: FloatArray | None = None
    reference: tuple[str, ...] | None = None
    distortion: tuple[str, ...] | None = None
    level: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    role: tuple[str, ...] | None = None
    part: tuple[str, ...] | None = None
    n_ratings: FloatArray | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.name)

    @property
    def rating_std01(self) -> FloatArray | None:
        """`rating_std` on the scale of `score01`, for learners; None unless that of every image with a score is known,
        so that it does not depend on which images keep their score whether there is one."""
        if self.rating_std is None or np.isnan(self.rating_std[np.isfinite(self.score)]).any():
            return None
        return self.rating_std / self.scale_width

    def take(self, rows: Sequence[int] | IntArray) -> Table:
        """The same columns for some rows, in the order given."""
        index = np.asarray(rows, dtype=np.int64)
        columns: dict[str, Any] = {}
        for column in ("name", "path", "group", "reference", "distortion", "level", "split", "role", "part"):
            value = getattr(self, column)
            columns[column] = None if value is None else tuple(value[i] for i in index)
        for column in ("score", "score01", "rating_std", "distribution", "n_ratings"):
            value = getattr(self, column)
            columns[column] = None if value is None else value[index]
        return replace(self, **columns)


@dataclass(frozen=True)
class RawTable:
    """What a reader found, one entry per image in every column, in the dataset's own direction.

    Attributes:
        name: image names, relative to the image folder, as the official files spell them.
        path: where each image file should be; that it is there is checked later.
        score: native scores, shape (n,); NaN where an image has none.
        source, lines: the label file, and the line of each image in it, for messages.
        files: the label file of each image, where they are several.
        distribution: counts or shares of the rating levels, shape (n, P), the lowest native level first.
        reference: path of the pristine image, "" where there is none.
        group: what must not be torn between train and test, "" for an image on its own.
        rating_std, distortion, level, split, role, part, n_ratings: as in `Table`; None where the dataset has no such
            column. Without `n_ratings`, a distribution of counts gives them.
        reads: every file that the reader opened, where opening them is slow or needs a heavy library; what was
            read is then kept beside the image cache until one of them changes.
        scores_from: "ratings" where the scores follow from ratings; "" where they are stated.
        ratings_model: of `opinion.MODELS`, by which scores follow from individual ratings; "" without any.
        unofficial: images whose scores come from a list that no source of the dataset passes on.
    """

    name: tuple[str, ...]
    path: tuple[str, ...]
    score: FloatArray
    source: str
    lines: tuple[int, ...] | None = None
    rating_std: FloatArray | None = None
    distribution: FloatArray | None = None
    reference: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    distortion: tuple[str, ...] | None = None
    level: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    role: tuple[str, ...] | None = None
    part: tuple[str, ...] | None = None
    n_ratings: FloatArray | None = None
    reads: tuple[str, ...] = ()
    files: tuple[str, ...] | None = None
    scores_from: str = ""
    ratings_model: str = ""
    unofficial: tuple[str, ...] = ()

    def without(self, rows: Collection[int]) -> RawTable:
        """The same without some rows."""
        gone = set(rows)
        kept = [row for row in range(len(self.name)) if row not in gone]
        columns: dict[str, Any] = {}
        for column in _PER_ROW:
            values = getattr(self, column)
            if values is not None:
                columns[column] = values[kept] if isinstance(values, np.ndarray) else tuple(values[row] for row in kept)
        names = set(columns["name"])
        return replace(self, **columns, unofficial=tuple(name for name in self.unofficial if name in names))

    @property
    def extent(self) -> str:
        """How many rows were read and on which lines, as words: none is joined with another or left out."""
        if self.ratings_model:
            return f"{len(self.name)} images, each with its rows of ratings"
        if not self.lines or self.files is not None:
            return f"{len(self.name)} rows"
        first, last = min(self.lines), max(self.lines)
        blank = last - first + 1 - len(self.lines)
        return f"{len(self.lines)} rows on lines {first} to {last}" + (f", {blank} of them blank" if blank else "")

    def place(self, row: int) -> str:
        """The place of a row, for messages: `line 3 `, or `list.txt:3 ` where there are several; "" if unknown."""
        if self.lines is None:
            return ""
        return f"line {self.lines[row]} " if self.files is None else f"{self.files[row]}:{self.lines[row]} "


# Columns with one value per image.
_PER_ROW = ("name", "path", "score", "lines", "rating_std", "distribution", "reference", "group", "distortion", "level",
            "split", "role", "part", "n_ratings", "files")  # fmt: skip

Reader = Callable[[Path, Mapping[str, Any]], RawTable]
