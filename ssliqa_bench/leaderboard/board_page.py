"""The pages of a board: one for each pair, and an overview of all pairs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace

from ssliqa_bench.leaderboard import limits
from ssliqa_bench.leaderboard.cells import absent_cell, method_cell, rank_cell, with_best
from ssliqa_bench.leaderboard.collect import Board, SettingRows
from ssliqa_bench.leaderboard.columns import CellPlace, Measure, columns_of, ranking_measure
from ssliqa_bench.leaderboard.data_page import data_section, human_datasets, notice_texts
from ssliqa_bench.leaderboard.details import section_blocks
from ssliqa_bench.leaderboard.flat_table import flat_table
from ssliqa_bench.leaderboard.gains import can_gain, opening_words
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
    Column,
    Items,
    Link,
    Number,
    Page,
    PageTable,
    Paragraph,
    Phrase,
    Section,
    phrase,
)
from ssliqa_bench.leaderboard.questions import QUESTIONS, question_of
from ssliqa_bench.leaderboard.ranking import Ranked
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.leaderboard.words import DEMO, figure_words, labels_used, legend, methods, row_name, splits_digest

# Rows of the first table of a page: it fits a screen.
_SCREEN = 20
_TITLE = {"srcc": "SRCC", "srcc_within_parts": "SRCC within parts,"}


def board_pages(board: Board, *, cost: bool = True) -> list[Page]:
    """An overview of the pairs of a board, which holds the data of all, and a page for each pair."""
    views = [SectionView(section) for section in board.sections]
    pairs = dict.fromkeys(str(section.pair) for section in board.sections)
    by_pair = {pair: [view for view in views if str(view.section.pair) == pair] for pair in pairs}
    overview = _overview(board, by_pair, cost=cost)
    return [overview, *(_pair_page(board, pair, own, cost=cost) for pair, own in by_pair.items())]


def stem(board: Board) -> str:
    """Path of a board's overview below the output folder, without a suffix."""
    return f"demo/{board.protocol}" if board.demo else board.protocol


