"""How good pseudo-labels are, stage by stage, on boards."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ssliqa_bench.leaderboard.cells import name_cells, name_columns
from ssliqa_bench.leaderboard.page import Cell, CodeText, Column, Number, PageTable, Paragraph, Section, phrase
from ssliqa_bench.leaderboard.ranking import Ranked
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.store.record import PseudoLabels

_QUARTERS = ("1st", "2nd", "3rd", "4th")


@dataclass(frozen=True)
class _Figure:
    """A column: its name, heading, value and how that is printed."""

    name: str
    header: str
    read: Callable[[PseudoLabels], float | None]
    show: str = "decimals"


def pseudo_label_tables(view: SectionView, name: str, ranked: Sequence[Ranked]) -> Iterator[Section]:
    """A table of all stages of all rows whose records hold figures of their pseudo-labels; none without any."""
    figures = [
        _Figure("srcc", "SRCC", lambda own: own.srcc),
        _Figure("bias", "Bias", lambda own: own.bias, "signed"),
        _Figure("mae", "MAE", lambda own: own.mae),
    ]
    by_stage = [(item, stage, own) for item in ranked for stage, own in _by_stage(item).items()]
    quarters = any(own.mae_by_spread for _, _, held in by_stage for own in held)
    if quarters:
        figures += [_Figure(f"mae_{k + 1}", f"MAE, {text} quarter", _quarter(k)) for k, text in enumerate(_QUARTERS)]
    if not by_stage:
        return
    rows = [
        (*name_cells(view, item.row), Cell(phrase(CodeText(stage))), *(_mean(held, figure) for figure in figures))
        for item, stage, held in by_stage
    ]
    columns = [*name_columns(view), Column("stage", "Stage"), *(Column(own.name, own.header) for own in figures)]
    said = (
        "Predictions of each stage's model for the unlabeled images, compared with their scores, which are withheld "
        "from the learners; on the learner's scale from 0 to 1, mean over the runs."
    )
    if quarters:
        said += " Quarters of these images: from those whose crops agree most to those whose crops agree least."
    table = PageTable(name, tuple(columns), tuple(rows))
    yield Section(f"{name}-section", phrase("Pseudo-labels"), (table, Paragraph(phrase(said))))


def _by_stage(item: Ranked) -> dict[str, list[PseudoLabels]]:
    found: dict[str, list[PseudoLabels]] = {}
    for run in item.row.runs.values():
        for stage, own in run.facts.pseudo_labels.items():
            found.setdefault(stage, []).append(own)
    return found


def _quarter(k: int) -> Callable[[PseudoLabels], float | None]:
    return lambda own: None if own.mae_by_spread is None else own.mae_by_spread[k]


def _mean(held: Sequence[PseudoLabels], figure: _Figure) -> Cell:
    values = [value for own in held if (value := figure.read(own)) is not None]
    mean = statistics.fmean(values) if len(values) == len(held) else None
    return Cell(Number(mean, show=figure.show, n=len(values)))
