"""Parts of the test images: intervals of single runs, SRCC by distortion, level and part, counts of classes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from ssliqa_bench.evaluation.classes import most_frequent
from ssliqa_bench.leaderboard.cells import name_cells, name_columns
from ssliqa_bench.leaderboard.collect import Row
from ssliqa_bench.leaderboard.columns import class_facts
from ssliqa_bench.leaderboard.numbers import decimals
from ssliqa_bench.leaderboard.page import Block, Cell, Column, Number, PageTable, Paragraph, Section, phrase
from ssliqa_bench.leaderboard.ranking import Ranked, span
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.store.record import Metrics

# The measures of a run that records hold intervals of.
_MEASURES = {"srcc": "SRCC", "plcc_mapped": "PLCC", "plcc_raw": "PLCC raw", "krcc": "KRCC", "rmse_mapped": "RMSE"}
# Wider tables are continued in a further one.
_WIDEST = 8


def interval_tables(
    view: SectionView, name: str, ranked: Sequence[Ranked], dataset: str, title: str
) -> Iterator[Section]:
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
    yield Section(f"{name}-section", phrase(title), (PageTable(name, tuple(columns), tuple(rows)), below))


def _ends(held: Sequence[Metrics], measure: str) -> Cell:
    found = [own for metrics in held if (own := (metrics.intervals or {}).get(measure)) is not None]
    if not found:
        return Cell(Number(None))
    notes = [] if len(found) == len(held) else [phrase(f"in {len(found)} of {len(held)} runs; the others have none")]
    lo, hi = statistics.fmean(own.lo for own in found), statistics.fmean(own.hi for own in found)
    return Cell(Number(None, lo=lo, hi=hi, n=len(found)), notes=tuple(notes))


def breakdown_tables(
    view: SectionView, name: str, ranked: Sequence[Ranked], dataset: str, kind: str, on: str
) -> Iterator[Section]:
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
        tables.append(PageTable(f"{name}-{start}", tuple(columns), tuple(rows)))
    below = Paragraph(phrase("SRCC, mean over the runs; a dash: too few images, or all scores are equal, in a run."))
    yield Section(f"{name}-section", phrase(f"SRCC by {kind} {on}"), (*tables, below))


def _values(metrics: Metrics, kind: str) -> dict[str, float | None]:
    return {label: own.srcc for label, own in (metrics.by or {})[kind].values.items()}  # type: ignore[index]


def _within(metrics: Metrics, kind: str) -> float | None:
    return (metrics.by or {})[kind].within  # type: ignore[index]


def _mean(held: Sequence[Metrics], read: Callable[[Metrics], float | None]) -> Cell:
    values = [value for own in held if (value := read(own)) is not None]
    return Cell(Number(statistics.fmean(values) if len(values) == len(held) else None, n=len(values)))


def class_counts(view: SectionView, dataset: str) -> list[Paragraph]:
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
