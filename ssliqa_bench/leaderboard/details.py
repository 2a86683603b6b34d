"""The tables of a section: all rows, gains, further measures, intervals, breakdowns, classes, cost, splits."""

from __future__ import annotations

from collections.abc import Sequence

from ssliqa_bench.leaderboard import limits
from ssliqa_bench.leaderboard.breakdowns import breakdown_tables, class_counts, interval_tables
from ssliqa_bench.leaderboard.cells import absent_cell, method_cell, name_cells, name_columns, rank_cell, with_best
from ssliqa_bench.leaderboard.columns import CellPlace, Measure, TableName, columns_of, ranking_measure
from ssliqa_bench.leaderboard.controls import control_tables
from ssliqa_bench.leaderboard.gains import gain_tables
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
    Column,
    Items,
    Number,
    PageTable,
    Paragraph,
    Phrase,
    Section,
    joined,
    phrase,
)
from ssliqa_bench.leaderboard.pseudo_labels import pseudo_label_tables
from ssliqa_bench.leaderboard.ranking import Ranked
from ssliqa_bench.leaderboard.run_notes import notes_of
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.leaderboard.words import budget_words, data_items, setting, split_hashes


def section_blocks(view: SectionView, name: str, *, cost: bool) -> Section:
    """All that is known of a section, as a section of a page."""
    section = view.section
    # Controls have a table of their own.
    ranked = [item for item in view.ranked if item.row.reference != "control"]
    blocks: list[Block] = [
        Items(data_items(section)),
        _main(view, name),
        Paragraph(_ranked_by(view)),
    ]
    for dataset, side in section.datasets:
        on = f"on {dataset} ({side})"
        part = f"{name}-{dataset}"
        tested = [item for item in ranked if item.row.tested(dataset)]
        blocks += gain_tables(view, f"{part}-gain", dataset, f"Gain from unlabeled images {on}")
        blocks += control_tables(view, f"{part}-controls", dataset, f"Controls {on}")
        blocks.append(_titled(f"Further measures {on}", _measures(view, f"{part}-detail", tested, "detail", dataset)))
        blocks += interval_tables(view, f"{part}-intervals", tested, dataset, f"Uncertainty of single runs {on}")
        for kind in ("distortion", "level", "part"):
            blocks += breakdown_tables(view, f"{part}-{kind}", tested, dataset, kind, on)
        if any(measure.table == "classes" for measure in columns_of([section])):
            table = _measures(view, f"{part}-classes", tested, "classes", dataset)
            blocks.append(_titled(f"Classes {on}", table, *class_counts(view, dataset)))
    blocks += pseudo_label_tables(view, f"{name}-pseudo-labels", ranked)
    if cost:
        blocks.append(_titled("Cost", _measures(view, f"{name}-cost", ranked, "cost")))
    blocks.append(_titled("Splits", _splits(view, f"{name}-splits")))
    if noted := notes_of([item.row for item in view.ranked]):
        blocks.append(_titled("Notes of the runs", noted))
    return Section(name, phrase(str(section.pair), budget_words(section)), tuple(blocks))


def _ranked_by(view: SectionView) -> Phrase:
    dataset = view.section.ranking_dataset
    if ranking_measure(view.section, dataset) == "srcc":
        return phrase(f"Ranked by SRCC on {dataset}.")
    return phrase(
        f"Ranked by SRCC within parts of {dataset}, whose parts alone predict much of the score: the mean of the SRCC "
        f"within each part, weighted by its test images. Gains are differences of the same figure."
    )


def _titled(title: str, table: PageTable | Items, *below: Paragraph) -> Section:
    name = table.name if isinstance(table, PageTable) else title.lower().replace(" ", "-")
    return Section(f"{name}-section", phrase(title), (table, *below))


def _main(view: SectionView, name: str) -> PageTable:
    places = [(own, d, side) for own in _of(view, "main") for d, side in view.section.datasets
              if side in own.sides and own.name in ("srcc", ranking_measure(view.section, d))]  # fmt: skip
    columns = [Column("rank", "#"), *name_columns(view, always=True), Column("runs", "Runs")]
    columns += [Column(f"{own.name}-{d}", own.header.format(dataset=d, side=side), parts=("value", "spread"))
                for own, d, side in places]  # fmt: skip
    values = [
        with_best([own.cell(CellPlace(view, item.row, d)) for item in view.ranked], view.ranked, own.best)
        for own, d, _ in places
    ]
    rows = []
    for k, item in enumerate(view.ranked):
        runs = Cell(Number(len(item.row.runs), "count"))
        names = [rank_cell(item), method_cell(view, item.row), Cell(setting(item.row)), runs]
        rows.append((*names, *(column[k] for column in values)))
    for lacking in view.section.without_rows:
        names = [Cell(), absent_cell(view, lacking), Cell(setting(lacking)), Cell(Number(0, "count"))]
        rows.append((*names, *(Cell(Number(None)) for _ in places)))
    if limits.has_limit(view):
        shown = (limits.noise_limit(view, d) if own.name == "srcc" else None for own, d, _ in places)
        leading = (Cell(phrase(limits.RANK)), Cell(limits.NAME), Cell(), Cell())
        rows.append((*leading, *(cell or Cell(Number(None)) for cell in shown)))
    return PageTable(f"{name}-main", tuple(columns), tuple(rows))


def _of(view: SectionView, table: TableName) -> list[Measure]:
    return [own for own in columns_of([view.section]) if own.table == table and own.header]


def _measures(view: SectionView, name: str, ranked: Sequence[Ranked], table: TableName, dataset: str = "") -> PageTable:
    """The measures of one kind, on one dataset or of the runs themselves; columns without any value are left out."""
    side = view.sides.get(dataset, "")
    columns, values = name_columns(view), [[*name_cells(view, item.row)] for item in ranked]
    for own in _of(view, table):
        if dataset and own.sides and side not in own.sides:
            continue
        cells = with_best([own.cell(CellPlace(view, item.row, dataset)) for item in ranked], ranked, own.best)
        if own.name == "change" and all(cell.number is None for cell in cells):
            continue
        columns.append(Column(own.name, own.header, own.text, ("value", "spread") if own.sides else ("value",)))
        for line, cell in zip(values, cells, strict=True):
            line.append(cell)
    return PageTable(name, tuple(columns), tuple(tuple(line) for line in values))


def _splits(view: SectionView, name: str) -> PageTable:
    """Hash of every split: rows that were tested on the same images have the same."""
    hashes = split_hashes(view.section)
    seeds = sorted({seed for by in hashes.values() for seed in by})
    columns = [Column("seed", "Seed"), *(Column(dataset, dataset, text=True) for dataset in hashes)]
    rows = []
    for seed in seeds:
        cells = [joined(CodeText(own[:12]) for own in by.get(seed, ())) for by in hashes.values()]
        rows.append((Cell(phrase(str(seed))), *(Cell(own or None) for own in cells)))
    return PageTable(name, tuple(columns), tuple(rows))
