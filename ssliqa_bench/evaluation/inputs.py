"""What the evaluation accepts: two finite columns of equal length, from arrays or from a CSV file."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.types import FloatArray

_COLUMNS = ("score", "prediction")
_SHOWN = 5


def paired(pred: Any, scores: Any, *, minimum: int = 2) -> tuple[FloatArray, FloatArray]:
    """Predictions and scores as float64 vectors of one length, checked.

    Raises:
        InputError: not numeric, not one-dimensional, different lengths, fewer than `minimum` values, or a
            value that is not finite.
    """
    columns = []
    for name, values in (("predictions", pred), ("scores", scores)):
        try:
            column = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: expected numbers ({error}).") from error
        if column.ndim != 1:
            raise InputError(f"{name}: got an array of shape {column.shape}; expected shape (n,).")
        columns.append(column)
    predicted, given = columns
    if len(predicted) != len(given):
        raise InputError(f"Got {len(predicted)} predictions and {len(given)} scores; expected one of each per image.")
    if len(given) < minimum:
        raise InputError(f"Got {len(given)} predictions with a score; expected at least {minimum}.")
    for name, column in (("predictions", predicted), ("scores", given)):
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            raise InputError(f"{name}: {len(bad)} of {len(column)} values are not finite "
                             f"(first: {column[bad[0]]} at position {bad[0]}).")
    return predicted, given


def read_score_file(path: Path | str) -> tuple[FloatArray, FloatArray]:
    """Read the columns `score` and `prediction` of a CSV file with a header; other columns are ignored.

    UTF-8 with or without byte order mark, any line ends, blank lines skipped. Nothing is dropped: one bad cell
    and the file is refused, with the line numbers.

    Returns:
        (predictions, scores), both float64 of shape (n,), in the order of the file.

    Raises:
        InputError: no such file, not text, a column that is missing or stands twice, a row with too few or too
            many cells, a cell that is not a finite number, fewer than two rows.
    """
    path = Path(path)
    lines = _lines(path)
    if not lines:
        raise InputError(f'{path}: the file is empty; expected a header with the columns "score" and "prediction".')
    line, header = lines[0]
    names = [cell.strip() for cell in header]
    for column in _COLUMNS:
        if names.count(column) != 1:
            found = "stands twice in" if column in names else "is missing from"
            raise InputError(f'{path}:{line}: the column "{column}" {found} the header; found: {", ".join(names)}; '
                             f'expected "score" and "prediction", once each, separated by commas.')
    at = [names.index(column) for column in _COLUMNS]
    rows: list[tuple[float, float]] = []
    problems: list[str] = []
    for line, cells in lines[1:]:
        if len(cells) != len(names):
            problems.append(f"{path}:{line}: got {len(cells)} cells; expected {len(names)} as in the header.")
            continue
        score, prediction = (_number(cells[i]) for i in at)
        for column, value, i in zip(_COLUMNS, (score, prediction), at):
            if value is None:
                problems.append(f'{path}:{line}: {column}: got "{cells[i].strip()}"; expected a finite number.')
        if score is not None and prediction is not None:
            rows.append((prediction, score))
    if problems:
        more = f"\n(and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise InputError("\n".join(problems[:_SHOWN]) + more)
    if len(rows) < 2:
        raise InputError(f"{path}: has {len(rows)} rows below its header; expected one per image, at least 2.")
    table = np.asarray(rows, dtype=np.float64)
    return table[:, 0].copy(), table[:, 1].copy()


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of the file that are not blank, each with the number of its last line."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle)
            return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a CSV file with the columns score and prediction.") from error
    except OSError as error:
        raise InputError(f"{path}: could not be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); "
                         f"save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: is not CSV ({error}).") from error


def _number(cell: str) -> float | None:
    """The finite number a cell holds, else None. Python's digit separators are no numbers in a CSV file."""
    if "_" in cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
