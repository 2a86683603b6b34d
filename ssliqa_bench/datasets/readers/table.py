"""The generic format, which any dataset can be brought to: one table of labels and a folder of images."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.ratings import AUTO, one_row_each, rated_images
from ssliqa_bench.datasets.readers.names import images_below
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from ssliqa_bench.tabular import Rows, finite_number, read_rows
from ssliqa_bench.types import FloatArray

LOG = logging.getLogger("ssliqa_bench")

TEXT_COLUMNS = ("reference", "group", "distortion", "level", "split", "role", "part")
_NUMBER_COLUMNS = ("rating_std", "n_ratings")
_OPTIONS = ("labels", "images", "references", "columns", "separator", "decimal", "unlabeled", "ratings", "levels")
_LEVEL = re.compile(r"c([1-9]\d*)")
# Columns with a number in their names that may be ratings per level.
_FEWEST_LEVELS = 3
_RATINGS = 11  # different values at most in columns that are taken for ratings: 0 to 10


def read_csv(folder: Path, options: Mapping[str, Any]) -> RawTable:
    """Read the generic format: one table with a header (delimited text, workbook, JSON), one row per image.

    Columns: `image` and `score`, and where present `rating_std` (empty where unknown), `n_ratings`, `c1` … `cP`
    (ratings per level, lowest level first), `reference`, `group`, `distortion`, `level`, `split`, `role`, `part`.
    Others are ignored. Without a column of scores the mean rating is the score, on 1 to P. A table with columns
    `image`, `rater` and `rating` (or `score`) has one row per image and rater, and so has one without raters that
    names every image several times: score, spread, count and distribution of the ratings follow from it.

    Args:
        folder: the dataset's folder; the paths below are relative to it.
        options:
            labels: the table (default `labels.csv`); images, references: folders (`images`, `refs`).
            columns: our column name -> the file's, for example {"image": "dist_img", "score": "dmos"}.
            separator: one character; recognised and logged where it is not given.
            decimal: "." or "," in numbers; recognised and logged where it is not given.
            unlabeled: true allows empty score cells, and a file without score column: images without score.
            ratings: how scores follow from individual ratings: auto (the mean where every rater rated every image,
                else the model of bias and inconsistency), mean, bias-and-inconsistency or bt500.
            levels: P where individual ratings are whole numbers from 1 to P; the highest that occurs unless given.

    Raises:
        DataError: with file and line: a column is missing, a number is none, a name leaves the image folder.
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise DataError(f"Reader read_csv: unknown option {', '.join(unknown)}; expected {', '.join(_OPTIONS)}.")
    mapping = dict(options.get("columns") or {})
    known = ("image", "score", "rater", "rating", *_NUMBER_COLUMNS, *TEXT_COLUMNS)
    strange = sorted(name for name in mapping if name not in known and not _LEVEL.fullmatch(name))
    if strange:
        raise DataError(f"Reader read_csv: option columns names {', '.join(strange)}; expected "
                        f"{', '.join(known)}, c1 …")
    rows = read_rows(folder / str(options.get("labels", "labels.csv")), str(options.get("separator", "")),
                     decimal=str(options.get("decimal", "")))  # fmt: skip

    def there(name: str) -> bool:
        # A column that the entry names must be there; one that it does not name may be missing.
        return name in mapping or name in rows.header

    def in_file(name: str) -> str:
        return str(mapping.get(name, name))

    unlabeled = options.get("unlabeled", False)
    if not isinstance(unlabeled, bool):
        raise DataError(f'Reader read_csv: option unlabeled is "{unlabeled}"; expected true or false.')
    rated = None
    columns = None if unlabeled else _rating_columns(rows, there, in_file)
    if columns is not None:
        rated = rated_images(rows, columns, str(options.get("ratings", AUTO)), _levels(options))
        rows = one_row_each(rows, rated, [in_file(name) for name in TEXT_COLUMNS if there(name)], columns["image"])
    names = tuple(rows.column(in_file("image")))
    distribution = _distribution(rows, mapping, in_file, unlabeled) if rated is None else rated.distribution
    if rated is not None:
        score = rated.score
    elif there("score"):
        score = rows.numbers(in_file("score"), empty_allowed=unlabeled)
    elif distribution is not None:
        score = _mean_rating(rows, distribution)
    elif unlabeled:
        score = np.full(len(names), np.nan)
    else:
        raise _no_score(rows, in_file("score"))
    names, paths = images_below(rows, folder / str(options.get("images", "images")), names)
    text = {name: tuple(rows.column(in_file(name))) for name in TEXT_COLUMNS if there(name)}
    if "reference" in text:
        references = folder / str(options.get("references", "refs"))
        _, text["reference"] = images_below(rows, references, text["reference"], empty_allowed=True)
    if rated is None:
        numbers: dict[str, FloatArray | None] = {
            name: rows.numbers(in_file(name), empty_allowed=unlabeled or name == "rating_std")
            for name in _NUMBER_COLUMNS
            if there(name)
        }
    else:
        numbers = {"rating_std": rated.rating_std, "n_ratings": rated.n_ratings}
    return RawTable(
        name=names,
        path=paths,
        score=score,
        source=rows.source,
        lines=rows.lines,
        distribution=distribution,
        scores_from="" if there("score") or (distribution is None and rated is None) else "ratings",
        ratings_model="" if rated is None else rated.model,
        **numbers,  # type: ignore[arg-type]  # the keys are those of _NUMBER_COLUMNS
        **text,  # type: ignore[arg-type]  # the keys are those of TEXT_COLUMNS
    )


