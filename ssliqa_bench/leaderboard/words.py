"""The words of boards: names of rows, sections and splits, and what their columns mean."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ssliqa_bench.evaluation.constants import EQUIVALENCE_MARGIN
from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard import limits
from ssliqa_bench.leaderboard.collect import Absent, Board, Row, SettingRows
from ssliqa_bench.leaderboard.columns import columns_of
from ssliqa_bench.leaderboard.numbers import decimals
from ssliqa_bench.leaderboard.page import CodeText, Item, Mark, Notice, Paragraph, Phrase, joined, phrase
from ssliqa_bench.leaderboard.ranking import span
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.store.comparable import age

DEMO = Notice(
    "Demo data.",
    phrase("The images and scores of demo datasets are generated. They show that the software works and are no "
           "evidence about human opinion."),
)  # fmt: skip
_SPREAD = {
    "mean": "mean ± sample standard deviation over the runs",
    "median": "median over the runs, interquartile range in parentheses",
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


def setting(row: Row | Absent) -> Phrase:
    """Recipe and overrides: `demo, lr=0.001`."""
    return phrase(", ".join([row.recipe, *(f"{k}={canonical_json(v)}" for k, v in sorted(row.overrides.items()))]))


def row_name(view: SectionView, row: Row | Absent) -> Phrase:
    """The method, and its recipe and overrides where the section has several rows of it, with a result or without."""
    rows: list[Row | Absent] = [*view.section.rows, *view.section.without_rows]
    several = sum(other.method == row.method for other in rows) > 1
    return phrase(CodeText(row.method), " (", setting(row), ")") if several else phrase(CodeText(row.method))


def budget_words(section: SettingRows) -> str:
    """`, 93 scores`, or nothing where a section has no budget."""
    words = []
    for budget, what in ((section.budget, "scores"), (section.unlabeled_budget, "unlabeled images")):
        if budget is not None:
            words.append(f"{100 * budget:.4g} % of the {what}" if isinstance(budget, float) else f"{budget} {what}")
    return f", {' and '.join(words)}" if words else ""


def labels_used(row: Row) -> str:
    """How many scores the runs of a row learned from, of all datasets together; an oracle has the withheld ones, and
    a metric that trains nothing has none."""
    roles = ("labeled", "unlabeled") if row.reference == "oracle" else ("labeled",)
    counts = (
        sum(own.roles.get(role, 0) for own in run.datasets.values() for role in roles) if run.facts.stages else 0
        for run in row.runs.values()
    )
    return span(counts)


def split_hashes(section: SettingRows) -> dict[str, dict[int, tuple[str, ...]]]:
    """Dataset → seed → the hashes of the splits that the rows of a section were tested on; one, unless data changed."""
    found: dict[str, dict[int, set[str]]] = {dataset: {} for dataset, _ in section.datasets}
    for row in section.rows:
        for seed in row.seeds:
            for dataset, own in row.runs[seed].results.items():
                found[dataset].setdefault(seed, set()).add(own.dataset.split_hash)
    return {name: {seed: tuple(sorted(own)) for seed, own in sorted(by.items())} for name, by in found.items()}


def splits_digest(sections: Iterable[SettingRows]) -> str:
    """One hash of all splits of some sections: equal where they were tested on the same images."""
    held = sorted({(dataset, seed, own) for section in sections for dataset, by in split_hashes(section).items()
                   for seed, hashes in by.items() for own in hashes})  # fmt: skip
    return hashlib.sha256(canonical_json(held).encode()).hexdigest()[:12]


def data_items(section: SettingRows) -> tuple[Item, ...]:
    """How many images of each dataset had which role, over the rows that are no oracle."""
    runs = [run for row in section.rows if row.reference != "oracle" for run in row.runs.values()]
    runs = runs or [run for row in section.rows for run in row.runs.values()]
    datasets = [run.datasets for run in runs]
    items = []
    for dataset, side in section.datasets:
        tested = [run.results[dataset].metrics.n for run in runs if dataset in run.results]
        parts = [f"{span(tested)} test images"]
        for role in ("labeled", "unlabeled"):
            counts = [used[dataset].roles.get(role, 0) if dataset in used else 0 for used in datasets]
            if any(counts):
                parts.insert(-1, f"{span(number for number in counts if number)} {role}")
        items.append(Item(phrase(f"{dataset} ({side} side): {', '.join(parts)}")))
    return tuple(items)


def methods(board: Board) -> tuple[Item, ...]:
    """What the method names stand for, one entry each."""
    newest: dict[str, Row] = {}
    for row in (row for section in board.sections for row in section.rows):
        held = newest.get(row.method)
        if held is None or age(row.newest) > age(held.newest):
            newest[row.method] = row
    items = []
    for method, row in sorted(newest.items()):
        parts: list[str | CodeText] = [CodeText(method), f": {row.about.title}"]
        parts += [f" ({row.about.family})"] if row.about.family else []
        if row.reference in ("comparator", "oracle"):
            role = "labels-only comparator" if row.reference == "comparator" else "oracle"
            parts += [f", {role} of ", CodeText(str(row.like))]
        items.append(Item(phrase(*parts)))
    return tuple(items)


def legend(views: list[SectionView], *, cost: bool) -> list[Paragraph]:
    """What the columns and marks of a page mean, each once."""
    sections = [view.section for view in views]
    rows = [row for section in sections for row in section.rows]
    spreads = " or ".join(_SPREAD[aggregate] for aggregate in sorted({row.aggregate for row in rows}))
    found = [phrase(f"SRCC on test images, {spreads}; the best value of a column in bold."), *figure_words(views)]
    found += _marks(sections)
    found += [limits.LEGEND] if any(map(limits.has_limit, views)) else []
    if any(view.trains for view in views):
        found.append(phrase(
            "Gain: SRCC minus that of the row's comparator, which is trained on the labels alone for the same number "
            "of steps. To oracle: SRCC minus that of the oracle, which is trained on the withheld scores as well. "
            "Differences are paired by seed, between runs of equal recipe, overrides, budgets and steps; positive is "
            "better. Losses: runs in which the row is below its comparator; worst split: the run with the lowest gain."
        ))  # fmt: skip
    if any(view.over_best(row, dataset) for view in views for row in view.section.rows for dataset in view.sides):
        found.append(phrase(
            "Over best labels-only: SRCC minus that of the best labels-only row, paired by seed. That row is the "
            "comparator or baseline with the highest mean over the row's splits, whatever its recipe and steps. "
            "Picking the highest of several means favours it, so these differences are biased slightly downwards, "
            "towards ", Mark("worse"), ". Their intervals are not corrected for the number of rows; the verdicts in "
            "the sentences on them are (Holm)."
        ))  # fmt: skip
    if any(view.verdicts(dataset) for view in views for dataset in view.sides):
        margin = decimals(EQUIVALENCE_MARGIN)
        found.append(phrase(
            "Verdicts: corrected resampled t-test of the gain over random splits (Nadeau and Bengio 2003); p and "
            "verdict are corrected for all comparisons of a table (Holm), intervals are not. ", Mark("Equivalent"),
            f": within {margin} of the comparator; ", Mark("not distinguished"), " does not mean equal. Rows whose "
            "gains are equal on every split, one result under two names, are one comparison.",
        ))  # fmt: skip
    mappings = sorted({run.facts.protocol.mapping for row in rows for run in row.runs.values()})
    words = f"PLCC and RMSE after the mapping {' or '.join(mappings)}, RMSE in the dataset's own units."
    if any(view.trains for view in views):
        words += " Change: SRCC after the last stage minus after the first; below zero is forgetting."
    found += [phrase(words), *_class_words(sections)]
    if cost:
        found.append(phrase("Cost: means over the runs. Images/s: images per second of training, by its log."))
    return [Paragraph(own) for own in found]


def figure_words(views: list[SectionView]) -> list[Phrase]:
    """What SRCC within parts is, where there is any, and what stands in brackets."""
    found = []
    if any(own.name == "srcc_within_parts" for own in columns_of(view.section for view in views)):
        found.append(phrase(
            "SRCC within parts: the mean of the SRCC within each part of a dataset, weighted by its test images; it "
            "decides ranks and gains where the part alone predicts much of the score."
        ))  # fmt: skip
    return found + _interval_words(views)


def _interval_words(views: list[SectionView]) -> list[Phrase]:
    kinds = {span.over for view in views for row in view.section.rows for dataset in view.sides
             if (span := view.span(row, dataset)) is not None}  # fmt: skip
    meaning = {
        "splits": "for other random splits of the same images (corrected for training parts that overlap)",
        "images": "of a single run, for other test images",
    }
    if not kinds and any(row.aggregate == "median" for view in views for row in view.section.rows):
        return [phrase("No intervals of medians: random splits share training images, and the correction for that "
                       "(Nadeau and Bengio 2003) is one of means.")]  # fmt: skip
    if not kinds:
        return []
    return [phrase(f"In brackets: 95 % interval {' or '.join(meaning[kind] for kind in sorted(kinds, reverse=True))}.")]


def _marks(sections: list[SettingRows]) -> list[Phrase]:
    rows = [(section, row) for section in sections for row in section.rows]
    found = []
    if any(row.reference in ("comparator", "oracle") for _, row in rows):
        found.append(phrase(Mark("ref"), ": comparators and oracles; listed by their value, not ranked."))
    if any(row.reference == "control" for _, row in rows):
        found.append(phrase(Mark("control"), ": a check whose outcome is known beforehand; not ranked."))
    if any(row.has_seen(dataset) for section, row in rows for dataset, _ in section.datasets):
        found.append(phrase(Mark("seen"), ": its initial weights were trained on that dataset; not ranked on it."))
    if any(row.outdated for _, row in rows):
        found.append(phrase(Mark("outdated"), ": images, scores or splits differ from those of the newest record; ",
                            Mark("old"), ": not ranked."))  # fmt: skip
    if any(row.unofficial for _, row in rows):
        found.append(phrase(Mark("unofficial"), ": no source of the dataset publishes these scores; not ranked."))
    if any(section.absent for section in sections):
        found.append(phrase("A row without numbers: runs that were asked for and have no result; its mark is why, and "
                            "it is not ranked."))  # fmt: skip
    return [joined(found, " ")] if found else []


def _class_words(sections: list[SettingRows]) -> list[Phrase]:
    names = [measure.name for measure in columns_of(sections) if measure.table == "classes"]
    if not names:
        return []
    asked = [name for name in names if not name.startswith("error_class_")]
    words = [_CLASS_WORDS[name] for name in asked]
    if len(asked) < len(names):
        words.append("Class 0 and so on: error of the likeliest class over the images of that class.")
    words.append("A dash: the method predicts no classes, or there is no such image.")
    return [phrase(" ".join(words))]
