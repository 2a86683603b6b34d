"""Which gains from unlabeled images can be told from nothing, over the random splits of a section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.leaderboard.collect import Row, SettingRows
from ssliqa_bench.leaderboard.compare import drawn_share, paired_gain

if TYPE_CHECKING:
    from ssliqa_bench.evaluation.comparisons import Comparison


@dataclass(frozen=True)
class Verdict:
    """A learner against its comparator on one dataset.

    Attributes:
        row, reference: learner and comparator.
        comparison: their difference of SRCC; p and verdict are corrected for all verdicts on the dataset.
        losses: splits on which the learner is worse.
        declared: how many comparisons p and verdict are corrected for.
    """

    row: Row
    reference: Row
    comparison: Comparison
    losses: int
    declared: int


def verdicts(section: SettingRows, dataset: str) -> list[Verdict]:
    """Learners against their comparators on a dataset, in the order of the section's rows.

    The family that p-values are corrected for (Holm) are the learners whose registry entries, by `like`, declare a
    comparator that is on record, also where their runs cannot be compared. Empty where splits are not drawn at random,
    so that runs say nothing about other test images, or are fewer than `MINIMUM_SPLITS`.
    """
    found: list[tuple[Row, Row, list[float]]] = []
    declared = 0
    for row in section.rows:
        if row.reference is not None or row.outdated or row.unofficial:
            continue
        gain = paired_gain(row, section.rows, dataset, "comparator")
        if gain.reference is None:
            continue
        declared += 1
        if len(gain.differences) >= MINIMUM_SPLITS:
            found.append((row, gain.reference, list(gain.differences)))
    fraction = test_fraction(section, dataset)
    if fraction is None or not found:
        return []
    from ssliqa_bench.evaluation.comparisons import compare_splits, holm  # brings scipy

    family = {str(k): compare_splits(differences, fraction) for k, (_, _, differences) in enumerate(found)}
    corrected = holm(family, declared=declared).values()
    return [
        Verdict(row, reference, comparison, sum(difference < 0 for difference in differences), declared)
        for (row, reference, differences), comparison in zip(found, corrected, strict=True)
    ]


def test_fraction(section: SettingRows, dataset: str) -> float | None:
    """Share of a dataset in the test part; None where it is not drawn by the seed, or not alike for all rows."""
    runs = [run for row in section.rows for run in row.runs.values() if dataset in run.results]
    split = runs[0].facts.protocol.split
    return None if any(run.facts.protocol.split != split for run in runs) else drawn_share(runs[0], dataset)
