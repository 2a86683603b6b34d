"""Pages as LaTeX for a paper: every table with booktabs, notes below the table that has them.

The file is a fragment for `\\input`; its first lines name the packages that it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ssliqa_bench.leaderboard.numbers import SHOW
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

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    "±": r"$\pm$", "–": "--", "—": "---", "−": "$-$", "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$",
    "…": r"\ldots{}", "Π": r"$\Pi$", "Θ": r"$\Theta$", "τ": r"$\tau$",
    "β": r"$\beta$", "→": r"$\rightarrow$", "√": r"$\surd$",
}  # fmt: skip
_MISSING = "--"
_LEVELS = ("section", "subsection", "subsubsection", "paragraph")


def render(page: Page) -> str:
    """A page as a LaTeX fragment."""
    labels = footnotes(page)
    lines = [
        "% Made by `ssliqa-bench leaderboard` from records. Do not edit.",
        r"% Needs \usepackage[T1]{fontenc}, \usepackage{textcomp}, \usepackage{booktabs} and \usepackage{longtable}.",
        rf"\section*{{{_inline(page.title)}}}",
        *_blocks(page.blocks, 1, page.name, labels),
    ]
    if labels:
        lines += [r"\subsection*{Notes}", r"\begin{description}"]
        lines += [rf"\item[{label}] {_inline(note)}." for note, label in labels.items()]
        lines.append(r"\end{description}")
    return "\n".join(lines) + "\n"


def _blocks(blocks: Iterable[Block], level: int, page: str, labels: dict[Phrase, str]) -> list[str]:
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Section):
            lines.append(rf"\{_LEVELS[min(level, len(_LEVELS) - 1)]}*{{{_inline(block.title)}}}")
            lines += _blocks(block.blocks, level + 1, page, labels)
        elif isinstance(block, PageTable):
            lines += _table(block, page, labels)
        elif isinstance(block, Paragraph):
            lines += [_inline(block.text), ""]
        elif isinstance(block, Notice):
            lines += [rf"\textbf{{{_escaped(block.title)}}} {_inline(block.text)}", ""]
        elif isinstance(block, Items) and block.entries:
            lines.append(r"\begin{itemize}")
            for entry in block.entries:
                lines.append(rf"\item {_inline(entry.text)}")
                if entry.below:
                    lines += [r"\begin{itemize}", *(rf"\item {_inline(own)}" for own in entry.below), r"\end{itemize}"]
            lines.append(r"\end{itemize}")
    return lines


def _table(table: PageTable, page: str, labels: dict[Phrase, str]) -> list[str]:
    columns = "".join("l" if column.text else "r" for column in table.columns)
    # No blank is left at the outer edges, as booktabs advises.
    lines = [rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}"]
    if table.title:
        label = re.sub(r"[^A-Za-z0-9:/-]", "-", f"{page}:{table.name}")
        lines.append(rf"\caption{{{_escaped(table.title)}}}\label{{tab:{label}}}\\")
    heading = " & ".join(_escaped(column.heading) for column in table.columns)
    lines += [r"\toprule", rf"{heading} \\", r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
    for row in table.rows:
        cells = (_cell(column, cell, labels) for column, cell in zip(table.columns, row, strict=True))
        lines.append(rf"{' & '.join(cells)} \\")
    return [*lines, r"\end{longtable}"]


def _cell(column: Column, cell: Cell, labels: dict[Phrase, str]) -> str:
    if isinstance(cell.value, Number):
        text = _number(column, cell.value)
    else:
        text = _MISSING if cell.value is None else _inline(cell.value)
    text = rf"{text} \emph{{{_escaped(cell.mark)}}}" if cell.mark else text
    notes = ",".join(labels[note] for note in cell.notes)
    return rf"{text}\textsuperscript{{{notes}}}" if notes else text


def _number(column: Column, number: Number) -> str:
    show = SHOW[number.show]
    # Braces keep a bracket at the beginning of a line from being an option of the line end before it.
    ends = None if number.lo is None or number.hi is None else (_minus(show(number.lo)), _minus(show(number.hi)))
    if "value" not in column.parts:
        return " to ".join(ends) if ends else _MISSING
    if number.value is None:
        return _MISSING
    text = _minus(show(number.value))
    text = rf"\textbf{{{text}}}" if number.best else text
    if "spread" in column.parts and number.spread is not None:
        spread = SHOW["decimals"](number.spread)
        text += f" ({spread})" if number.median else rf" $\pm$ {spread}"
    return f"{text} {{[}}{', '.join(ends)}{{]}}" if ends and "lo" in column.parts else text


def _minus(text: str) -> str:
    return _escaped(text).replace("-", "$-$")


def _inline(text: Phrase) -> str:
    return "".join(map(_part, text.parts))


def _part(part: Inline) -> str:
    if isinstance(part, str):
        return _escaped(part)
    if isinstance(part, CodeText):
        return rf"\texttt{{{_escaped(part.text)}}}"
    if isinstance(part, Mark):
        return rf"\emph{{{_escaped(part.text)}}}"
    assert isinstance(part, Link)
    return _escaped(part.text)


def _escaped(text: str) -> str:
    clean = re.sub(r"\s+", " ", printable(text))
    return "".join(_SPECIAL.get(letter, letter) for letter in clean)
