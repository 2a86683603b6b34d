"""Tables of individual ratings, one row per image and rater, and the labels that follow from them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssliqa_bench.datasets.opinion import MODELS, Opinions, constant_raters, rating_spread, recover
from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.tabular import Rows
from ssliqa_bench.tabular.writer import csv_text
from ssliqa_bench.text import number_of
from ssliqa_bench.types import FloatArray

LOG = logging.getLogger("ssliqa_bench")

COLUMNS = ("image", "rater", "rating")
AUTO = "auto"
_MOST_LEVELS = 20
_FIRST = 3


@dataclass(frozen=True)
class RatedImages:
    """Labels that follow from ratings, one entry per image in the order of its first rating.

    Attributes:
        row: position of the first rating of each image in the table.
        rating_std: spread of the ratings used, NaN of an image with one rating; None where no image has more.
        distribution: counts of the levels 1 to P, shape (n, P); None where ratings are not on such levels.
        model: of `opinion.MODELS`, the one by which the scores follow.
        summary: one sentence on what was read and how.
    """

    image: tuple[str, ...]
    row: tuple[int, ...]
    score: FloatArray
    rating_std: FloatArray | None
    n_ratings: FloatArray
    distribution: FloatArray | None
    model: str
    summary: str


def rated_images(rows: Rows, columns: Mapping[str, str], model: str = AUTO, levels: int | None = None) -> RatedImages:
    """Make labels of a table of ratings.

    Args:
        columns: our names, image, rater and rating, -> those of the table; without a rater, who gave a rating is not
            known, and the score is the mean.
        model: `auto` takes the mean where every rater rated every image, else the model of bias and inconsistency.
        levels: P where ratings are whole numbers from 1 to P; None takes the highest that occurs.

    Raises:
        DataError: a rating is no number or beyond the levels, a rater rated an image twice, or the ratings do not
            allow the model.
        InputError: an unknown model.
    """
    if model not in (AUTO, *MODELS):
        raise InputError(f'Option ratings is "{model}"; expected one of {", ".join((AUTO, *MODELS))}.')
    names, known = rows.column(columns["image"]), "rater" in columns
    if not known and model not in (AUTO, "mean"):
        raise DataError(f"{rows.source}: has no column of raters, which the model {model} needs; expected mean.")
    raters = rows.column(columns["rater"]) if known else _numbered(names)
    _refuse_empty(rows, names, raters)
    value = rows.numbers(columns["rating"])
    image, first = _positions(names)
    rater, _ = _positions(raters)
    _refuse_twice(rows, names, raters)
    ratings = Opinions(image, rater, value)
    if not known:
        model = "mean"
    elif model == AUTO:
        model = "mean" if ratings.filled == 1 else "bias-and-inconsistency"
    try:
        found = recover(ratings, model)
    except DataError as error:
        raise DataError(f"{rows.source}: {error}") from error
    used = Opinions(image[found.kept], rater[found.kept], value[found.kept])
    counts = np.bincount(used.image, minlength=len(first))
    read = f"{rows.source}: {number_of(len(value), 'rating')} of {number_of(len(first), 'image')}"
    summary = (
        f"{read} by {number_of(ratings.raters, 'rater')} ({ratings.percentage} of all pairs); scores by the model "
        f"{model}"
    )
    if rejected := ratings.raters - len(set(used.rater.tolist())):
        gone = sorted(set(raters) - {raters[k] for k in found.kept.tolist()})
        summary += f", without {number_of(rejected, 'rater')} that its screening rejects ({_some(gone)})"
    if not known:
        summary = f"{read}, raters not named; scores are means"
    LOG.warning("%s.", summary)
    _warn(rows.source, ratings, raters if known else (), [names[k] for k in first], counts)
    spread = rating_spread(used)
    return RatedImages(
        tuple(names[k] for k in first),
        tuple(first),
        found.score,
        spread if np.isfinite(spread).any() else None,
        counts.astype(np.float64),
        _distribution(rows, used, len(first), levels),
        model,
        summary,
    )


def labels_csv(rated: RatedImages) -> str:
    """The labels as the generic format has them: image, score, rating_std, n_ratings, c1 … cP; a spread that is not
    known is an empty cell."""
    columns: dict[str, Sequence[Any]] = {"image": rated.image, "score": rated.score.tolist()}
    if rated.rating_std is not None:
        columns["rating_std"] = [None if np.isnan(spread) else spread for spread in rated.rating_std.tolist()]
    columns["n_ratings"] = rated.n_ratings.astype(int).tolist()
    if rated.distribution is not None:
        for k, counts in enumerate(rated.distribution.astype(int).T.tolist(), start=1):
            columns[f"c{k}"] = counts
    return csv_text(zip(*columns.values(), strict=True), list(columns))


def one_row_each(rows: Rows, rated: RatedImages, columns: Sequence[str], image: str) -> Rows:
    """The first row of each image, after making sure that the others say the same in some columns.

    Raises:
        DataError: two rows of one image differ in one of them.
    """
    first = dict(zip(rated.image, rated.row, strict=True))
    names = rows.column(image)
    for column in columns:
        cells = rows.column(column)
        for k, (name, cell) in enumerate(zip(names, cells, strict=True)):
            if cell != cells[first[name]]:
                raise DataError(f'{rows.place(k)}: {column} of "{name}" is "{cell}", on line '
                                f'{rows.lines[first[name]]} "{cells[first[name]]}"; expected one for each image.')
    return rows.select(rated.row)


def _refuse_empty(rows: Rows, names: Sequence[str], raters: Sequence[str]) -> None:
    if not names:
        raise DataError(f"{rows.source}: has no rating.")
    for what, cells in (("image", names), ("rater", raters)):
        empty = [k for k, cell in enumerate(cells) if not cell]
        if empty:
            raise DataError(f"{rows.place(empty[0])}: the {what} is nothing; expected a name "
                            f"({number_of(len(empty), 'such row')}).")  # fmt: skip


def _refuse_twice(rows: Rows, names: Sequence[str], raters: Sequence[str]) -> None:
    seen: dict[tuple[str, str], int] = {}
    twice = [(seen[pair], k) for k, pair in enumerate(zip(names, raters, strict=True)) if seen.setdefault(pair, k) != k]
    if twice:
        before, again = twice[0]
        such = "1 rating is such a repetition" if len(twice) == 1 else f"{len(twice):,} ratings are such repetitions"
        raise DataError(
            f'{rows.place(again)}: rater "{raters[again]}" rates "{names[again]}" again, first on line '
            f"{rows.lines[before]}; {such}. Keep one of them, or their mean."
        )


def _numbered(names: Sequence[str]) -> list[str]:
    """For each rating, its running number within its image."""
    seen: Counter[str] = Counter()
    numbers = []
    for name in names:
        seen[name] += 1
        numbers.append(str(seen[name]))
    return numbers


def _positions(cells: Sequence[str]) -> tuple[np.ndarray, list[int]]:
    """The number of each cell's text in the order of first appearance, and where each appears first."""
    number: dict[str, int] = {}
    first: list[int] = []
    for k, cell in enumerate(cells):
        if cell not in number:
            number[cell] = len(first)
            first.append(k)
    return np.array([number[cell] for cell in cells], dtype=np.int64), first


