"""Gains from unlabeled images: learners against their comparators and oracles, in a table and in words."""

from __future__ import annotations

from collections.abc import Iterator

from ssliqa_bench.leaderboard.cells import name_cells, name_columns
from ssliqa_bench.leaderboard.collect import Row
from ssliqa_bench.leaderboard.columns import CellPlace, columns_of
from ssliqa_bench.leaderboard.numbers import decimals, signed
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    Column,
    Number,
    PageTable,
    Paragraph,
    Part,
    Phrase,
    Section,
    joined,
    phrase,
)
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.leaderboard.words import budget_words, row_name


def gain_tables(view: SectionView, name: str, dataset: str, title: str) -> Iterator[Section]:
    """Learners against their comparators, and what the oracles reach; rows that can have no gain are left out."""
    by_name = {own.name: own for own in columns_of([view.section])}

    def cell(row: Row, measure: str) -> Cell:
        return by_name[measure].cell(CellPlace(view, row, dataset))

    rows = [item.row for item in view.ranked if can_gain(item.row) and item.row.tested(dataset)]
    alone = [row for row in rows if cell(row, "comparator").value is None and cell(row, "to_oracle").number is None]
    rows = [row for row in rows if not any(row is other for other in alone)]
    judged = bool(view.verdicts(dataset))
    measures = ["comparator", "gain", *(["p", "losses", "verdict"] if judged else []), "to_oracle"]
    held: dict[str, tuple[Part, ...]] = {"gain": ("value", "lo", "hi") if judged else ("value", "spread"),
                                         "to_oracle": ("value", "spread")}  # fmt: skip
    columns = [*name_columns(view), *(Column(own, by_name[own].header, by_name[own].text, held.get(own, ("value",)))
                                      for own in measures)]  # fmt: skip
    lines = [(*name_cells(view, row), *(cell(row, own) for own in measures)) for row in rows]
    words = [_oracles(view, dataset)]
    # What the first lines of the page state is not repeated.
    words += [told_apart(view, dataset)] if dataset != view.section.ranking_dataset else []
    if alone:
        names = joined(row_name(view, row) for row in sorted(alone, key=lambda row: (row.method, row.setting)))
        words.append(phrase("No comparator on record for their recipe and overrides: ", names, "."))
    blocks: list[Block] = [PageTable(name, tuple(columns), tuple(lines))] if lines else []
    blocks += [Paragraph(own) for own in words if own]
    if blocks:
        yield Section(f"{name}-section", phrase(title), tuple(blocks))


def can_gain(row: Row) -> bool:
    """Whether unlabeled images can bring a row anything: metrics train nothing, comparators and oracles are measures
    of gain themselves."""
    return row.reference is None and any(run.facts.steps for run in row.runs.values())


def told_apart(view: SectionView, dataset: str) -> Phrase:
    """One or two sentences on which gains can be told from nothing; empty where there are no verdicts."""
    found = view.verdicts(dataset)
    if not found:
        return phrase()
    by: dict[str, list[Phrase]] = {"better": [], "worse": [], "equivalent": [], "not distinguished": []}
    for own in found:
        by[own.comparison.verdict].append(row_name(view, own.row))
    for names in by.values():
        names.sort(key=lambda own: own.plain)
    named = {verdict: joined(names) for verdict, names in by.items()}
    parts: list[Phrase] = []
    if by["better"]:
        parts.append(phrase("unlabeled images help ", named["better"]))
    if by["worse"]:
        parts.append(phrase("unlabeled images hurt " if not by["better"] else "they hurt ", named["worse"]))
    if not parts:
        parts.append(phrase("no learner shows a gain or a loss"))
    if by["equivalent"]:
        parts.append(phrase("equivalent to labels only: ", named["equivalent"]))
    if by["not distinguished"]:
        parts.append(phrase("not distinguished from labels only: ", named["not distinguished"]))
    labels = budget_words(view.section).removeprefix(", ") or "all scores"
    learners = len({own.row.method for own in found})
    of = f"{learners} learner{'s' if learners > 1 else ''} against labels only"
    of = of if learners == len(found) else f"{len(found)} rows of {of}"
    return phrase(f"On {dataset} with {labels}, {of}: ", joined(parts, "; "), ".")


def _oracles(view: SectionView, dataset: str) -> Phrase:
    """The gain from true scores of the unlabeled images."""
    gain = next(own for own in columns_of([view.section]) if own.name == "gain")
    sentences = []
    for row in (item.row for item in view.ranked if item.row.reference == "oracle" and item.row.tested(dataset)):
        found = gain.cell(CellPlace(view, row, dataset))
        if isinstance(found.value, Number) and found.value.value is not None:
            spread = "" if found.value.spread is None else f" ± {decimals(found.value.spread)}"
            sentences.append(phrase(row_name(view, row), f": {signed(found.value.value)}{spread}"))
    if not sentences:
        return phrase()
    return phrase("Gain of training on the withheld scores as well: ", joined(sentences), ".")
