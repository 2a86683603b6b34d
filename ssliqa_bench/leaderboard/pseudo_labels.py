"""How good pseudo-labels are, stage by stage, on boards."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ssliqa_bench.leaderboard.cells import name_cells, name_columns
from ssliqa_bench.leaderboard.page import Cell, CodeText, Column, Number, PageTable, Paragraph, Section, phrase
from ssliqa_bench.leaderboard.ranking import Ranked
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.store.record import PseudoLabels, StageFacts

_QUARTERS = ("1st", "2nd", "3rd", "4th")


@dataclass(frozen=True)
class _Labelling:
    """The pseudo-labels of one stage of one run.

    Attributes:
        coverage: share of the unlabeled images (`rankup`: of pairs of them) in the batches of the last epoch whose
            pseudo-label was confident enough to be learned from; None where the learner does not choose.
    """

    quality: PseudoLabels
    coverage: float | None


@dataclass(frozen=True)
class _Figure:
    """A column: its name, heading, value and how that is printed."""

    name: str
    header: str
    read: Callable[[_Labelling], float | None]
    show: str = "decimals"


def pseudo_label_tables(view: SectionView, name: str, ranked: Sequence[Ranked]) -> Iterator[Section]:
    """A table of all stages of all rows whose records hold figures of their pseudo-labels; none without any."""
    figures = [
        _Figure("srcc", "SRCC", lambda own: own.quality.srcc),
        _Figure("bias", "Bias", lambda own: own.quality.bias, "signed"),
        _Figure("mae", "MAE", lambda own: own.quality.mae),
    ]
    by_stage = [(item, stage, own) for item in ranked for stage, own in _by_stage(item).items()]
    selecting = any(own.coverage is not None for _, _, held in by_stage for own in held)
    if selecting:
        figures.append(_Figure("coverage", "Coverage", lambda own: own.coverage))
    quarters = any(own.quality.mae_by_spread for _, _, held in by_stage for own in held)
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
    if selecting:
        said += (
            " Coverage: share of the unlabeled images of the last epoch (of pairs, where pairs are ranked) whose "
            "pseudo-label was confident enough to be learned from, for learners that choose."
        )
    if quarters:
        said += " Quarters of these images: from those whose crops agree most to those whose crops agree least."
    table = PageTable(name, tuple(columns), tuple(rows))
    yield Section(f"{name}-section", phrase("Pseudo-labels"), (table, Paragraph(phrase(said))))


def _by_stage(item: Ranked) -> dict[str, list[_Labelling]]:
    found: dict[str, list[_Labelling]] = {}
    for run in item.row.runs.values():
        coverage = {stage.name: _coverage(stage) for stage in run.facts.stages}
        for stage, own in run.facts.pseudo_labels.items():
            found.setdefault(stage, []).append(_Labelling(own, coverage.get(stage)))
    return found


def _coverage(stage: StageFacts) -> float | None:
    """Learners that choose among pseudo-labels log the share of the chosen ones, per epoch, as `mask`."""
    share = stage.log[-1].get("mask") if stage.log else None
    return None if share is None else float(share)


def _quarter(k: int) -> Callable[[_Labelling], float | None]:
    return lambda own: None if own.quality.mae_by_spread is None else own.quality.mae_by_spread[k]


def _mean(held: Sequence[_Labelling], figure: _Figure) -> Cell:
    values = [value for own in held if (value := figure.read(own)) is not None]
    mean = statistics.fmean(values) if len(values) == len(held) else None
    return Cell(Number(mean, show=figure.show, n=len(values)))
