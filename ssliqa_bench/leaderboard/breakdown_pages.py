"""Where rows are right and wrong, from predictions: errors by score range and SRCC by group, a page for each pair."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ssliqa_bench.leaderboard.board_page import pair_stem
from ssliqa_bench.leaderboard.cells import name_cells, name_columns
from ssliqa_bench.leaderboard.collect import Row, collect
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
    Column,
    Number,
    Page,
    PageTable,
    Paragraph,
    Section,
    phrase,
)
from ssliqa_bench.leaderboard.run_parts import errors_by_range, fitted_mapping, srcc_by_group
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.leaderboard.words import DEMO, budget_words
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Record

ReadPredictions = Callable[[Record, str], Predictions]
_FIFTHS = ("Lowest fifth", "2nd", "3rd", "4th", "Highest fifth")
# Wider tables are continued in a further one.
_WIDEST = 8


def breakdown_pages(records: Iterable[Record], read: ReadPredictions) -> list[Page]:
    """A page for each pair of each protocol, named `breakdowns/` and as the pair's own page.

    Predictions of datasets whose names and scores may not be passed on are not read; the page states that.
    """
    pages = []
    for board in collect(records):
        for pair in dict.fromkeys(str(section.pair) for section in board.sections):
            views = [SectionView(section) for section in board.sections if str(section.pair) == pair]
            title = phrase("Errors by score range and SRCC by group: protocol ", CodeText(board.protocol), ", pair ",
                           CodeText(pair), ", demo data" if board.demo else "")  # fmt: skip
            sections = [_section(view, f"section-{k}", read) for k, view in enumerate(views, 1)]
            blocks: list[Block] = [*([DEMO] if board.demo else []), *sections]
            pages.append(Page(f"breakdowns/{pair_stem(board, pair)}", title, tuple(blocks)))
    return pages


def _section(view: SectionView, name: str, read: ReadPredictions) -> Section:
    blocks: list[Block] = []
    for dataset, side in view.section.datasets:
        title = phrase(f"On {dataset} ({side})")
        blocks.append(Section(f"{name}-{dataset}", title, tuple(_dataset(view, f"{name}-{dataset}", dataset, read))))
    return Section(name, phrase(str(view.section.pair), budget_words(view.section)), tuple(blocks))


def _dataset(view: SectionView, name: str, dataset: str, read: ReadPredictions) -> list[Block]:
    rows = [item.row for item in view.ranked if item.row.tested(dataset)]
    parts = [(row, [_parts(row.runs[seed], dataset, read) for seed in row.tested(dataset)]) for row in rows]
    shown = [(row, own) for row, runs in parts if (own := [found for found in runs if found is not None])]
    blocks: list[Block] = []
    if len(shown) < len(rows):
        blocks.append(Paragraph(phrase(f"Names and scores of {dataset} may not be redistributed: not recomputable "
                                       f"here.")))  # fmt: skip
    ranges = [(row, [errors for errors, _ in own if len(errors) == len(_FIFTHS)]) for row, own in shown]
    ranges = [(row, own) for row, own in ranges if own]
    if ranges:
        for key, title in (("bias", "Mean error"), ("rmse", "RMSE")):
            columns = [*name_columns(view), *(Column(f"{key}-{k}", own) for k, own in enumerate(_FIFTHS))]
            lines = [(*name_cells(view, row), *(_mean([run[k][key] for run in own], key) for k in range(len(_FIFTHS))))
                     for row, own in ranges]  # fmt: skip
            blocks.append(PageTable(f"{name}-{key}", tuple(columns), tuple(lines), title))
        blocks.append(Paragraph(phrase(
            "Errors of the mapped predictions by fifth of the test images, ordered by score, in the dataset's own "
            "units, mean over the runs. A positive mean error means that quality is overestimated."
        )))  # fmt: skip
    return blocks + _groups(view, name, shown)


def _groups(view: SectionView, name: str, shown: Sequence[tuple[Row, list[Any]]]) -> list[Block]:
    labels = sorted({label for _, own in shown for _, groups in own for label in groups})
    blocks: list[Block] = []
    for start in range(0, len(labels), _WIDEST):
        part = labels[start : start + _WIDEST]
        columns = [*name_columns(view), *(Column(f"group-{start + k}", label) for k, label in enumerate(part))]
        lines = [(*name_cells(view, row), *(_mean([groups.get(label) for _, groups in own], "srcc") for label in part))
                 for row, own in shown]  # fmt: skip
        blocks.append(PageTable(f"{name}-group-{start}", tuple(columns), tuple(lines), "SRCC by group"))
    if blocks:
        blocks.append(Paragraph(phrase("SRCC by group: mean over the runs that have enough test images of a group; "
                                       "which groups are tested depends on the split.")))  # fmt: skip
    return blocks


def _parts(record: Record, dataset: str, read: ReadPredictions) -> tuple[list[Any], dict[str, float | None]] | None:
    """Errors by range and SRCC by group of a run; None where its predictions may not be passed on."""
    result = record.results[dataset]
    if result.withheld or not result.dataset.labels_redistributable:
        return None
    rows = read(record, dataset)
    return errors_by_range(rows, fitted_mapping(rows, record.facts.protocol.mapping)), srcc_by_group(rows)


def _mean(values: Sequence[float | None], kind: str) -> Cell:
    known = [value for value in values if value is not None]
    show = {"bias": "signed", "rmse": "decimals", "srcc": "decimals"}[kind]
    return Cell(Number(statistics.fmean(known) if known else None, show, n=len(known)))
