"""Boards as documents of the site: every page of `page.py`, its numbers printed, with charts beside some sections."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ssliqa_bench.leaderboard.few_labels import LABELS_ONLY, FewLabels, Point
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    Column,
    Items,
    Notice,
    Number,
    Page,
    PageTable,
    Paragraph,
    Phrase,
    Section,
    footnotes,
)
from ssliqa_bench.leaderboard.ranks import MeanRanks
from ssliqa_bench.leaderboard.renderers.json_text import text_parts
from ssliqa_bench.leaderboard.renderers.markdown import number_text

Document = dict[str, Any]

# More would hide each other; the table below a chart has all.
_MOST_CURVES, _MOST_LINES = 8, 6


def board_id(page: Page) -> str:
    """A name for the file of a page that is the same in every build."""
    return hashlib.sha256(page.name.encode()).hexdigest()[:12]


def board_list(pages: Iterable[Page]) -> list[Document]:
    """The pages of the site, in order: name, title, file."""
    return [{"name": page.name, "title": text_parts(page.title), "id": board_id(page)} for page in pages]


def board_document(page: Page, charts: Mapping[str, Document]) -> Document:
    """A page; `charts` are those of its sections, by the name of the section."""
    notes = {note: k for k, note in enumerate(footnotes(page))}
    return {
        "title": text_parts(page.title),
        "blocks": [_block(block, notes) for block in page.blocks],
        "notes": [text_parts(note) for note in notes],
        "charts": dict(charts),
    }


def _block(block: Block, notes: Mapping[Phrase, int]) -> Document:
    if isinstance(block, Section):
        inner = [_block(own, notes) for own in block.blocks]
        return {"type": "section", "name": block.name, "title": text_parts(block.title), "blocks": inner}
    if isinstance(block, PageTable):
        columns = [[own.heading, "text" if own.text else "number"] for own in block.columns]
        rows = [[_cell(c, own, notes) for c, own in zip(block.columns, row, strict=True)] for row in block.rows]
        return {"type": "table", "title": block.title, "columns": columns, "rows": rows}
    if isinstance(block, Items):
        entries = [[text_parts(own.text), [text_parts(below) for below in own.below]] for own in block.entries]
        return {"type": "items", "entries": entries}
    if isinstance(block, Notice):
        return {"type": "notice", "title": block.title, "text": text_parts(block.text)}
    assert isinstance(block, Paragraph)
    return {"type": "paragraph", "text": text_parts(block.text)}


def _cell(column: Column, cell: Cell, notes: Mapping[Phrase, int]) -> Any:
    """The text alone where there is no more to it, null where there is nothing."""
    own = cell.value
    text: Any = None if own is None or isinstance(own, Number) else text_parts(own)
    if isinstance(own, Number):
        text = number_text(column, replace(own, best=False))
    more: Document = {}
    if isinstance(own, Number) and own.best:
        more["best"] = True
    if cell.mark:
        more["mark"] = cell.mark
    if cell.notes:
        more["notes"] = [notes[note] for note in cell.notes]
    return {"text": text, **more} if more else text


def curve_chart(found: FewLabels) -> Document:
    """SRCC against the number of labels: curves with intervals, and lines of methods that learn nothing."""
    chosen = sorted(
        (curve for curve in found.curves if len(curve.points) > 1 and all(map(_known, curve.points))),
        key=lambda own: (own.method != LABELS_ONLY, -(own.points[-1].stat.value or 0.0), own.method),
    )
    curves = [{"name": own.method, "points": [[point.labels, *_ends(point)] for point in own.points]}
              for own in chosen[:_MOST_CURVES]]  # fmt: skip
    best = sorted((line for line in found.lines if _known(line.point)), key=lambda own: -(own.point.stat.value or 0.0))
    lines = [{"name": own.method, "mark": own.mark, "value": own.point.stat.value} for own in best[:_MOST_LINES]]
    left = len(found.curves) - len(curves) + len(found.lines) - len(lines)
    return {"type": "curves", "dataset": found.dataset, "curves": curves, "lines": lines, "left": left}


def rank_chart(found: MeanRanks) -> Document:
    """A critical-difference diagram."""
    return {
        "type": "ranks",
        "ranks": [[name, found.ranks[name]] for name in found.order],
        "difference": found.difference,
        "joined": [list(ends) for ends in found.joined],
        "datasets": list(found.datasets),
    }


def _known(point: Point) -> bool:
    return point.stat.value is not None


def _ends(point: Point) -> list[float | None]:
    return [point.stat.value, point.lo, point.hi]
