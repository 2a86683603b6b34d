"""How good pseudo-labels are, stage by stage, on boards."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ssliqa_bench.leaderboard.cells import name_cells, name_columns
from ssliqa_bench.leaderboard.labels_only import labels_only
from ssliqa_bench.leaderboard.page import Cell, CodeText, Column, Number, PageTable, Paragraph, Section, phrase
from ssliqa_bench.leaderboard.ranking import Ranked
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.store.record import PseudoLabels, Record, StageFacts

_QUARTERS = ("1st", "2nd", "3rd", "4th")
# What stages of the package log of the unlabeled images that they draw, where they learn from all of these: losses, and
# how many a batch of SSLIQA has. Those that choose log the share of the chosen ones, per epoch, as `mask`.
_OF_ALL = frozenset({"consistency_loss", "unlabeled_loss", "unlabeled"})
_PACKAGE = "ssliqa_bench."


@dataclass(frozen=True)
class _Labelling:
    """The pseudo-labels of one stage of one run.

    Attributes:
        coverage: share of the unlabeled images (`rankup`: of pairs of them) in the batches of the last epoch whose
            pseudo-label was learned from; None where there are none, or the record does not tell.
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
    """A table of all stages of the learners whose records hold figures of their pseudo-labels; none without any.

    Rows that learn from labels alone, and oracles, make none that anything is learned from.
    """
    ranked = [item for item in ranked if item.row.reference is None and not labels_only(item.row)]
    figures = [
        _Figure("srcc", "SRCC", lambda own: own.quality.srcc),
        _Figure("bias", "Bias", lambda own: own.quality.bias, "signed"),
        _Figure("mae", "MAE", lambda own: own.quality.mae),
    ]
    by_stage = [(item, stage, own) for item in ranked for stage, own in _by_stage(item).items()]
    covered = any(own.coverage is not None for _, _, held in by_stage for own in held)
    if covered:
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
    if covered:
        said += (
            " Coverage: of the unlabeled images that a stage draws in its last epoch (of pairs, where pairs are "
            "ranked), the share whose pseudo-label it learns from; 1.000 where it learns from all of them, a dash "
            "where it draws none or its record does not tell."
        )
    if quarters:
        said += (
            " Quarters: the unlabeled images by confidence, which here is how closely the predictions for an image's "
            "crops agree, from those that agree most to those that agree least."
        )
        said += " Learners that choose do so by a measure of their own." if covered else ""
    table = PageTable(name, tuple(columns), tuple(rows))
    yield Section(f"{name}-section", phrase("Pseudo-labels"), (table, Paragraph(phrase(said))))


def _by_stage(item: Ranked) -> dict[str, list[_Labelling]]:
    found: dict[str, list[_Labelling]] = {}
    for run in item.row.runs.values():
        coverage = {stage.name: _coverage(run, stage) for stage in run.facts.stages}
        for stage, own in run.facts.pseudo_labels.items():
            found.setdefault(stage, []).append(_Labelling(own, coverage.get(stage)))
    return found


def _coverage(run: Record, stage: StageFacts) -> float | None:
    last = stage.log[-1] if stage.log else {}
    share = last.get("mask")
    if share is not None:
        return float(share)
    if not run.facts.code.definitions.get("entry", "").startswith(_PACKAGE):
        return None  # a learner of others may choose without saying so
    # A phase of SS-IQA learns one of the blocks that all unlabeled images are cut into.
    of_block = stage.name.startswith("phase-") and "blocks" in run.key_part("params")
    return 1.0 if of_block or _OF_ALL.intersection(last) else None


def _quarter(k: int) -> Callable[[_Labelling], float | None]:
    return lambda own: None if own.quality.mae_by_spread is None else own.quality.mae_by_spread[k]


def _mean(held: Sequence[_Labelling], figure: _Figure) -> Cell:
    values = [value for own in held if (value := figure.read(own)) is not None]
    mean = statistics.fmean(values) if len(values) == len(held) else None
    return Cell(Number(mean, show=figure.show, n=len(values)))
