"""A board without a format: sections, tables of typed cells, notes. A renderer turns a `Page` into text.

Nothing here holds markup. Text is plain text that a renderer escapes; what a reader should see as a name, a mark or a
link is `CodeText`, `Mark` or `Link`. A further format is one file in `renderers/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class CodeText:
    """A name that is typed as it is: a method, a dataset of a command, a parameter."""

    text: str


@dataclass(frozen=True)
class Mark:
    """A word that qualifies a value or a row: *seen*, *mixed*, *not distinguished*."""

    text: str


@dataclass(frozen=True)
class Link:
    """A link; `target` is the `name` of another page, an address with a scheme, or with `file` one of `Page.beside`."""

    text: str
    target: str
    file: bool = False


Inline = str | CodeText | Mark | Link


@dataclass(frozen=True)
class Phrase:
    """A piece of text; `phrase` makes one from its parts."""

    parts: tuple[Inline, ...] = ()

    @property
    def plain(self) -> str:
        """The words alone."""
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)


def phrase(*parts: Inline | Phrase) -> Phrase:
    """Text from strings, names, marks, links and phrases; equal words give equal phrases."""
    found: list[Inline] = []
    for part in _flat(parts):
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return Phrase(tuple(found))


def _flat(parts: Iterable[Inline | Phrase]) -> Iterator[Inline]:
    for part in parts:
        if isinstance(part, Phrase):
            yield from part.parts
        else:
            yield part


def joined(phrases: Iterable[Inline | Phrase], separator: str = ", ") -> Phrase:
    """Phrases with a separator between them."""
    parts: list[Inline | Phrase] = []
    for item in phrases:
        parts += [separator, item] if parts else [item]
    return phrase(*parts)


@dataclass(frozen=True)
class Number:
    """A number as a board shows it; `value` is None where it is undefined.

    Attributes:
        show: how it is printed, a name in `numbers.SHOW`.
        spread: sample standard deviation, or with `median` the interquartile range.
        lo, hi: ends of its interval.
        n: over how many runs.
        best: whether it is the best of its column.
        median: whether the value is a median.
    """

    value: float | None
    show: str = "decimals"
    spread: float | None = None
    lo: float | None = None
    hi: float | None = None
    n: int | None = None
    best: bool = False
    median: bool = False


@dataclass(frozen=True)
class Cell:
    """A number, text, or nothing, with a word beside it and the sentences of its footnotes."""

    value: Number | Phrase | None = None
    mark: str = ""
    notes: tuple[Phrase, ...] = ()

    @property
    def number(self) -> float | None:
        """The value of a number; None for text and where it is undefined."""
        return self.value.value if isinstance(self.value, Number) else None


Part = Literal["value", "spread", "lo", "hi", "n"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: for machines, unique in its table.
        heading: for people.
        text: whether its cells are words; they are set to the left.
        parts: what a cell of numbers holds; formats for machines have a column for each.
    """

    name: str
    heading: str
    text: bool = False
    parts: tuple[Part, ...] = ("value",)


@dataclass(frozen=True)
class PageTable:
    """Rows of cells, one for each column; `name` is unique on its page."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Sentences that belong together."""

    text: Phrase


@dataclass(frozen=True)
class Notice:
    """What a reader must know before all else: a few words, then sentences."""

    title: str
    text: Phrase


@dataclass(frozen=True)
class Item:
    """An entry of a list with the entries below it."""

    text: Phrase
    below: tuple[Phrase, ...] = ()


@dataclass(frozen=True)
class Items:
    """A list."""

    entries: tuple[Item, ...]


@dataclass(frozen=True)
class Section:
    """A heading and what follows it; `name` is unique on its page."""

    name: str
    title: Phrase
    blocks: tuple[Block, ...]


Block = Paragraph | Notice | Items | PageTable | Section


@dataclass(frozen=True)
class Page:
    """A whole board.

    Attributes:
        name: path below the output folder, without a suffix: `demo/standard`.
        title: heading of the page.
        blocks: what the page shows, in order.
        data: the same facts as one flat table in full precision, for formats that hold one table.
        beside: texts of files that it links, by path below the output folder.
    """

    name: str
    title: Phrase
    blocks: tuple[Block, ...]
    data: PageTable | None = None
    beside: Mapping[str, str] = field(default_factory=dict)


def walk(blocks: Iterable[Block]) -> Iterator[Block]:
    """All blocks in reading order, those of sections behind their section."""
    for block in blocks:
        yield block
        if isinstance(block, Section):
            yield from walk(block.blocks)


def footnotes(page: Page) -> dict[Phrase, str]:
    """Every note of the page's cells, once, with its label (a … z, aa …) in reading order."""
    labels: dict[Phrase, str] = {}
    for block in walk(page.blocks):
        if isinstance(block, PageTable):
            for row in block.rows:
                for note in (note for cell in row for note in cell.notes):
                    labels.setdefault(note, _letters(len(labels)))
    return labels


def _letters(index: int) -> str:
    return (_letters(index // 26 - 1) if index >= 26 else "") + chr(ord("a") + index % 26)
