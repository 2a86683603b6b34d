"""Predictions and scores from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.tabular import finite_number, read_rows
from ssliqa_bench.types import FloatArray

_COLUMNS = ("score", "prediction")
_SHOWN = 5


@dataclass(frozen=True)
class ScoreTable:
    """Predictions and scores (n,) in the order of a file, and the group of each image where it names them."""

    predictions: FloatArray
    scores: FloatArray
    groups: list[str] | None = None


def read_score_file(path: Path | str, separator: str = "") -> tuple[FloatArray, FloatArray]:
    """Predictions and scores of a table, as `read_score_table`."""
    table = read_score_table(path, separator)
    return table.predictions, table.scores


def read_score_table(path: Path | str, separator: str = "", *, group: str = "") -> ScoreTable:
    """Read the columns `score` and `prediction` of a table with a header, and `group`; other columns are ignored.

    Formats as `tabular.read_rows`. Nothing is dropped: one bad cell and the file is refused, with the line numbers.

    Args:
        separator: one character between cells; "" recognises and logs it.
        group: the column that names what belongs together; "" takes `group` if the file has it.

    Raises:
        InputError: no such file, not a table, a column that is missing or occurs twice, a row with too few or too
            many cells, a cell that is not a finite number, an empty group, fewer than two rows.
    """
    rows = read_rows(Path(path), separator, expected="a table with the columns score and prediction")
    for column in _COLUMNS:
        if column not in rows.header:
            raise InputError(f'{rows.source}:{rows.header_line or 1}: the column "{column}" is missing from the '
                             f'header; found: {", ".join(rows.header)}; expected "score" and "prediction".')
    numbers = {column: rows.with_points(column).column(column) for column in _COLUMNS}
    values: dict[str, list[float]] = {column: [] for column in _COLUMNS}
    problems: list[str] = []
    for row in range(len(rows)):
        for column in _COLUMNS:
            value = finite_number(numbers[column][row])
            if value is None:
                problems.append(f'{rows.place(row)}: {column}: got "{numbers[column][row]}"; expected a finite number.')
            else:
                values[column].append(value)
    if problems:
        more = f"\n(and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise InputError("\n".join(problems[:_SHOWN]) + more)
    if len(rows) < 2:
        raise InputError(f"{rows.source}: has {len(rows)} rows below its header; expected one per image, at least 2, "
                         f"the cells separated by commas, semicolons or tabs.")  # fmt: skip
    groups = rows.column(group or "group") if group or "group" in rows.header else None
    if groups is not None and "" in groups:
        raise InputError(f"{rows.place(groups.index(''))}: {group or 'group'}: the cell is empty; expected a name for "
                         f"the group of every image.")
    return ScoreTable(np.asarray(values["prediction"]), np.asarray(values["score"]), groups)
