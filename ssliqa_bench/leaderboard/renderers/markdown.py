"""Pages as Markdown that reads well on a web page and in a terminal."""

from __future__ import annotations

import posixpath
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ssliqa_bench.leaderboard.numbers import MISSING, SHOW
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
    Column,
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
    footnotes,
)
from ssliqa_bench.text import printable

MARKER = "<!-- Made by `ssliqa-bench leaderboard` from records. Do not edit. -->"

_WIDTH = 118
_SPECIAL = re.compile(r"[\\`*\[|~]|(?<![^\W_])_|_(?![^\W_])")
# What Markdown would take for a list, a heading or a quote at the beginning of a line.
_LIST = re.compile(r"^([-+#>=]+|\d+(?=[.)]))(?=[\s.)]|$)")


def render(page: Page) -> str:
    """A page as Markdown; the footnotes of all tables are at its end."""
    writer = _Writer(page.name, footnotes(page))
    blocks = [MARKER, f"# {writer.inline(page.title)}", *writer.blocks(page.blocks, 2)]
    if writer.labels:
        notes = (f"- [{label}] {writer.inline(note)}." for note, label in writer.labels.items())
        blocks += ["## Notes", "\n".join(notes)]
    return "\n\n".join(blocks) + "\n"


@dataclass(frozen=True)
class _Writer:
    """Writes the parts of one page: `name` is where links start from, `labels` are those of its footnotes."""

    name: str
    labels: Mapping[Phrase, str]

    def blocks(self, blocks: Iterable[Block], level: int) -> list[str]:
        found: list[str] = []
        for block in blocks:
            if isinstance(block, Section):
                found.append(f"{'#' * level} {self.inline(block.title)}")
                found += self.blocks(block.blocks, level + 1)
            elif isinstance(block, PageTable):
                found += [f"**{_escaped(block.title)}**"] if block.title else []
                found.append(self.table(block))
            elif isinstance(block, Paragraph):
                found.append(_wrapped(self.inline(block.text)))
            elif isinstance(block, Notice):
                words = _wrapped(f"**{_escaped(block.title)}** {self.inline(block.text)}")
                found.append("\n".join(f"> {line}" for line in words.splitlines()))
            elif isinstance(block, Items):
                found.append(self.items(block))
        return found

    def items(self, items: Items) -> str:
        lines = []
        for entry in items.entries:
            lines.append(f"- {self.inline(entry.text)}")
            lines += [f"  - {self.inline(below)}" for below in entry.below]
        return "\n".join(lines)

    def table(self, table: PageTable) -> str:
        """Aligned lines."""
        head = [_escaped(column.heading) for column in table.columns]
        rows = [
            [self.cell(column, cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows
        ]
        widths = [max(3, *(len(line[k]) for line in (head, *rows))) for k in range(len(head))]

        def joined(line: Sequence[str]) -> str:
            parts = zip(line, widths, table.columns, strict=True)
            return f"| {' | '.join(t.ljust(w) if column.text else t.rjust(w) for t, w, column in parts)} |"

        rule = [
            "-" * w if column.text else "-" * (w - 1) + ":" for w, column in zip(widths, table.columns, strict=True)
        ]
        return "\n".join([joined(head), joined(rule), *map(joined, rows)])

    def cell(self, column: Column, cell: Cell) -> str:
        """Value, mark and labels of notes."""
        if isinstance(cell.value, Number):
            text = number_text(column, cell.value)
        else:
            text = MISSING if cell.value is None else self.inline(cell.value, in_table=True)
        text = f"{text} *{_escaped(cell.mark)}*" if cell.mark else text
        labels = "".join(f"[{self.labels[note]}]" for note in cell.notes)
        return f"{text} {labels}" if labels else text

    def inline(self, text: Phrase, *, in_table: bool = False) -> str:
        return "".join(self.part(part, in_table) for part in text.parts)

    def part(self, part: Inline, in_table: bool) -> str:
        if isinstance(part, str):
            return _escaped(part)
        if isinstance(part, CodeText):
            return _code(part.text, in_table)
        if isinstance(part, Mark):
            return f"*{_escaped(part.text)}*"
        return f"[{_escaped(part.text)}]({self.address(part)})"

    def address(self, link: Link) -> str:
        if link.target.startswith(("https://", "http://")):
            return link.target.replace(" ", "%20").replace(")", "%29")
        target = link.target if link.file else f"{link.target}.md"
        return posixpath.relpath(target, posixpath.dirname(self.name) or ".")


def number_text(column: Column, number: Number) -> str:
    """`0.595`, `0.595 ± 0.063`, `0.595 [0.511, 0.679]`, `-0.005 to +0.044`, as the column says what it holds."""
    show = SHOW[number.show]
    ends = "" if number.lo is None or number.hi is None else (show(number.lo), show(number.hi))
    if "value" not in column.parts:
        return " to ".join(ends) if ends else MISSING
    if number.value is None:
        return MISSING
    text = f"**{show(number.value)}**" if number.best else show(number.value)
    if "spread" in column.parts and number.spread is not None:
        spread = SHOW["decimals"](number.spread)
        text += f" ({spread})" if number.median else f" ± {spread}"
    return f"{text} [{', '.join(ends)}]" if ends and "lo" in column.parts else text


def _code(text: str, in_table: bool) -> str:
    """A name in a code span, whatever it holds."""
    clean = " ".join(printable(text).split())
    if not clean:
        return ""
    runs = [len(found) for found in re.findall("`+", clean)]
    fence = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    pad = " " if clean.startswith("`") or clean.endswith("`") else ""
    return fence + pad + (clean.replace("|", "\\|") if in_table else clean) + pad + fence


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is. Blanks at the ends stay, since parts of a phrase are joined."""
    clean = re.sub(r"\s+", " ", printable(text))
    clean = _SPECIAL.sub(lambda found: f"\\{found[0]}", clean)
    return re.sub(r"&(?=#?\w+;)", "&amp;", clean).replace("<", "&lt;")


def _wrapped(text: str) -> str:
    lines = textwrap.wrap(text, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(_LIST.sub(lambda found: _guarded(found[0]), line) for line in lines)


def _guarded(start: str) -> str:
    return f"{start}\\" if start.isdigit() else f"\\{start}"
