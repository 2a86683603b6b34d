"""Boards as CSV (RFC 4180, LF): one line per row and dataset, numbers in full precision, nothing rounded.

People open boards in spreadsheets, so text that one would run as a formula begins with an apostrophe there.
"""

from __future__ import annotations

from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard.collect import Board, Section
from ssliqa_bench.leaderboard.columns import Cell, Column, Place, columns_of
from ssliqa_bench.leaderboard.ranking import Ranked, rank_rows, remarks, run_notes, span
from ssliqa_bench.tabular.writer import csv_text, defused

_LEADING = (
    *("board", "protocol", "pair", "budget", "unlabeled_budget", "rank", "status"),
    *("method", "title", "recipe", "overrides", "seeds", "aggregate", "dataset", "side", "test_images", "seen"),
)
_TRAILING = ("marks", "notes")


def render_csv(board: Board, *, cost: bool = True) -> str:
    """One board as CSV; columns as in `columns_of`, a number over seeds with NAME_spread and NAME_n beside it."""
    columns = [column for column in columns_of(board.sections) if cost or not column.cost]
    lines = (
        _line(board, section, item, columns, dataset, side)
        for section in board.sections
        for item in rank_rows(section)
        for dataset, side in section.datasets
        if item.row.tested(dataset)
    )
    header = (*_LEADING, *(name for column in columns for name in _names(column)), *_TRAILING)
    return csv_text((map(defused, line) for line in lines), header)


def _line(
    board: Board, section: Section, item: Ranked, columns: list[Column], dataset: str, side: str
) -> list[str]:
    row = item.row
    found = remarks(row, section)
    values: list[str] = []
    notes = [*(remark.sentence for remark in found), *run_notes(row)]
    for column in columns:
        if column.sides and side not in column.sides:
            values += [""] * len(_names(column))
            continue
        cell = column.compute(Place(section, row, dataset if column.sides else ""))
        values += _values(column, cell)
        notes += cell.notes
    place = ["demo" if board.demo else "", board.protocol, str(section.pair), _exact(section.budget)]
    place += [_exact(section.unlabeled_budget), _exact(item.rank), item.status]
    run = [row.method, row.about.title, row.recipe, canonical_json(dict(row.overrides))]
    run += [" ".join(map(str, row.seeds)), row.aggregate, dataset, side]
    run += [span(row.runs[seed].results[dataset].metrics.n for seed in row.tested(dataset))]
    run += ["yes" if row.has_seen(dataset) else ""]
    marks = " ".join(remark.mark for remark in found if remark.mark)
    return [*place, *run, *values, marks, "; ".join(dict.fromkeys(notes))]


def _names(column: Column) -> list[str]:
    return [column.name, f"{column.name}_spread", f"{column.name}_n"] if column.sides else [column.name]


def _values(column: Column, cell: Cell) -> list[str]:
    if isinstance(cell.value, str):
        return [cell.value]
    stat = cell.value
    if column.sides:
        return [_exact(stat.value), _exact(stat.spread), str(stat.n)]
    return [_exact(int(stat.value) if stat.value is not None and stat.value.is_integer() else stat.value)]


def _exact(value: float | None) -> str:
    """The shortest text that reads back as the same number; nothing where there is none."""
    return "" if value is None else repr(value)
