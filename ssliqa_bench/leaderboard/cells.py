"""Cells and columns that name a row, and the best value of a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ssliqa_bench.leaderboard.collect import Absent, Row
from ssliqa_bench.leaderboard.numbers import MISSING, SHOW
from ssliqa_bench.leaderboard.page import Cell, CodeText, Column, Mark, Number, phrase
from ssliqa_bench.leaderboard.ranking import Ranked, absent_words, remarks
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.leaderboard.words import row_name, setting

STATUS = {"comparator": "ref", "oracle": "ref", "control": "control", "seen": "seen", "outdated": "old",
          "unverified": MISSING, "unofficial": "unofficial", "untested": MISSING, "undefined": MISSING}  # fmt: skip


def name_columns(view: SectionView, *, always: bool = False) -> list[Column]:
    """The columns that name a row: the method, and its recipe where a method has several rows."""
    method, recipe = Column("method", "Method", text=True), Column("recipe", "Recipe", text=True)
    return [method, recipe] if always or not view.one_setting else [method]


def name_cells(view: SectionView, row: Row, *, always: bool = False) -> list[Cell]:
    """The cells of `name_columns`."""
    method, recipe = Cell(phrase(CodeText(row.method))), Cell(setting(row))
    return [method, recipe] if always or not view.one_setting else [method]


def rank_cell(item: Ranked) -> Cell:
    """The rank, or why there is none."""
    return Cell(phrase(STATUS[item.status] if item.rank is None else str(item.rank)))


def method_cell(view: SectionView, row: Row, *, notes: bool = True) -> Cell:
    """The method with its marks, and with the sentences that explain them; without these, as where no column beside
    it holds the recipe, with the recipe where that is needed to distinguish rows, and without marks that do not concern
    the ranking dataset."""
    found = remarks(row, view.section)
    if not notes:
        found = [remark for remark in found if remark.dataset in ("", view.section.ranking_dataset)]
    marks = " ".join(remark.mark for remark in found if remark.mark)
    if not notes:
        return Cell(row_name(view, row), marks)
    return Cell(phrase(CodeText(row.method)), marks, tuple(remark.sentence for remark in found))


def absent_cell(view: SectionView, lacking: Absent, *, notes: bool = True) -> Cell:
    """A method without any result, marked with the reason."""
    sentence = phrase(Mark(lacking.state), ": ", absent_words(lacking))
    if not notes:
        return Cell(row_name(view, lacking), lacking.state)
    return Cell(phrase(CodeText(lacking.method)), lacking.state, (sentence,))


def with_best(cells: Sequence[Cell], ranked: Sequence[Ranked], end: str | None) -> list[Cell]:
    """The cells of a column with the best of those that compete marked; values that look equal are all best.

    With fewer than two competing values, there is no best.
    """
    numbers = [cell.number for item, cell in zip(ranked, cells, strict=True) if _competes(item, cell)]
    known = [number for number in numbers if number is not None]
    if end is None or len(known) < 2:
        return list(cells)
    top = max(known) if end == "high" else min(known)
    found = []
    for item, cell in zip(ranked, cells, strict=True):
        own = cell.value
        if isinstance(own, Number) and own.value is not None and _competes(item, cell):
            show = SHOW[own.show]
            cell = replace(cell, value=replace(own, best=show(own.value) == show(top)))
        found.append(cell)
    return found


def _competes(item: Ranked, cell: Cell) -> bool:
    return (
        item.row.reference is None
        and item.status not in ("outdated", "unofficial", "unverified")
        and not cell.mark
        and cell.number is not None
    )