def _warn(source: str, ratings: Opinions, raters: Sequence[str], names: Sequence[str], counts: np.ndarray) -> None:
    constant = constant_raters(ratings) if raters else ()
    if len(constant):
        named = sorted({raters[int(np.flatnonzero(ratings.rater == k)[0])] for k in constant})
        LOG.warning(
            "%s: %d of %s gave one value throughout (%s); their ratings are used like the others'. Delete their "
            "rows if they did not look at the images.", source, len(constant), number_of(ratings.raters, "rater"),
            _some(named),
        )  # fmt: skip
    once = [name for name, count in zip(names, counts.tolist(), strict=True) if count == 1]
    if once:
        LOG.warning("%s: %d of %s %s one rating (%s), and no spread of ratings.", source, len(once),
                    number_of(len(names), "image"), "has" if len(once) == 1 else "have", _some(once))  # fmt: skip


def _distribution(rows: Rows, used: Opinions, images: int, levels: int | None) -> FloatArray | None:
    whole = (used.value == np.floor(used.value)).all() and used.value.min() >= 1
    highest = used.value.max()
    if levels is not None and not (whole and highest <= levels):
        raise DataError(f"{rows.source}: ratings go from {used.value.min():g} to {highest:g}; expected whole numbers "
                        f"from 1 to {levels}, by the option levels.")  # fmt: skip
    if levels is None and (not whole or not 2 <= highest <= _MOST_LEVELS):
        return None
    count = int(highest) if levels is None else levels
    counts = np.zeros((images, count))
    np.add.at(counts, (used.image, used.value.astype(np.int64) - 1), 1)
    return counts


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_FIRST]) + (", …" if len(names) > _FIRST else "")
