"""Gains from unlabeled images: learners against their comparators and oracles, in a table and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.leaderboard.bar import PROBE, SLACK, missing_runs
from ssliqa_bench.leaderboard.cells import name_cells, name_columns
from ssliqa_bench.leaderboard.collect import Row
from ssliqa_bench.leaderboard.columns import CellPlace, columns_of
from ssliqa_bench.leaderboard.compare import name_seeds
from ssliqa_bench.leaderboard.labels_only import labels_only, labels_only_above
from ssliqa_bench.leaderboard.numbers import decimals, signed
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
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
from ssliqa_bench.leaderboard.verdicts import Verdict
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.leaderboard.words import budget_words, row_name, setting


def gain_tables(view: SectionView, name: str, dataset: str, title: str) -> Iterator[Section]:
    """Learners against their comparators, and what the oracles reach; rows that can have no gain are left out."""
    by_name = {own.name: own for own in columns_of([view.section])}

    def cell(row: Row, measure: str) -> Cell:
        return by_name[measure].cell(CellPlace(view, row, dataset))

    tested = [item.row for item in view.ranked if item.row.tested(dataset)]
    rows = [row for row in tested if can_gain(row) or view.over_best(row, dataset) is not None]
    hidden = [row for row in rows if view.without_gain(row)]
    rows = [row for row in rows if not view.without_gain(row)]
    alone = [row for row in rows if cell(row, "comparator").value is None and cell(row, "to_oracle").number is None
             and view.over_best(row, dataset) is None]  # fmt: skip
    rows = [row for row in rows if not any(row is other for other in alone)]
    judged = bool(view.verdicts(dataset))
    differences = [view.over_best(row, dataset) for row in rows]
    over_best = ["over_best"] if any(differences) else []
    measures = [*over_best, "comparator", "gain", *(["p", "losses", "worst", "verdict"] if judged else []), "to_oracle"]
    held: dict[str, tuple[Part, ...]] = {
        "over_best": ("value", "lo", "hi") if any(own and own.lo is not None for own in differences)
        else ("value", "spread"),
        "gain": ("value", "lo", "hi") if judged else ("value", "spread"),
        "to_oracle": ("value", "spread"),
    }  # fmt: skip
    columns = [*name_columns(view), *(Column(own, by_name[own].header, by_name[own].text, held.get(own, ("value",)))
                                      for own in measures)]  # fmt: skip
    lines = [(*name_cells(view, row), *(cell(row, own) for own in measures)) for row in rows]
    compared = [row for row, own in zip(rows, differences, strict=True) if own is not None]
    words = [*no_gain_words(view, [*hidden, *rows]), best_labels_only_words(view, compared), _oracles(view, dataset)]
    # What the first lines of the page state is not repeated.
    words += [told_apart(view, dataset)] if dataset != view.section.ranking_dataset else []
    if rows and (baselines := [row for row in tested if row.reference is None and labels_only(row)]):
        words.append(phrase("Trained on labels alone, so without a gain: ", _names(view, baselines), "."))
    if alone:
        words.append(phrase("No comparator on record for their recipe and overrides: ", _names(view, alone), "."))
    blocks: list[Block] = [PageTable(name, tuple(columns), tuple(lines))] if lines else []
    blocks += [Paragraph(own) for own in words if own]
    if blocks:
        yield Section(f"{name}-section", phrase(title), tuple(blocks))


def can_gain(row: Row) -> bool:
    """Whether unlabeled images can bring a row anything: metrics train nothing, baselines learn from labels alone,
    comparators and oracles are measures of gain themselves."""
    return row.reference is None and any(run.facts.steps for run in row.runs.values()) and not labels_only(row)


def opening_words(view: SectionView) -> list[Phrase]:
    """What is said of a section's gains before its tables: which differ from zero, and what they are compared with; or
    why some or all are not shown."""
    dataset = view.section.ranking_dataset
    learners = [row for row in view.section.rows if view.over_best(row, dataset)]
    shown = [row for row in learners if not view.without_gain(row)]
    words = (told_apart(view, dataset), *no_gain_words(view, learners), best_labels_only_words(view, shown))
    return [own for own in words if own]


def best_labels_only_words(view: SectionView, learners: Sequence[Row]) -> Phrase:
    """Which row some learners are compared with beside their own comparators, or which rows, where learners have
    different seeds; empty without any."""
    bests = [best for row in learners if (best := view.best_labels_only(row)) is not None]
    bests = list({(id(best.row), best.seeds): best for best in bests}.values())
    if not bests:
        return phrase()
    bests.sort(key=lambda best: (-len(best.seeds), best.seeds, best.row.method))
    names = []
    for best in bests:
        over = f" over {name_seeds(best.seeds)}" if len(bests) > 1 else ""
        chosen = f", the highest mean of {best.chosen_from} such rows" if best.chosen_from > 1 else ""
        name = phrase(CodeText(best.row.method), " (", setting(best.row), ")")
        names.append(phrase(name, f", {decimals(best.value)}{over}{chosen}"))
    return phrase(f"Best labels-only row on {view.section.ranking_dataset}{_labels(view)}: ", joined(names, "; "), ".")


def no_gain_words(view: SectionView, learners: Sequence[Row]) -> list[Phrase]:
    """Why the gains of some learners, or of all, are not shown; empty where they are."""
    by: dict[str, set[str]] = {"below": set(), "unknown": set()}
    for row in learners:
        if reason := view.without_gain(row):
            by[reason].add(row.recipe)
    some = any(view.without_gain(row) is None for row in learners)
    on = f"On {view.section.ranking_dataset}{_labels(view)}, labels-only training"
    words = []
    if below := sorted(by["below"]):
        recipes = phrase(" with recipe ", joined(map(CodeText, below), " or ")) if some or by["unknown"] else phrase()
        which = "" if not recipes else " for this recipe" if len(below) == 1 else " for these recipes"
        words.append(phrase(on, recipes, f" is more than {SLACK} below the linear ", CodeText(PROBE), " on the same "
                            "splits, so gains over labels-only training are not shown", which, "."))  # fmt: skip
    for recipe in sorted(by["unknown"]):
        words.append(phrase(
            on, " with recipe ", CodeText(recipe), ", which trains stages of a network, must reach the linear ",
            CodeText(PROBE), f" before gains over it are shown, and fewer than {MINIMUM_SPLITS} splits of both are on "
            "record. The missing runs: ", CodeText(missing_runs(view.section, recipe)), ".",
        ))  # fmt: skip
    return words


def _labels(view: SectionView) -> str:
    return f" with {budget_words(view.section).removeprefix(', ') or 'all scores'}"


def _names(view: SectionView, rows: Sequence[Row]) -> Phrase:
    return joined(row_name(view, row) for row in sorted(rows, key=lambda row: (row.method, row.setting)))


def told_apart(view: SectionView, dataset: str) -> Phrase:
    """Which learners differ from their own comparators, then which differ from the best labels-only row; empty where
    there are no verdicts."""
    sentences = [own for own in (_over_comparators(view, dataset), _over_best(view, dataset)) if own]
    if not sentences:
        return phrase()
    return phrase(f"On {dataset}{_labels(view)}, ", joined(sentences, " "))


def _over_comparators(view: SectionView, dataset: str) -> Phrase:
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
        parts.append(phrase("equivalent to it: ", named["equivalent"]))
    if by["not distinguished"]:
        parts.append(phrase("not distinguished from it: ", named["not distinguished"]))
    each = ", each" if len(found) > 1 else ""
    return phrase(f"{_learners(found)}{each} against its own labels-only comparator: ", joined(parts, "; "), ".")


def _over_best(view: SectionView, dataset: str) -> Phrase:
    """A learner that beats a weak comparator may still be worse than what labels alone reach."""
    found = view.verdicts_over_best(dataset)
    if not found:
        return phrase()
    by: dict[str, list[Phrase]] = {"better": [], "worse": []}
    for own in sorted(found, key=lambda own: (-abs(own.comparison.mean), own.row.method, own.row.setting)):
        gap = own.comparison
        if gap.verdict in by and gap.lo is not None and gap.hi is not None:
            size = f" {signed(gap.mean)} ({signed(gap.lo)} to {signed(gap.hi)})"
            by[gap.verdict].append(phrase(row_name(view, own.row), size))
    parts = [phrase(f"{verdict}: ", joined(names)) for verdict, names in by.items() if names]
    missing = " or ".join(verdict for verdict, names in by.items() if not names)
    parts += [phrase(f"none is {missing}")] if missing else []
    declared = found[0].declared
    corrected = f" (corrected for {declared} comparisons)" if declared > 1 else ""
    return phrase(f"{_learners(found)} against the best labels-only row{corrected}: ", joined(parts, "; "), ".")


def _learners(found: Sequence[Verdict]) -> str:
    """`7 learners`, or `19 rows of 13 learners` where some are on record with several settings."""
    learners = len({own.row.method for own in found})
    of = f"{learners} learner{'s' if learners > 1 else ''}"
    return of if learners == len(found) else f"{len(found)} rows of {of}"


def _oracles(view: SectionView, dataset: str) -> Phrase:
    """The gain from true scores of the unlabeled images."""
    gain = next(own for own in columns_of([view.section]) if own.name == "gain")
    sentences = []
    for row in (item.row for item in view.ranked if item.row.reference == "oracle" and item.row.tested(dataset)):
        if labels_only_above(row, view.section, dataset) is not None:  # its mark says so
            continue
        found = gain.cell(CellPlace(view, row, dataset))
        if isinstance(found.value, Number) and found.value.value is not None:
            spread = "" if found.value.spread is None else f" ± {decimals(found.value.spread)}"
            sentences.append(phrase(row_name(view, row), f": {signed(found.value.value)}{spread}"))
    if not sentences:
        return phrase()
    return phrase("Gain of training on the withheld scores as well: ", joined(sentences), ".")
