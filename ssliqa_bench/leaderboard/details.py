"""The tables of a section: all rows, gains, further measures, intervals, breakdowns, classes, cost, splits."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from ssliqa_bench.evaluation.classes import most_frequent
from ssliqa_bench.leaderboard.collect import Row
from ssliqa_bench.leaderboard.columns import Measure, Place, TableName, class_facts, columns_of
from ssliqa_bench.leaderboard.numbers import MISSING, SHOW, decimals, signed
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    Code,
    Column,
    Item,
    Items,
    Number,
    Paragraph,
    Part,
    Phrase,
    Section,
    Table,
    joined,
    phrase,
)
from ssliqa_bench.leaderboard.ranking import Ranked, remarks, run_notes, span
from ssliqa_bench.leaderboard.view import View
from ssliqa_bench.leaderboard.words import budget_words, data_items, setting, split_hashes
from ssliqa_bench.store.record import Metrics

STATUS = {"comparator": "ref", "oracle": "ref", "seen": "seen", "outdated": "old", "unverified": MISSING,
          "unofficial": "unofficial", "untested": MISSING, "undefined": MISSING}  # fmt: skip
# The measures of a run that records hold intervals of.
_MEASURES = {"srcc": "SRCC", "plcc_mapped": "PLCC", "plcc_raw": "PLCC raw", "krcc": "KRCC", "rmse_mapped": "RMSE"}
# Wider tables are continued in a further one.
_WIDEST = 8


def section_blocks(view: View, name: str, *, cost: bool) -> Section:
    """All that is known of a section, as a section of a page."""
    section = view.section
    blocks: list[Block] = [
        Items(data_items(section)),
        _main(view, name),
        Paragraph(phrase(f"Ranked by SRCC on {section.ranking_dataset}.")),
    ]
    for dataset, side in section.datasets:
        on = f"on {dataset} ({side})"
        part = f"{name}-{dataset}"
        tested = [item for item in view.ranked if item.row.tested(dataset)]
        blocks += _gains(view, f"{part}-gain", dataset, f"What the unlabeled images bring {on}")
        blocks.append(_titled(f"Further measures {on}", _measures(view, f"{part}-detail", tested, "detail", dataset)))
        blocks += _intervals(view, f"{part}-intervals", tested, dataset, f"How sure single runs are {on}")
        for kind in ("distortion", "level", "part"):
            blocks += _breakdown(view, f"{part}-{kind}", tested, dataset, kind, on)
        if any(measure.table == "classes" for measure in columns_of([section])):
            table = _measures(view, f"{part}-classes", tested, "classes", dataset)
            blocks.append(_titled(f"Classes {on}", table, *_class_counts(view, dataset)))
    if cost:
        blocks.append(_titled("Cost", _measures(view, f"{name}-cost", view.ranked, "cost")))
    blocks.append(_titled("Splits", _splits(view, f"{name}-splits")))
    if noted := _noted(view):
        blocks.append(_titled("What the runs noted", noted))
    return Section(name, phrase(str(section.pair), budget_words(section)), tuple(blocks))


def name_columns(view: View, *, always: bool = False) -> list[Column]:
    """The columns that name a row: the method, and its recipe where a method has several rows."""
    method, recipe = Column("method", "Method", text=True), Column("recipe", "Recipe", text=True)
    return [method, recipe] if always or not view.one_setting else [method]


def name_cells(view: View, row: Row, *, always: bool = False) -> list[Cell]:
    """The cells of `name_columns`."""
    method, recipe = Cell(phrase(Code(row.method))), Cell(setting(row))
    return [method, recipe] if always or not view.one_setting else [method]


def rank_cell(item: Ranked) -> Cell:
    """The rank, or why there is none."""
    return Cell(phrase(STATUS[item.status] if item.rank is None else str(item.rank)))


def method_cell(view: View, row: Row, *, notes: bool = True) -> Cell:
    """The method with its marks, and with the sentences that explain them."""
    found = remarks(row, view.section)
    marks = " ".join(remark.mark for remark in found if remark.mark)
    return Cell(phrase(Code(row.method)), marks, tuple(remark.sentence for remark in found) if notes else ())


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


def _titled(title: str, table: Table | Items, *below: Paragraph) -> Section:
    name = table.name if isinstance(table, Table) else title.lower().replace(" ", "-")
    return Section(f"{name}-section", phrase(title), (table, *below))


def _main(view: View, name: str) -> Table:
    places = [(own, d, side) for own in _of(view, "main") for d, side in view.section.datasets if side in own.sides]
    columns = [Column("rank", "#"), *name_columns(view, always=True), Column("runs", "Runs")]
    columns += [Column(f"{own.name}-{d}", own.header.format(dataset=d, side=side), parts=("value", "spread"))
                for own, d, side in places]  # fmt: skip
    values = [
        with_best([own.cell(Place(view, item.row, d)) for item in view.ranked], view.ranked, own.best)
        for own, d, _ in places
    ]
    rows = []
    for k, item in enumerate(view.ranked):
        runs = Cell(Number(len(item.row.runs), "count"))
        names = [rank_cell(item), method_cell(view, item.row), Cell(setting(item.row)), runs]
        rows.append((*names, *(column[k] for column in values)))
    return Table(f"{name}-main", tuple(columns), tuple(rows))


def _of(view: View, table: TableName) -> list[Measure]:
    return [own for own in columns_of([view.section]) if own.table == table and own.header]


def _measures(view: View, name: str, ranked: Sequence[Ranked], table: TableName, dataset: str = "") -> Table:
    """The measures of one kind, on one dataset or of the runs themselves; columns without any value are left out."""
    side = view.sides.get(dataset, "")
    columns, values = name_columns(view), [[*name_cells(view, item.row)] for item in ranked]
    for own in _of(view, table):
        if dataset and own.sides and side not in own.sides:
            continue
        cells = with_best([own.cell(Place(view, item.row, dataset)) for item in ranked], ranked, own.best)
        if own.name == "change" and all(cell.number is None for cell in cells):
            continue
        columns.append(Column(own.name, own.header, own.text, ("value", "spread") if own.sides else ("value",)))
        for line, cell in zip(values, cells, strict=True):
            line.append(cell)
    return Table(name, tuple(columns), tuple(tuple(line) for line in values))


def _gains(view: View, name: str, dataset: str, title: str) -> Iterator[Section]:
    """Learners against their comparators, and what the oracles reach; rows that can have no gain are left out."""
    by_name = {own.name: own for own in columns_of([view.section])}

    def cell(row: Row, measure: str) -> Cell:
        return by_name[measure].cell(Place(view, row, dataset))

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
        names = joined(Code(name) for name in sorted({row.method for row in alone}))
        words.append(phrase("Without a comparator on record for their recipe and overrides: ", names, "."))
    blocks: list[Block] = [Table(name, tuple(columns), tuple(lines))] if lines else []
    blocks += [Paragraph(own) for own in words if own]
    if blocks:
        yield Section(f"{name}-section", phrase(title), tuple(blocks))


def can_gain(row: Row) -> bool:
    """Whether unlabeled images can bring a row anything: metrics train nothing, comparators and oracles are measures
    of gain themselves."""
    return row.reference is None and any(run.facts.steps for run in row.runs.values())


def told_apart(view: View, dataset: str) -> Phrase:
    """One or two sentences on which gains can be told from nothing; empty where there are no verdicts."""
    found = view.verdicts(dataset)
    if not found:
        return phrase()
    by: dict[str, list[str]] = {"better": [], "worse": [], "equivalent": [], "not distinguished": []}
    for own in found:
        by[own.comparison.verdict].append(own.row.method)
    named = {verdict: joined(map(Code, sorted(set(names)))) for verdict, names in by.items()}
    parts: list[Phrase] = []
    if by["better"]:
        parts.append(phrase("unlabeled images help ", named["better"]))
    if by["worse"]:
        parts.append(phrase("unlabeled images hurt " if not by["better"] else "they hurt ", named["worse"]))
    if not parts:
        parts.append(phrase("no learner is shown to gain or to lose"))
    if by["equivalent"]:
        parts.append(phrase("equivalent to labels only: ", named["equivalent"]))
    if by["not distinguished"]:
        parts.append(phrase("not distinguished from labels only: ", named["not distinguished"]))
    labels = budget_words(view.section).removeprefix(", ") or "all scores"
    of = f"{len(found)} learner{'s' if len(found) > 1 else ''} compared with labels only"
    return phrase(f"On {dataset}, {labels}, {of}: ", joined(parts, "; "), ".")


def _oracles(view: View, dataset: str) -> Phrase:
    """What true scores of the unlabeled images bring."""
    gain = next(own for own in columns_of([view.section]) if own.name == "gain")
    sentences = []
    for row in (item.row for item in view.ranked if item.row.reference == "oracle" and item.row.tested(dataset)):
        found = gain.cell(Place(view, row, dataset))
        if isinstance(found.value, Number) and found.value.value is not None:
            spread = "" if found.value.spread is None else f" ± {decimals(found.value.spread)}"
            sentences.append(phrase(Code(row.method), f": {signed(found.value.value)}{spread}"))
    if not sentences:
        return phrase()
    return phrase("With the withheld scores as labels, over the comparator: ", joined(sentences), ".")


def _intervals(view: View, name: str, ranked: Sequence[Ranked], dataset: str, title: str) -> Iterator[Section]:
    """The intervals that records hold, of the test images of single runs: mean ends over the runs of a row."""
    rows = []
    for item in ranked:
        held = [run.results[dataset].metrics for run in item.row.runs.values() if dataset in run.results]
        cells = [_ends([own for own in held if own.intervals], measure) for measure in _MEASURES]
        if any(isinstance(cell.value, Number) and cell.value.lo is not None for cell in cells):
            rows.append((*name_cells(view, item.row), *cells))
    if not rows:
        return
    columns = [*name_columns(view), *(Column(own, text, parts=("lo", "hi")) for own, text in _MEASURES.items())]
    below = Paragraph(phrase("95 % intervals of single runs, for other test images; ends are means over the runs."))
    yield Section(f"{name}-section", phrase(title), (Table(name, tuple(columns), tuple(rows)), below))


def _ends(held: Sequence[Metrics], measure: str) -> Cell:
    found = [own for metrics in held if (own := (metrics.intervals or {}).get(measure)) is not None]
    if not found:
        return Cell(Number(None))
    notes = [] if len(found) == len(held) else [phrase(f"in {len(found)} of {len(held)} runs; the others have none")]
    lo, hi = statistics.fmean(own.lo for own in found), statistics.fmean(own.hi for own in found)
    return Cell(Number(None, lo=lo, hi=hi, n=len(found)), notes=tuple(notes))


def _breakdown(view: View, name: str, ranked: Sequence[Ranked], dataset: str, kind: str, on: str) -> Iterator[Section]:
    """SRCC by distortion, level or part, where records hold it."""
    held: list[tuple[Row, list[Metrics]]] = []
    for row in (item.row for item in ranked):
        own = [run.results[dataset].metrics for run in row.runs.values() if dataset in run.results]
        if own := [metrics for metrics in own if metrics.by and kind in metrics.by]:
            held.append((row, own))
    labels = sorted({label for _, own in held for metrics in own for label in _values(metrics, kind)})
    if not labels:
        return
    tables: list[Block] = []
    within: list[tuple[str, Callable[[Metrics], float | None]]] = [("Mean within", lambda own: _within(own, kind))]
    by_label = [(label, lambda own, label=label: _values(own, kind).get(label)) for label in labels]
    wanted = within + by_label
    for start in range(0, len(wanted), _WIDEST):
        part = wanted[start : start + _WIDEST]
        columns = [*name_columns(view), *(Column(f"{kind}-{start + k}", text) for k, (text, _) in enumerate(part))]
        rows = [(*name_cells(view, row), *(_mean(own, read) for _, read in part)) for row, own in held]
        tables.append(Table(f"{name}-{start}", tuple(columns), tuple(rows)))
    below = Paragraph(phrase("SRCC, mean over the runs; a dash: too few images, or all scores are equal, in a run."))
    yield Section(f"{name}-section", phrase(f"SRCC by {kind} {on}"), (*tables, below))


def _values(metrics: Metrics, kind: str) -> dict[str, float | None]:
    return {label: own.srcc for label, own in (metrics.by or {})[kind].values.items()}  # type: ignore[index]


def _within(metrics: Metrics, kind: str) -> float | None:
    return (metrics.by or {})[kind].within  # type: ignore[index]


def _mean(held: Sequence[Metrics], read: Callable[[Metrics], float | None]) -> Cell:
    values = [value for own in held if (value := read(own)) is not None]
    return Cell(Number(statistics.fmean(values) if len(values) == len(held) else None, n=len(values)))


def _class_counts(view: View, dataset: str) -> list[Paragraph]:
    """How many test images each class has, and what a constant prediction would reach."""
    runs = [run for row in view.section.rows for run in row.runs.values() if dataset in run.results]
    facts = [found for run in runs if (found := class_facts(run, dataset)) is not None]
    counted = [found for found in facts if sum(found.images)]
    words = []
    if counted:
        by_class = zip_longest(*(found.images for found in counted), fillvalue=0)
        counts = ", ".join(f"{k}: {span(numbers)}" for k, numbers in enumerate(by_class))
        tops, shares, errors = zip(*(most_frequent(list(found.images)) for found in counted), strict=True)
        words.append(f"Test images by class: {counts}.")
        words.append(f"Always predicting the most frequent class ({span(tops)}) gives an accuracy of {_reach(shares)} "
                     f"and an MAE of {_reach(errors)}.")  # fmt: skip
    if any(unknown := [found.unknown for found in facts]):
        words.append(f"Without a true class, so not counted: {span(unknown)}.")
    return [Paragraph(phrase(" ".join(words)))] if words else []


def _reach(values: Sequence[float]) -> str:
    """`0.552`, or `0.551 to 0.552` where splits differ."""
    return " to ".join(dict.fromkeys(decimals(value) for value in (min(values), max(values))))


def _splits(view: View, name: str) -> Table:
    """Hash of every split: rows that were tested on the same images have the same."""
    hashes = split_hashes(view.section)
    seeds = sorted({seed for by in hashes.values() for seed in by})
    columns = [Column("seed", "Seed"), *(Column(dataset, dataset, text=True) for dataset in hashes)]
    rows = []
    for seed in seeds:
        cells = [joined(Code(own[:12]) for own in by.get(seed, ())) for by in hashes.values()]
        rows.append((Cell(phrase(str(seed))), *(Cell(own or None) for own in cells)))
    return Table(name, tuple(columns), tuple(rows))


def _noted(view: View) -> Items | None:
    entries = []
    for row in (item.row for item in view.ranked):
        if notes := run_notes(row):
            entries.append(Item(phrase(Code(row.method), ", ", setting(row)), tuple(map(phrase, notes))))
    return Items(tuple(entries)) if entries else None
