"""Pages as JSON: all blocks and all parts of every number, in full precision."""

from __future__ import annotations

import json
from typing import Any

from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
    Inline,
    Items,
    Link,
    Mark,
    Notice,
    Number,
    Page,
    PageTable,
    Paragraph,
    Phrase,
    Section,
)

# Of the form of the document; readers of another one should refuse it.
SCHEMA = 1


def render(page: Page) -> str:
    """A page as one JSON document; a cell without value is null."""
    document = {
        "schema": SCHEMA,
        "page": page.name,
        "title": page.title.plain,
        "blocks": [_block(b) for b in page.blocks],
    }
    if page.data is not None:
        document["data"] = _block(page.data)
    return json.dumps(document, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _block(block: Block) -> dict[str, Any]:
    if isinstance(block, Section):
        inner = [_block(own) for own in block.blocks]
        return {"type": "section", "name": block.name, "title": block.title.plain, "blocks": inner}
    if isinstance(block, PageTable):
        columns = [{"name": own.name, "heading": own.heading, "text": own.text} for own in block.columns]
        rows = [[_cell(cell) for cell in row] for row in block.rows]
        return {"type": "table", "name": block.name, "title": block.title, "columns": columns, "rows": rows}
    if isinstance(block, Items):
        entries = [(text_parts(own.text), [text_parts(below) for below in own.below]) for own in block.entries]
        return {"type": "items", "entries": [{"text": text, "below": below} for text, below in entries]}
    if isinstance(block, Notice):
        return {"type": "notice", "title": block.title, "text": text_parts(block.text)}
    assert isinstance(block, Paragraph)
    return {"type": "paragraph", "text": text_parts(block.text)}


def _cell(cell: Cell) -> Any:
    """A plain text or number where there is no more to it, else an object."""
    parts = _number(cell.value) if isinstance(cell.value, Number) else {}
    if isinstance(cell.value, Phrase):
        parts["text"] = text_parts(cell.value)
    if cell.mark:
        parts["mark"] = cell.mark
    if cell.notes:
        parts["notes"] = [note.plain for note in cell.notes]
    return next(iter(parts.values())) if set(parts) in ({"value"}, {"text"}) else parts or None


def _number(number: Number) -> dict[str, Any]:
    names = ("value", "spread", "lo", "hi", "n")
    parts = {name: value for name in names if (value := getattr(number, name)) is not None}
    return {**parts, **({"best": True} if number.best else {}), **({"median": True} if number.median else {})}


def text_parts(text: Phrase) -> Any:
    """A phrase as a string, or as a list of parts where some of it is a name, a mark or a link."""
    if all(isinstance(part, str) for part in text.parts):
        return text.plain
    return [_part(part) for part in text.parts]


def _part(part: Inline) -> Any:
    if isinstance(part, CodeText):
        return {"code": part.text}
    if isinstance(part, Mark):
        return {"mark": part.text}
    if isinstance(part, Link):
        return {"link": part.text, "target": part.target, **({"file": True} if part.file else {})}
    return part
