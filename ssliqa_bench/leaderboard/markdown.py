"""Boards as Markdown that reads well on a web page and in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from ssliqa_bench.evaluation.classes import most_frequent
from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard.collect import Board, Row, Section, age
from ssliqa_bench.leaderboard.columns import (
    MISSING,
    Cell,
    Column,
    Place,
    TableName,
    class_facts,
    columns_of,
    decimals,
    signed,
)
from ssliqa_bench.leaderboard.compare import find_reference
from ssliqa_bench.leaderboard.ranking import Ranked, rank_rows, remarks, run_notes, span
from ssliqa_bench.leaderboard.verdicts import Verdict, verdicts

MARKER = "<!-- Made by `ssliqa-bench leaderboard` from records. Do not edit. -->"

_BANNER = (
    "> **Demo data.** The images and scores of demo datasets are generated: they show that the machinery works and\n"
    "> are no evidence about human opinion."
)
_STATUS = {"comparator": "ref", "oracle": "ref", "seen": "seen", "outdated": "old", "untested": MISSING,
           "undefined": MISSING}  # fmt: skip
_SPREAD = {
    "mean": "mean ± sample standard deviation over the runs",
    "median": "median over the runs, interquartile range in brackets",
}
# What the columns of the tables of classes are; beside these they have one for each class.
_CLASS_WORDS = {
    "accuracy": "Accuracy: share of images whose likeliest class is the true one.",
    "kappa_quadratic": "Kappa: of likeliest and true class, quadratic-weighted.",
    "mae_argmax": "MAE: mean absolute error of the likeliest class over all test images.",
    "mae_3": "MAE 3: of the likeliest class over images of class 3.",
    "mae_4": "MAE 4: of the likeliest class over images of class 4.",
    "mae_34": "MAE 3, 4: of the likeliest class over images of class 3 or 4.",
    "mae_macro": "MAE macro: mean over the classes of the error of the likeliest class in each.",
    "mae_expect": "MAE expected: of the expected class against the true one.",
    "mae_cont": "MAE continuous: of the expected class against the score on the scale of classes.",
    "mae_mos": "MAE score: of the expected class against the score, in units of the score.",
}


@dataclass
class _Table:
    """A Markdown table under construction with the footnotes of its cells."""

    headers: list[str]
    left: frozenset[int]
    lines: list[list[str]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def noted(self, text: str, notes: Iterable[str]) -> str:
        """The text followed by the letters of its footnotes; equal sentences share a letter."""
        letters = [self.notes.setdefault(note, _letter(len(self.notes))) for note in notes]
        return f"{text} {''.join(f'[{letter}]' for letter in letters)}" if letters else text

    def render(self) -> str:
        """Aligned lines, then the footnotes."""
        cells = [[_escaped(text) for text in line] for line in (self.headers, *self.lines)]
        widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(self.headers))]

        def joined(line: Sequence[str]) -> str:
            columns = enumerate(zip(line, widths, strict=True))
            return f"| {' | '.join(t.ljust(w) if i in self.left else t.rjust(w) for i, (t, w) in columns)} |"

        rule = ["-" * w if i in self.left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
        out = [joined(cells[0]), joined(rule), *map(joined, cells[1:])]
        if self.notes:
            out += ["", *(f"- [{letter}] {note}." for note, letter in self.notes.items())]
        return "\n".join(out)


def render_markdown(board: Board, *, cost: bool = True) -> str:
    """One board as Markdown: a section per pair and budget, each with its tables, footnotes and legends."""
    title = f"# Leaderboard: protocol `{board.protocol}`{', demo data' if board.demo else ''}"
    blocks = [MARKER, title, *([_BANNER] if board.demo else [])]
    for section in board.sections:
        blocks += _section(section, cost)
    blocks += ["## Methods", _methods(board)]
    return "\n\n".join(blocks) + "\n"


def _section(section: Section, cost: bool) -> list[str]:
    ranked = rank_rows(section)
    blocks = [f"## {section.pair}{_budget_words(section)}", _data(section)]
    blocks += [_table(section, ranked, "main"), _main_legend(section)]
    if any(run.facts.steps for row in section.rows for run in row.runs.values()):
        blocks += ["### What the unlabeled images bring", _table(section, ranked, "gain")]
        blocks.append(_gain_legend(section))
        for dataset, side in section.datasets:
            if found := verdicts(section, dataset):
                blocks += [f"### What can be told apart on {dataset} ({side})", _verdicts(section, found)]
                blocks.append(_verdict_legend(found))
    for dataset, side in section.datasets:
        tested = [item for item in ranked if item.row.tested(dataset)]
        blocks += [f"### Further measures on {dataset} ({side})", _table(section, tested, "detail", dataset)]
        blocks.append(_detail_legend(section))
        if any(column.table == "classes" for column in columns_of([section])):
            blocks += [f"### Classes on {dataset} ({side})", _table(section, tested, "classes", dataset)]
            blocks.append(_class_legend(section, dataset))
    if cost:
        blocks += ["### Cost", _table(section, ranked, "cost"), "Means over the runs."]
    if any(run_notes(item.row) for item in ranked):
        blocks += ["### What the runs noted", _noted(ranked)]
    return blocks


def _noted(ranked: Sequence[Ranked]) -> str:
    lines = []
    for item in ranked:
        if notes := run_notes(item.row):
            lines.append(f"- `{item.row.method}`, {_setting(item.row)}")
            lines += [f"  - {_escaped(note)}" for note in notes]
    return "\n".join(lines)


def _table(section: Section, ranked: Sequence[Ranked], name: TableName, only: str | None = None) -> str:
    """One table of a section; with `only`, the columns of one dataset."""
    places: list[tuple[Column, str, str]] = []
    for column in (column for column in columns_of([section]) if column.table == name and column.header):
        if column.name == "comparator" and len(_comparators(section)) < 2:
            continue  # the legend names the only one
        if not column.sides:
            places.append((column, "", ""))
        places += [(column, d, side) for d, side in section.datasets if side in column.sides and only in (None, d)]
    main = name == "main"
    # Below the main table the method alone names a row, unless it stands there in several settings.
    with_recipe = main or len({row.method for row in section.rows}) < len(section.rows)
    headers = ["#", "Method", "Recipe", "Runs"] if main else ["Method", "Recipe"] if with_recipe else ["Method"]
    left = {i for i, header in enumerate(headers) if header in ("Method", "Recipe")}
    left |= {len(headers) + i for i, (column, _, _) in enumerate(places) if column.text}
    table = _Table(headers + [c.header.format(dataset=d, side=side) for c, d, side in places], frozenset(left))
    cells = [[column.compute(Place(section, item.row, d)) for column, d, _ in places] for item in ranked]
    best = [_best(column, [line[i] for line in cells], ranked) for i, (column, _, _) in enumerate(places)]
    for item, line in zip(ranked, cells, strict=True):
        texts = [f"`{item.row.method}`", _setting(item.row)] if with_recipe else [f"`{item.row.method}`"]
        if main:
            found = remarks(item.row, section)
            marks = "".join(f" *{remark.mark}*" for remark in found if remark.mark)
            name_cell = table.noted(texts[0] + marks, [remark.sentence for remark in found])
            rank = _STATUS[item.status] if item.rank is None else str(item.rank)
            texts = [rank, name_cell, texts[1], str(len(item.row.runs))]
        for (column, _, _), cell, winner in zip(places, line, best, strict=True):
            bold = _competes(item, cell) and _number(column, cell) == winner
            texts.append(table.noted(_shown(column, cell, item.row.aggregate, bold=bold), cell.notes))
        table.lines.append(texts)
    return table.render()


def _number(column: Column, cell: Cell) -> str:
    """The value without its spread, as printed."""
    return MISSING if cell.number is None else column.show(cell.number)


def _shown(column: Column, cell: Cell, aggregate: str, *, bold: bool) -> str:
    if isinstance(cell.value, str):
        return f"`{cell.value}`" if cell.value else MISSING
    text = _number(column, cell)
    text = f"**{text}**" if bold else text
    if cell.value.spread is not None:
        spread = decimals(cell.value.spread)
        text += f" ({spread})" if aggregate == "median" else f" ± {spread}"
    return f"{text} *{cell.mark}*" if cell.mark else text


def _competes(item: Ranked, cell: Cell) -> bool:
    return item.row.reference is None and item.status != "outdated" and not cell.mark and cell.number is not None


def _best(column: Column, cells: Sequence[Cell], ranked: Sequence[Ranked]) -> str | None:
    """The best value as printed, so that values which look equal are both bold; None with nothing to choose from."""
    numbers = [cell.number for item, cell in zip(ranked, cells, strict=True) if _competes(item, cell)]
    known = [number for number in numbers if number is not None]
    if column.best is None or len(known) < 2:
        return None
    return column.show(max(known) if column.best == "high" else min(known))


def _setting(row: Row) -> str:
    """Recipe and overrides: `demo, lr=0.001`."""
    return ", ".join([row.recipe, *(f"{key}={canonical_json(value)}" for key, value in sorted(row.overrides.items()))])


def _budget_words(section: Section) -> str:
    words = []
    for budget, what in ((section.budget, "scores"), (section.unlabeled_budget, "unlabeled images")):
        if budget is not None:
            words.append(f"{100 * budget:.4g} % of the {what}" if isinstance(budget, float) else f"{budget} {what}")
    return f", {' and '.join(words)}" if words else ""


def _data(section: Section) -> str:
    """How many images of each dataset played which role, over the rows that are no oracle."""
    runs = [run for row in section.rows if row.reference != "oracle" for run in row.runs.values()]
    runs = runs or [run for row in section.rows for run in row.runs.values()]
    datasets = [run.datasets for run in runs]
    sentences = []
    for dataset, side in section.datasets:
        tested = [run.results[dataset].metrics.n for run in runs if dataset in run.results]
        parts = [f"{span(tested)} test images"]
        for role in ("labeled", "unlabeled"):
            counts = [used[dataset].roles.get(role, 0) if dataset in used else 0 for used in datasets]
            if any(counts):
                parts.insert(-1, f"{span(number for number in counts if number)} {role}")
        sentences.append(f"- {dataset} ({side} side): {', '.join(parts)}")
    return "\n".join(sentences)


def _main_legend(section: Section) -> str:
    words = [f"SRCC on test images, {_spreads(section)}."]
    words.append(f"Ranked by SRCC on {section.ranking_dataset}; best value in bold.")
    if any(row.reference for row in section.rows):
        words.append("*ref*: comparators and oracles, shown where their value puts them, not ranked.")
    if any(row.has_seen(dataset) for row in section.rows for dataset, _ in section.datasets):
        words.append("*seen*: the weights it starts from were trained on that dataset; not ranked on it.")
    if any(row.outdated for row in section.rows):
        words.append("*outdated*: images, scores or splits differ from those of the newest record; *old*: not ranked.")
    return _wrapped(words)


def _gain_legend(section: Section) -> str:
    names = _comparators(section)
    named = f" (`{names[0]}`)" if len(names) == 1 else ""
    return _wrapped([
        f"Gain: SRCC minus that of the row's comparator{named}, which learns from the labels alone for as many steps.",
        "To oracle: SRCC minus that of an oracle, which is also given the scores withheld from the others. Differences",
        "are taken seed by seed between runs of equal recipe, overrides, budgets and steps; above zero is better.",
        "Change: SRCC after the last stage minus after the first; below zero is forgetting.",
    ])  # fmt: skip


def _verdicts(section: Section, found: Sequence[Verdict]) -> str:
    """The learners, largest gain first."""
    with_recipe = len({row.method for row in section.rows}) < len(section.rows)
    headers = ["Method", *(["Recipe"] if with_recipe else []), "Comparator", "Mean gain", "95 % interval", "p",
               "Splits with a loss", "Verdict"]  # fmt: skip
    table = _Table(headers, frozenset(i for i, name in enumerate(headers) if name in ("Method", "Recipe", "Comparator",
                                                                                      "Verdict")))  # fmt: skip
    for own in sorted(found, key=lambda own: (-own.comparison.mean, own.row.method, _setting(own.row))):
        gain = own.comparison
        interval = MISSING if gain.lo is None or gain.hi is None else f"{signed(gain.lo)} to {signed(gain.hi)}"
        table.lines.append([
            f"`{own.row.method}`",
            *([_setting(own.row)] if with_recipe else []),
            f"`{own.reference.method}`",
            signed(gain.mean),
            interval,
            MISSING if gain.p is None else "<0.001" if gain.p < 0.0005 else decimals(gain.p),
            f"{own.losses} of {gain.n}",
            gain.verdict,
        ])  # fmt: skip
    return table.render()


def _verdict_legend(found: Sequence[Verdict]) -> str:
    gained = [f"`{own.row.method}`" for own in found if own.comparison.verdict == "better"]
    lost = [f"`{own.row.method}`" for own in found if own.comparison.verdict == "worse"]
    told = [f"Unlabeled images helped {', '.join(gained)}."] if gained else []
    told += [f"They hurt {', '.join(lost)}." if gained else f"Unlabeled images hurt {', '.join(lost)}."] if lost else []
    margin = decimals(found[0].comparison.margin)
    return _wrapped([
        *(told or ["No learner is shown to gain or to lose."]),
        "Corrected resampled t-test of the gain in SRCC over random splits (Nadeau and Bengio 2003);",
        f"p and verdict are corrected for {found[0].declared} comparisons (Holm), intervals are not.",
        f"*Equivalent*: within {margin} of the comparator; *not distinguished* does not mean equal.",
    ])  # fmt: skip


def _comparators(section: Section) -> list[str]:
    found = (find_reference(row, section.rows, "comparator") for row in section.rows if row.reference != "comparator")
    return sorted({reference.method for reference in found if reference is not None})


def _detail_legend(section: Section) -> str:
    mappings = sorted({run.facts.protocol.mapping for row in section.rows for run in row.runs.values()})
    return f"PLCC and RMSE after the mapping {' or '.join(mappings)}, RMSE in the dataset's own units."


def _class_legend(section: Section, dataset: str) -> str:
    """What the columns are, how many test images each class has, and what a constant prediction would reach."""
    names = [column.name for column in columns_of([section]) if column.table == "classes"]
    asked = [name for name in names if not name.startswith("error_class_")]
    words = [_CLASS_WORDS[name] for name in asked]
    if len(asked) < len(names):
        words.append("Class 0 and so on: error of the likeliest class over the images of that class.")
    words.append("A dash: the method predicts no classes, or there is no such image.")
    runs = [run for row in section.rows for run in row.runs.values() if dataset in run.results]
    facts = [found for run in runs if (found := class_facts(run, dataset)) is not None]
    told = [found for found in facts if sum(found.images)]
    if told:
        by_class = zip_longest(*(found.images for found in told), fillvalue=0)
        counts = ", ".join(f"{k}: {span(numbers)}" for k, numbers in enumerate(by_class))
        words.append(f"Test images by class: {counts}.")
        tops, shares, errors = zip(*(most_frequent(list(found.images)) for found in told), strict=True)
        words.append(f"Always predicting the most frequent class ({span(tops)}) gives an accuracy of "
                     f"{_reach(shares)} and an MAE of {_reach(errors)}.")
    if any(unknown := [found.unknown for found in facts]):
        words.append(f"Without a true class, so not counted: {span(unknown)}.")
    return _wrapped(words)


def _reach(values: Sequence[float]) -> str:
    """`0.552`, or `0.551 to 0.552` where splits differ."""
    return " to ".join(dict.fromkeys(decimals(value) for value in (min(values), max(values))))


def _spreads(section: Section) -> str:
    return " or ".join(_SPREAD[aggregate] for aggregate in sorted({row.aggregate for row in section.rows}))


def _methods(board: Board) -> str:
    """What the method names stand for, one line each."""
    newest: dict[str, Row] = {}
    for row in (row for section in board.sections for row in section.rows):
        held = newest.get(row.method)
        if held is None or age(row.newest) > age(held.newest):
            newest[row.method] = row
    lines = []
    for method, row in sorted(newest.items()):
        family = f" ({row.about.family})" if row.about.family else ""
        role = {"comparator": f", labels-only comparator of `{row.like}`", "oracle": f", oracle of `{row.like}`"}
        lines.append(f"- `{method}`: {_escaped(row.about.title)}{family}{role.get(str(row.reference), '')}")
    return "\n".join(lines)


def _wrapped(sentences: Sequence[str]) -> str:
    return textwrap.fill(" ".join(sentences), width=118)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _letter(index: int) -> str:
    """a … z, aa, ab …"""
    return (_letter(index // 26 - 1) if index >= 26 else "") + chr(ord("a") + index % 26)
