"""Controls: rows whose outcome is known beforehand, and whether they show it.

A control with permuted scores must reach a mean SRCC near 0, and the mean of every real row must lie above what
permuted scores reach by chance; how many of its single runs do not is stated. A control whose unlabeled images have
weight 0 must equal the row without them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.leaderboard.cells import name_cells, name_columns
from ssliqa_bench.leaderboard.collect import Row
from ssliqa_bench.leaderboard.compare import test_fraction, unlike_runs
from ssliqa_bench.leaderboard.numbers import decimals
from ssliqa_bench.leaderboard.page import (
    Cell,
    CodeText,
    Column,
    Number,
    PageTable,
    Paragraph,
    Phrase,
    Section,
    joined,
    phrase,
)
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.leaderboard.words import row_name

HOLDS, FAILS = "holds", "fails"
_CHANCE = 0.99  # quantile of the runs with permuted scores; means of real rows must lie above it


def control_tables(view: SectionView, name: str, dataset: str, title: str) -> Iterator[Section]:
    """Controls of a section on one dataset; nothing without any."""
    rows = [item.row for item in view.ranked if item.row.reference == "control" and item.row.tested(dataset)
            and dataset not in item.row.outdated]  # fmt: skip
    if not rows:
        return
    columns = [*name_columns(view), Column("expected", "Expected", text=True), Column("found", "Found"),
               Column("outcome", "Outcome", text=True)]  # fmt: skip
    lines = [(*name_cells(view, row), *_judged(view, row, dataset)) for row in rows]
    words = [Paragraph(own) for own in (_by_chance(view, rows, dataset), _MEANING)]
    yield Section(f"{name}-section", phrase(title), (PageTable(name, tuple(columns), tuple(lines)), *words))


_MEANING = phrase(
    "A control with permuted scores holds if its mean is within two standard errors of 0. Controls with the same "
    "seeds share their permutations, so their failures are not independent. A control that names another row holds if "
    "it is equivalent to it (95 % interval of the corrected resampled t-test, margin 0.01) and fails if the interval "
    "excludes 0."
)


def _judged(view: SectionView, row: Row, dataset: str) -> list[Cell]:
    """What is expected of a control, what it shows, and whether that agrees."""
    if row.like is None:
        values = _values(row, dataset)
        mean = statistics.fmean(values) if values else None
        found = phrase("–") if mean is None else phrase(f"{mean:+.3f}")
        if mean is None or len(values) < MINIMUM_SPLITS:
            return [Cell(phrase("0")), Cell(found), Cell(phrase(_few(len(values))))]
        error = statistics.stdev(values) / math.sqrt(len(values))
        outcome = HOLDS if abs(mean) <= 2 * error else FAILS
        return [Cell(phrase("0")), Cell(phrase(f"{mean:+.3f} ± {error:.3f}")), Cell(phrase(outcome))]
    expected = Cell(phrase("equal to ", CodeText(row.like)))
    other = next((own for own in view.section.rows if own.method == row.like and own.setting == row.setting), None)
    if other is not None and (apart := _settings_apart(row, other)):
        said = joined([CodeText(name) for name in apart])
        return [expected, Cell(Number(None)), Cell(phrase("not comparable, other settings: ", said))]
    pairs = [] if other is None else [
        (row.ranked_by(seed, dataset), other.ranked_by(seed, dataset))
        for seed in row.tested(dataset)
        if seed in other.tested(dataset) and unlike_runs(row.runs[seed], other, seed, dataset) is None
    ]
    differences = [one - its for one, its in pairs if one is not None and its is not None]
    fraction = test_fraction(view.section, dataset)
    if fraction is None or len(differences) < MINIMUM_SPLITS:
        return [expected, Cell(Number(None)), Cell(phrase(_few(len(differences))))]
    from ssliqa_bench.evaluation.comparisons import compare_splits  # brings scipy

    gap = compare_splits(differences, fraction)
    assert gap.lo is not None and gap.hi is not None  # there are enough splits
    outcome = HOLDS if gap.verdict == "equivalent" else "no difference shown" if gap.lo <= 0 <= gap.hi else FAILS
    return [expected, Cell(phrase(f"{gap.mean:+.3f} [{gap.lo:+.3f}, {gap.hi:+.3f}]")), Cell(phrase(outcome))]


def _settings_apart(row: Row, other: Row) -> list[str]:
    """Parameters besides the weight of unlabeled images in which two rows differ, as where each was tuned by itself."""
    ours, theirs = (next(iter(own.runs.values())).key_part("params") for own in (row, other))
    names = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    return sorted(names - {"unlabeled_weight"})


def _few(count: int) -> str:
    return f"needs {MINIMUM_SPLITS} splits, has {count}"


def _values(row: Row, dataset: str) -> list[float]:
    values = (row.ranked_by(seed, dataset) for seed in row.tested(dataset))
    return [value for value in values if value is not None]


def _by_chance(view: SectionView, controls: Sequence[Row], dataset: str) -> Phrase:
    """Whether the means of all real rows lie above what permuted scores reach by chance, and how many of their single
    runs do not."""
    drawn = sorted(value for row in controls if row.like is None for value in _values(row, dataset))
    if not drawn:
        return phrase("No control with permuted scores on record.")
    highest = _quantile(drawn, _CHANCE)
    real = [row for row in view.section.rows if row.reference != "control" and row.tested(dataset)]
    below = []
    for row in real:
        values = _values(row, dataset)
        if not values or statistics.fmean(values) <= highest:
            below.append(row.method)
    chance = f"{len(drawn)} runs with permuted scores have a 99th percentile of {decimals(highest)}; "
    single = _single_runs(view, real, dataset, highest)
    if below:
        return phrase(chance, "by their means, not above it are ", joined(map(CodeText, sorted(set(below)))), single)
    return phrase(chance, "the mean of every other row lies above it", single)


def _single_runs(view: SectionView, rows: Sequence[Row], dataset: str, highest: float) -> Phrase:
    """How many runs of which rows do not lie above a value, the most first; a run without SRCC is one of them."""
    counted: dict[tuple[int, int], list[Phrase]] = {}
    for row in rows:
        total = len(row.tested(dataset))
        missing = total - sum(value > highest for value in _values(row, dataset))
        if missing:
            counted.setdefault((missing, total), []).append(row_name(view, row))
    if not counted:
        return phrase(", and so does every single run of them.") if rows else phrase(".")
    parts = []
    for (missing, total), names in sorted(counted.items(), reverse=True):
        each = " each" if len(names) > 1 else ""
        names.sort(key=lambda name: name.plain)
        parts.append(phrase(f"{missing} of {total}{each} of ", joined(names)))
    return phrase(". Single runs not above it: ", joined(parts, "; "), ".")


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Quantile of sorted values, linear between neighbours."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])