def _rating_columns(
    rows: Rows, there: Callable[[str], bool], in_file: Callable[[str], str]
) -> dict[str, str] | None:
    """Columns of a table with a row for each rating, our names -> those of the table; None for a row for each image.

    Ratings have a rater and a rating; or a rater and a score where images occur several times; or no rater where all
    images do, and not always with the same value.
    """
    value = "rating" if there("rating") else "score"
    if not there(value) or (there("rating") and there("score")):
        return None
    columns = {"image": in_file("image"), "rating": in_file(value)}
    names = rows.column(columns["image"])
    times = Counter(names)
    if there("rater"):
        several = value == "rating" or len(times) < len(names)
        return {**columns, "rater": in_file("rater")} if several else None
    if not times or min(times.values()) < 2:
        return None
    differ = len(set(zip(names, rows.column(columns["rating"]), strict=True))) > len(times)
    return columns if differ else None


def _levels(options: Mapping[str, Any]) -> int | None:
    levels = options.get("levels")
    if levels is not None and (type(levels) is not int or levels < 2):
        raise DataError(f"Reader read_csv: option levels is {levels}; expected a whole number from 2.")
    return levels


def _distribution(
    rows: Rows, mapping: Mapping[str, str], in_file: Callable[[str], str], empty_allowed: bool
) -> FloatArray | None:
    named = {int(found.group(1)) for name in (*rows.header, *mapping) if (found := _LEVEL.fullmatch(name))}
    count = len(named)
    if count < 2:
        return None
    if max(named) != count:
        missing = next(k for k in range(1, count + 1) if k not in named)
        raise DataError(f"{rows.source}:1: has {count} columns of ratings per level up to c{max(named)}, but no "
                        f"c{missing}; expected c1 to cP.")
    levels = [rows.numbers(in_file(f"c{k}"), empty_allowed=empty_allowed) for k in range(1, count + 1)]
    return np.stack(levels, axis=1)


def _mean_rating(rows: Rows, distribution: FloatArray) -> FloatArray:
    """The mean of the ratings of each row on 1 to P, NaN where a row has none; logged."""
    levels = np.arange(1, distribution.shape[1] + 1)
    total = distribution.sum(axis=1)
    LOG.warning("%s: has no column of scores; the score is the mean of the ratings c1 to c%d, on 1 to %d.", rows.source,
                len(levels), len(levels))  # fmt: skip
    mean: FloatArray = distribution @ levels / np.where(total > 0, total, np.nan)
    return mean


def _no_score(rows: Rows, name: str) -> DataError:
    """The error for a table without scores; where columns hold ratings it names the way to use them."""
    try:
        rows.column(name)
    except DataError as error:
        numbered = [one for one in rows.header if re.fullmatch(r"\D*\d+\D*", one)]
        raters = [one for one in rows.header if all(finite_number(cell) is not None for cell in rows.column(one))]
        hints = ""
        if len(numbered) >= _FEWEST_LEVELS:
            named = ",".join(f"c{k}={one}" for k, one in enumerate(numbered, start=1))
            hints += (f" If {numbered[0]} … {numbered[-1]} count the ratings per level, lowest level first, the score "
                      f"follows from them: --columns {named}.")  # fmt: skip
        elif len(raters) > 1 and len({cell for one in raters for cell in rows.column(one)}) <= _RATINGS:
            hints += (f" If {raters[0]} … {raters[-1]} each hold the ratings of one rater, write a row for every "
                      f"rating, with the columns image, rater and rating; those of an image are averaged.")  # fmt: skip
        return DataError(f"{error}{hints}")
    raise AssertionError(name)
