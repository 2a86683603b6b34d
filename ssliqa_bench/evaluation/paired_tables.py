"""Two sets of predictions for the same images: which is better, where, and on which images they differ most."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.evaluation.comparisons import FixedComparison, compare_fixed, holm
from ssliqa_bench.evaluation.constants import CONFIDENCE, EQUIVALENCE_MARGIN, MINIMUM_PART, RESAMPLES
from ssliqa_bench.evaluation.correlations import srcc
from ssliqa_bench.tabular import read_rows
from ssliqa_bench.types import FloatArray

PARTS = ("distortion", "level", "part")
MOST_DIFFERENT = 10
_TEXTS = ("group", *PARTS)
_SHOWN = 3


@dataclass(frozen=True)
class PredictionTable:
    """Predictions for named images.

    Attributes:
        image: names, each once.
        prediction: predicted quality, shape (n,), higher is better.
        score: native opinion scores, shape (n,), higher is better; None where the table holds none.
        labels: `group`, `distortion`, `level` and `part`, those that are known, one text per image.
        source: how messages name the table.
    """

    image: tuple[str, ...]
    prediction: FloatArray
    score: FloatArray | None
    labels: Mapping[str, tuple[str, ...]]
    source: str


@dataclass(frozen=True)
class ImageDifference:
    """An image and its place among all, from 0 (lowest) to 1 (highest), by either method and by its score."""

    image: str
    score: float
    first: float
    second: float
    truth: float

    @property
    def gap(self) -> float:
        """How far apart the two methods place the image, first less second."""
        return self.first - self.second


@dataclass(frozen=True)
class TableComparison:
    """What two tables of predictions show about two methods.

    Attributes:
        n: images.
        first, second: SRCC of either.
        overall: their difference.
        by: for `distortion`, `level` and `part`, those that are known, the difference by label; verdicts and p-values
            are corrected for the number of labels. None for fewer than 10 images or a constant side.
        images: those that the methods place furthest apart, the furthest first.
    """

    n: int
    first: float
    second: float
    overall: FixedComparison
    by: dict[str, dict[str, FixedComparison | None]]
    images: tuple[ImageDifference, ...]

    def _repr_html_(self) -> str:
        rows = [_html_row("all", self.overall)]
        rows += [_html_row(f"{name} {label}", found) for name, own in self.by.items() for label, found in own.items()]
        head = "<tr><th>images</th><th>difference of SRCC</th><th>interval</th><th>verdict</th></tr>"
        return (f"<table>{head}{''.join(rows)}</table><p>{self.n} images, SRCC {self.first:.4f} and {self.second:.4f}, "
                f"first less second</p>")  # fmt: skip


def _html_row(label: str, found: FixedComparison | None) -> str:
    if found is None:
        return f"<tr><td>{html.escape(label)}</td><td>–</td><td></td><td></td></tr>"
    interval = "" if found.lo is None or found.hi is None else f"{found.lo:+.4f} to {found.hi:+.4f}"
    return (f"<tr><td>{html.escape(label)}</td><td>{found.mean:+.4f}</td><td>{interval}</td>"
            f"<td>{found.verdict}</td></tr>")  # fmt: skip


def compare(
    first: Any,
    second: Any,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    margin: float = EQUIVALENCE_MARGIN,
    confidence: float = CONFIDENCE,
    images: int = MOST_DIFFERENT,
) -> TableComparison:
    """Compare two tables of predictions for the same images: the difference of SRCC, first less second.

    Args:
        first, second: a file (CSV, Excel workbook, JSON or Parquet), a mapping of columns or a data frame, with the
            columns `image` and `prediction`; `score` in at least one of them, and perhaps `group` (what is drawn
            together), `distortion`, `level` and `part`. The order of the rows does not matter.
        seed, resamples, margin, confidence: as in `compare_fixed`.
        images: how many of the images that differ most are returned.

    Raises:
        InputError: a column is missing, an image occurs twice or in one table only, scores disagree, a value is not
            finite, or SRCC is undefined.
    """
    one, two = read_prediction_table(first, "first table"), read_prediction_table(second, "second table")
    return compare_tables(
        one, two, seed=seed, resamples=resamples, margin=margin, confidence=confidence, images=images
    )


def compare_tables(
    one: PredictionTable,
    two: PredictionTable,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    margin: float = EQUIVALENCE_MARGIN,
    confidence: float = CONFIDENCE,
    images: int = MOST_DIFFERENT,
) -> TableComparison:
    """As `compare`, of tables that are read."""
    scores, order = _common(one, two)
    ours, theirs = one.prediction, two.prediction[order]
    given: dict[str, Any] = {"seed": seed, "resamples": resamples, "margin": margin, "confidence": confidence}
    labels = {**{name: _take(own, order) for name, own in two.labels.items()}, **one.labels}
    groups = labels.get("group")
    overall = compare_fixed(ours, theirs, scores, groups, **given)
    return TableComparison(
        n=len(scores),
        first=_defined(srcc(ours, scores)),
        second=_defined(srcc(theirs, scores)),
        overall=overall,
        by={name: by_label(ours, theirs, scores, groups, labels[name], **given) for name in PARTS if name in labels},
        images=most_different(one.image, scores, ours, theirs)[:images],
    )


def most_different(
    names: Sequence[str], scores: FloatArray, first: FloatArray, second: FloatArray
) -> tuple[ImageDifference, ...]:
    """All images, those that two methods place furthest apart first.

    Places are compared, not predictions, since each method has a scale of its own and SRCC sees places alone.
    """
    ours, theirs, truth = (_places(column) for column in (first, second, scores))
    found = (
        ImageDifference(name, float(score), float(a), float(b), float(c))
        for name, score, a, b, c in zip(names, scores, ours, theirs, truth, strict=True)
    )
    return by_gap(found)


def by_gap(images: Iterable[ImageDifference]) -> tuple[ImageDifference, ...]:
    """Images in decreasing order of their gap; equal ones, but for the last digits, by name."""
    return tuple(sorted(images, key=lambda one: (-round(abs(one.gap), 9), one.image)))


def read_prediction_table(given: Any, source: str) -> PredictionTable:
    """A table of predictions from a file, a mapping of columns, a data frame or a `PredictionTable`.

    Raises:
        InputError: as `compare`.
    """
    if isinstance(given, PredictionTable):
        return given
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        rows = read_rows(path, "", expected="a table with the columns image, score and prediction")
        source = str(path)
        header: Iterable[str] = rows.header
        columns = {
            name: list(rows.numbers(name)) if name in ("score", "prediction") else rows.column(name) for name in header
        }
    else:
        try:
            columns = {str(name): list(given[name]) for name in given}
        except (TypeError, KeyError) as error:
            raise InputError(f"{source}: got {type(given).__name__}; expected a file, a mapping of columns or a data "
                             f"frame.") from error  # fmt: skip
    for name in ("image", "prediction"):
        if name not in columns:
            raise InputError(f'{source}: no column "{name}"; found {", ".join(columns) or "none"}; expected image, '
                             f"prediction and, in at least one table, score.")  # fmt: skip
    images = tuple(map(str, columns["image"]))
    _unique(images, source)
    # Checked as a pair below; here one column at a time, so that the message names the table.
    prediction, _ = paired(columns["prediction"], np.zeros(len(images)))
    score = paired(columns["score"], np.zeros(len(images)))[0] if "score" in columns else None
    labels = {name: tuple("" if _missing(cell) else str(cell) for cell in columns[name])
              for name in _TEXTS if name in columns}  # fmt: skip
    if "" in labels.get("group", ()):
        raise InputError(f"{source}: group: a cell is empty; expected a name for the group of every image.")
    return PredictionTable(images, prediction, score, labels, source)


def by_label(
    ours: FloatArray,
    theirs: FloatArray,
    scores: FloatArray,
    groups: Sequence[str] | None,
    labels: Sequence[str],
    **given: Any,
) -> dict[str, FixedComparison | None]:
    """The comparison on the images of each label, corrected for the number of labels (Holm).

    Args:
        ours, theirs: predictions, shape (n,), or (k, n) of k training seeds.
        groups: as in `compare_fixed`.
        labels: of each image, "" for one that has none.
        given: further arguments of `compare_fixed`.

    Returns:
        Label to comparison; None for fewer than `MINIMUM_PART` images and where SRCC is undefined.
    """
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label:
            rows.setdefault(label, []).append(row)
    found: dict[str, FixedComparison | None] = {}
    for label in in_order(rows):
        at = np.array(rows[label])
        columns = ours[..., at], theirs[..., at], scores[at]
        flat = any(len(np.unique(row)) < 2 for column in columns for row in np.atleast_2d(column))
        if len(at) < MINIMUM_PART or flat:
            found[label] = None
            continue
        own = None if groups is None else [groups[row] for row in at]
        found[label] = compare_fixed(*columns, own, **given)
    corrected = holm({label: one for label, one in found.items() if one is not None})
    return {label: corrected.get(label) for label in found}


def in_order(labels: Iterable[str]) -> list[str]:
    """Labels as numbers where all are, else as texts."""
    given = list(labels)
    try:
        return sorted(given, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(given)


def _common(one: PredictionTable, two: PredictionTable) -> tuple[FloatArray, list[int]]:
    """Scores in the order of the first table, and the row of each of its images in the second."""
    rows = {name: row for row, name in enumerate(two.image)}
    missing = [name for name in one.image if name not in rows]
    extra = sorted(set(two.image) - set(one.image))
    for names, holder, other in ((missing, one, two), (extra, two, one)):
        if names:
            raise InputError(f"{len(names)} images of {holder.source} are not in {other.source} (first: "
                             f"{', '.join(names[:_SHOWN])}); expected predictions for the same images.")  # fmt: skip
    order = [rows[name] for name in one.image]
    theirs = None if two.score is None else two.score[order]
    if one.score is None and theirs is None:
        raise InputError(f'{one.source}, {two.source}: no column "score"; expected it in at least one of them.')
    if one.score is not None and theirs is not None:
        apart = np.flatnonzero(one.score != theirs)
        if len(apart):
            row = int(apart[0])
            raise InputError(f"{len(apart)} images have another score in {two.source} than in {one.source} (first: "
                             f"{one.image[row]}, {one.score[row]:g} and {theirs[row]:g}).")  # fmt: skip
    given = one.score if one.score is not None else theirs
    return np.asarray(given, dtype=np.float64), order


def _unique(images: Sequence[str], source: str) -> None:
    seen: set[str] = set()
    for name in images:
        if name in seen:
            raise InputError(f'{source}: image "{name}" occurs twice; expected each once.')
        seen.add(name)


def _places(values: FloatArray) -> FloatArray:
    ranks: FloatArray = (rankdata(values) - 1.0) / max(len(values) - 1, 1)
    return ranks


def _take(column: Sequence[str], order: Sequence[int]) -> tuple[str, ...]:
    return tuple(column[row] for row in order)


def _missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _defined(value: float | None) -> float:
    return math.nan if value is None else value