def pair_stem(board: Board, pair: str) -> str:
    """Path of a pair's page: `standard/livec--livec`. Names that are no file names get a hash."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", pair.replace(":", "--"))
    if safe.startswith(".") or safe.replace("--", ":") != pair:
        safe = f"pair-{safe.lstrip('.')[:60]}-{hashlib.sha256(pair.encode()).hexdigest()[:8]}"
    return f"{stem(board)}/{safe}"


def _title(board: Board, pair: str | None = None) -> Phrase:
    of = () if pair is None else (", pair ", CodeText(pair))
    return phrase("Leaderboard: protocol ", CodeText(board.protocol), *of, ", demo data" if board.demo else "")


def _overview(board: Board, by_pair: dict[str, list[SectionView]], *, cost: bool) -> Page:
    """A table for each question: one that held all pairs would compare what has no common answer."""
    views = [view for own in by_pair.values() for view in own]
    blocks: list[Block] = [DEMO] if board.demo else []
    for question in QUESTIONS:
        asked = {pair: own for pair, own in by_pair.items() if question_of(own[0].section.pair) == question}
        if asked:
            table = _pair_table(board, asked, f"overview-{question.name}")
            said = Paragraph(phrase(question.sentence))
            blocks.append(Section(f"pairs-{question.name}", phrase(question.title), (said, table)))
    below = Paragraph(phrase(
        "The best ranked method of each pair and number of labels, by SRCC on the unlabeled side where there is one; "
        "ranks are in the order of means and do not state that a method is better than the next. Gains: verdicts "
        "on learners, each against its own labels-only comparator. Splits: one hash of all test parts."
    ))  # fmt: skip
    words = (below, *map(Paragraph, figure_words(views)))
    blocks.append(Section("words", phrase("How to read the tables"), words))
    named = _datasets(board.sections)
    blocks += data_section(named)
    return Page(stem(board), _title(board), tuple(blocks), flat_table(board, views, cost=cost), notice_texts(named))


def _pair_table(board: Board, by_pair: dict[str, list[SectionView]], name: str) -> PageTable:
    """Pairs by number of labels, each with its best method."""
    views = [view for own in by_pair.values() for view in own]
    sides = [side for side in ("labeled", "unlabeled")
             if any(side in view.sides.values() for view in views)]  # fmt: skip
    columns = [
        Column("pair", "Pair", text=True),
        Column("labels", "Labels"),
        Column("methods", "Methods"),
        Column("best", "Best method", text=True),
        *(Column(f"srcc_{side}", f"SRCC {side}", parts=("value", "lo", "hi")) for side in sides),
        Column("verdicts", "Gains from unlabeled images", text=True),
        Column("splits", "Splits", text=True),
    ]
    rows = []
    for pair, own in by_pair.items():
        for view in own:
            rows.append((Cell(phrase(Link(pair, pair_stem(board, pair)))), *_summary(view, sides)))
    return PageTable(name, tuple(columns), tuple(rows))


def _datasets(sections: Iterable[SettingRows]) -> list[str]:
    return human_datasets(run for section in sections for row in section.rows for run in row.runs.values())


def _summary(view: SectionView, sides: list[str]) -> list[Cell]:
    """What the overview shows of a section."""
    ranked = [item for item in view.ranked if item.rank is not None]
    best = ranked[0].row if ranked else None
    by_name = {own.name: own for own in columns_of([view.section])}
    by_side = {side: name for name, side in view.section.datasets}
    methods = len({item.row.method for item in ranked})
    cells = [Cell(phrase(labels_used(best) if best is not None else "")), Cell(Number(methods, "count"))]
    cells.append(Cell() if best is None else Cell(row_name(view, best)))
    for side in sides:
        found = side in by_side and best is not None and best.tested(by_side[side])
        if found and best is not None:
            measure = by_name[ranking_measure(view.section, by_side[side])]
            cells.append(measure.cell(CellPlace(view, best, by_side[side])))
        else:
            cells.append(Cell(Number(None)))
    counts = {}
    for verdict in ("better", "worse", "equivalent", "not distinguished"):
        found_here = [own for own in view.verdicts(view.section.ranking_dataset) if own.comparison.verdict == verdict]
        counts[verdict] = len(found_here)
    words = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    return [*cells, Cell(phrase(words) or None), Cell(phrase(CodeText(splits_digest([view.section]))))]


def _pair_page(board: Board, pair: str, views: list[SectionView], *, cost: bool) -> Page:
    own = replace(board, sections=tuple(view.section for view in views))
    opening, more = _opening(views)
    asked = Paragraph(phrase(question_of(views[0].section.pair).sentence))
    blocks: list[Block] = [*([DEMO] if board.demo else []), asked, opening]
    blocks += [Paragraph(sentence) for view in views for sentence in opening_words(view)]
    words = phrase("Splits ", CodeText(splits_digest(own.sections)), more, " ", Link("All pairs", stem(board)), ".")
    blocks.append(Paragraph(words))
    blocks += [section_blocks(view, f"section-{k}", cost=cost) for k, view in enumerate(views, 1)]
    blocks += data_section(named := _datasets(own.sections))
    blocks.append(Section("methods", phrase("Methods"), (Items(methods(own)),)))
    blocks.append(Section("words", phrase("How to read the tables"), tuple(legend(views, cost=cost))))
    return Page(pair_stem(board, pair), _title(board, pair), tuple(blocks), beside=notice_texts(named))


def _opening(views: list[SectionView]) -> tuple[PageTable, str]:
    """The first rows of every section of a pair, that with most rows first, and what to say of those left out."""
    views = sorted(views, key=lambda view: -len(view.ranked))
    datasets = [(d, side) for d, side in views[0].section.datasets if side != "external"]
    columns = [Column("rank", "#"), Column("method", "Method", text=True), Column("labels", "Labels")]
    measures = {d: ranking_measure(views[0].section, d) for d, _ in datasets}
    columns += [Column(f"srcc-{d}", f"{_TITLE[measures[d]]} {d} ({side})", parts=("value", "lo", "hi"))
                for d, side in datasets]  # fmt: skip
    ranking = views[0].section.ranking_dataset
    with_gains = [(view, row) for view in views for row in view.section.rows if view.without_gain(row) is None]
    gains = ["over_best"] if any(view.over_best(row, ranking) for view, row in with_gains) else []
    gains += ["gain"] if any(can_gain(row) for _, row in with_gains) else []
    titles = {"over_best": f"Over best labels-only {ranking}", "gain": f"Gain {ranking}"}
    columns += [Column(name, titles[name], parts=("value", "lo", "hi")) for name in gains]
    rows: list[tuple[Cell, ...]] = []
    left, hidden = 0, False
    listed = [_listed_first(view) for view in views]
    for view, ranked, shown in zip(views, listed, _shares([len(ranked) for ranked in listed]), strict=True):
        all_rows = sum(item.row.reference != "control" for item in view.ranked)
        left, hidden = left + all_rows - min(shown, len(ranked)), hidden or len(ranked) < all_rows
        by_name = {own.name: own for own in columns_of([view.section])}
        values = [_column(view, ranked, by_name[measures[dataset]], dataset) for dataset, _ in datasets]
        values += [_column(view, ranked, by_name[name], view.section.ranking_dataset) for name in gains]
        for k, item in enumerate(ranked[:shown]):
            leading = [rank_cell(item), method_cell(view, item.row, notes=False), Cell(phrase(labels_used(item.row)))]
            rows.append((*leading, *(column[k] for column in values)))
    for view in views:
        for lacking in view.section.without_rows:
            blank = [Cell(Number(None)) for _ in range(len(columns) - 3)]
            rows.append((Cell(), absent_cell(view, lacking, notes=False), Cell(), *blank))
    if limits.has_limit(views[0]):  # the test images are those of every section
        found = [limits.noise_limit(views[0], dataset) or Cell(Number(None)) for dataset, _ in datasets]
        cells = [*(replace(cell, notes=()) for cell in found), *(Cell(Number(None)) for _ in gains)]
        rows.append((Cell(phrase(limits.RANK)), Cell(limits.NAME), Cell(), *cells))
    among = ", other comparators and oracles among them," if hidden else ""
    more = f"; {left} further rows{among} below." if left else "."
    return PageTable("opening", tuple(columns), tuple(rows)), more


def _listed_first(view: SectionView) -> list[Ranked]:
    """The rows of a section that the first table has room for: what competes, the best labels-only row, and of the
    oracles the highest one."""
    best = [found.row for item in view.ranked if (found := view.best_labels_only(item.row)) is not None]
    rows: list[Ranked] = []
    for item in view.ranked:
        kind = item.row.reference
        second = kind == "oracle" and any(other.row.reference == "oracle" for other in rows)
        if kind != "control" and not second and (kind != "comparator" or any(item.row is row for row in best)):
            rows.append(item)
    return rows


def _column(view: SectionView, ranked: list[Ranked], measure: Measure, dataset: str) -> list[Cell]:
    """A measure of rows without its notes, which the sections below have; no gain where there can be none."""
    if dataset not in view.sides:
        return [Cell(Number(None)) for _ in ranked]
    cells = [measure.cell(CellPlace(view, item.row, dataset)) for item in ranked]
    if measure.name == "gain":
        cells = [cell if can_gain(item.row) else Cell(Number(None)) for item, cell in zip(ranked, cells, strict=True)]
    return [replace(cell, notes=()) for cell in with_best(cells, ranked, measure.best)]


def _shares(sizes: list[int]) -> list[int]:
    """How many rows of each section fit the first table: half of them are for the first, and all share the others
    equally, the first included."""
    shares = [min(sizes[0], _SCREEN // 2), *(0 for _ in sizes[1:])]
    room = _SCREEN - shares[0]
    while room > 0 and shares != sizes:
        for k, size in enumerate(sizes):
            if room > 0 and shares[k] < size:
                shares[k] += 1
                room -= 1
    # Every section has at least its first row.
    return [max(share, 1) for share in shares]
