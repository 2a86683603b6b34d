"""Which gains from unlabeled images are distinguished from zero, over the random splits of a section.

Learners are judged twice: each against its own comparator, and all against the best labels-only row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.leaderboard.collect import Row, SettingRows
from ssliqa_bench.leaderboard.compare import Paired, paired_gain, test_fraction
from ssliqa_bench.leaderboard.labels_only import BestRowDifference, labels_only

if TYPE_CHECKING:
    from ssliqa_bench.evaluation.comparisons import Comparison


@dataclass(frozen=True)
class Verdict:
    """A learner against a row that learned from labels alone, on one dataset.

    Attributes:
        row, reference: the learner and that row.
        comparison: their difference of SRCC; p and verdict are corrected for all verdicts on the dataset.
        losses: splits on which the learner is worse.
        worst: its difference on the split where that is lowest, and the seed of that split.
        declared: how many comparisons p and verdict are corrected for.
    """

    row: Row
    reference: Row
    comparison: Comparison
    losses: int
    worst: tuple[float, int]
    declared: int


def verdicts(section: SettingRows, dataset: str) -> list[Verdict]:
    """Learners against their comparators on a dataset, in the order of the section's rows.

    The family that p-values are corrected for (Holm) are the learners whose registry entries, by `like`, declare a
    comparator that is on record, also where their runs cannot be compared. Rows whose gains are equal to the last digit
    on every split are one comparison: the same result under two names is tested once. Empty where splits are not drawn
    at random, so that runs say nothing about other test images, or are fewer than `MINIMUM_SPLITS`.
    """
    found: list[tuple[Row, Paired]] = []
    incomparable = 0
    for row in section.rows:
        if row.reference is not None or row.outdated or row.unofficial or labels_only(row):
            continue
        gain = paired_gain(row, section.rows, dataset, "comparator")
        if len(gain.differences) >= MINIMUM_SPLITS:
            found.append((row, gain))
        else:
            incomparable += gain.reference is not None
    return _judged(found, incomparable, test_fraction(section, dataset))


def verdicts_over_best(
    section: SettingRows, dataset: str, differences: Iterable[tuple[Row, BestRowDifference]]
) -> list[Verdict]:
    """Rows against the best labels-only row on a dataset, by the differences that boards show in a column.

    The family that p-values are corrected for are the rows of that column, also those without an interval there; one
    result under two names is tested once. Empty where no row has an interval.
    """
    fair = [(row, own) for row, own in differences if not row.outdated and not row.unofficial]
    found = [(row, own.paired) for row, own in fair if own.lo is not None]
    return _judged(found, len(fair) - len(found), test_fraction(section, dataset))


def _judged(found: Sequence[tuple[Row, Paired]], incomparable: int, fraction: float | None) -> list[Verdict]:
    """Verdicts corrected for their number and that of the rows that could not be compared."""
    if fraction is None or not found:
        return []
    from ssliqa_bench.evaluation.comparisons import compare_splits, holm  # brings scipy

    family = {_outcome(gain): compare_splits(gain.differences, fraction) for _, gain in found}
    declared = len(family) + incomparable
    corrected = holm(family, declared=declared)
    judged = []
    for row, gain in found:
        assert gain.reference is not None  # there are differences
        losses = sum(difference < 0 for difference in gain.differences)
        worst = min(zip(gain.differences, gain.seeds, strict=True))
        judged.append(Verdict(row, gain.reference, corrected[_outcome(gain)], losses, worst, declared))
    return judged


def _outcome(gain: Paired) -> str:
    """The gain on every split, equal for rows with the same results."""
    return repr((gain.seeds, gain.differences))
