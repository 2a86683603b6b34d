"""All rows of a board in one table: a line for every row and dataset, in full precision."""

from __future__ import annotations

from collections.abc import Iterable

from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard.collect import Absent, Board
from ssliqa_bench.leaderboard.columns import CellPlace, Measure, columns_of
from ssliqa_bench.leaderboard.page import Cell, Column, PageTable, joined, phrase
from ssliqa_bench.leaderboard.ranking import Ranked, absent_words, remarks, span
from ssliqa_bench.leaderboard.run_notes import run_notes
from ssliqa_bench.leaderboard.view import SectionView

_LEADING = (
    *("board", "protocol", "pair", "budget", "unlabeled_budget", "rank", "status"),
    *("method", "title", "recipe", "overrides", "seeds", "aggregate", "dataset", "side", "test_images", "seen"),
)
_TRAILING = ("splits", "marks", "notes")


def flat_table(board: Board, views: Iterable[SectionView], *, cost: bool = True) -> PageTable:
    """The sections of a board as one table; columns as in `columns_of`."""
    views = list(views)
    measures = [measure for measure in columns_of(board.sections) if cost or not measure.cost]
    rows = (
        _line(board, view, item, measures, dataset, side)
        for view in views
        for item in view.ranked
        for dataset, side in view.section.datasets
        if item.row.tested(dataset)
    )
    lacking = (
        _absent_line(board, view, own, measures, dataset, side)
        for view in views
        for own in view.section.without_rows
        for dataset, side in view.section.datasets
    )
    columns = [_words(name) for name in _LEADING]
    columns += [Column(own.name, own.name, own.text, own.parts if own.sides else ("value",)) for own in measures]
    columns += [_words(name) for name in _TRAILING]
    return PageTable("data", tuple(columns), (*rows, *lacking))


def _words(name: str) -> Column:
    return Column(name, name, text=True)


def _line(
    board: Board, view: SectionView, item: Ranked, measures: list[Measure], dataset: str, side: str
) -> tuple[Cell, ...]:
    row, section = item.row, view.section
    found = remarks(row, section)
    values: list[Cell] = []
    notes = [*(remark.sentence for remark in found), *map(phrase, run_notes(row))]
    for measure in measures:
        if measure.sides and side not in measure.sides:
            values.append(Cell())
            continue
        cell = measure.cell(CellPlace(view, row, dataset if measure.sides else ""))
        values.append(cell)
        notes += cell.notes
    budgets = [_exact(budget) for budget in (section.budget, section.unlabeled_budget)]
    place = ["demo" if board.demo else "", board.protocol, str(section.pair), *budgets, _exact(item.rank), item.status]
    run = [row.method, row.about.title, row.recipe, canonical_json(dict(row.overrides))]
    run += [" ".join(map(str, row.seeds)), row.aggregate, dataset, side]
    run += [span(row.runs[seed].results[dataset].metrics.n for seed in row.tested(dataset))]
    run += ["yes" if row.has_seen(dataset) else ""]
    marks = " ".join(remark.mark for remark in found if remark.mark)
    leading = [Cell(phrase(text)) for text in (*place, *run)]
    ends = (phrase(_splits(item, dataset)), phrase(marks), joined(dict.fromkeys(notes), "; "))
    return (*leading, *values, *map(Cell, ends))


def _absent_line(
    board: Board, view: SectionView, lacking: Absent, measures: list[Measure], dataset: str, side: str
) -> tuple[Cell, ...]:
    """A line without numbers; its status is why there are none."""
    section = view.section
    budgets = [_exact(budget) for budget in (section.budget, section.unlabeled_budget)]
    place = ["demo" if board.demo else "", board.protocol, str(section.pair), *budgets, "", lacking.state]
    run = [lacking.method, "", lacking.recipe, canonical_json(dict(lacking.overrides))]
    run += [" ".join(map(str, lacking.seeds)), "", dataset, side, "", ""]
    leading = [Cell(phrase(text)) for text in (*place, *run)]
    ends = (Cell(), Cell(phrase(lacking.state)), Cell(phrase(absent_words(lacking))))
    return (*leading, *(Cell() for _ in measures), *ends)


def _splits(item: Ranked, dataset: str) -> str:
    """Hash of the split of every run, in the order of its seeds."""
    runs = (item.row.runs[seed] for seed in item.row.tested(dataset))
    return " ".join(run.results[dataset].dataset.split_hash[:12] for run in runs)


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)
