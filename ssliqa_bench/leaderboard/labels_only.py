"""Rows that learn from labels alone: the best of a section, differences from it, and the bar that they must reach.

A learner that beats a weak comparator may still be no better than what labels alone can reach. So every row that uses
unlabeled images is also compared with the best labels-only row of its section, whatever its recipe and steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.leaderboard.collect import Row, SettingRows
from ssliqa_bench.leaderboard.compare import Paired, find_reference, paired_difference, summarise
from ssliqa_bench.registry.schema import BASELINE

PROBE = "ridge-probe"
# How far trained labels-only rows may stay below the linear model before gains over them mean nothing.
SLACK = 0.01
# The mark of an oracle that is below a row that learned from labels alone.
NOT_VALID = "reference not valid here"


@dataclass(frozen=True)
class Best:
    """The labels-only row of a section with the highest mean, and what it was chosen from.

    Attributes:
        value: its mean on the ranking dataset, SRCC or SRCC within parts.
        chosen_from: how many labels-only rows were tested there on as many splits.
    """

    row: Row
    value: float
    chosen_from: int


@dataclass(frozen=True)
class Difference:
    """A row less the best labels-only row on one dataset; the interval's ends are None where there is none."""

    paired: Paired
    lo: float | None = None
    hi: float | None = None


def labels_only(row: Row) -> bool:
    """Whether a row learned from labels alone: a comparator, or a method of the family `baseline`."""
    if row.submitted or not any(run.facts.stages for run in row.runs.values()):
        return False
    return row.reference == "comparator" or (row.reference is None and row.about.family == BASELINE)


def uses_unlabeled(row: Row) -> bool:
    """Whether a row is a method that learned with unlabeled images at hand, and sees no pristine image in the test."""
    if row.reference is not None or row.submitted or labels_only(row):
        return False
    runs = [run for run in row.runs.values() if run.facts.stages]
    pristine = any("references" in part for run in runs for part in run.key_part("rows").values())
    return not pristine and any(own.roles.get("unlabeled") for run in runs for own in run.datasets.values())


def best_labels_only(section: SettingRows) -> Best | None:
    """The labels-only row with the highest mean on the ranking dataset, of those with the most splits; None without
    any. Rows with outdated, unofficial or seen data are no candidates."""
    dataset = section.ranking_dataset
    candidates = _candidates(section)
    most = max((len(row.tested(dataset)) for row in candidates), default=0)
    known = []
    for row in candidates:
        value = summarise([row.ranked_by(seed, dataset) for seed in row.tested(dataset)], row.aggregate).value
        if value is not None and len(row.tested(dataset)) == most:
            known.append((value, row))
    if not known:
        return None
    value, row = min(known, key=lambda own: (-own[0], own[1].method, own[1].setting))
    return Best(row, value, len(known))


def difference_from_best(row: Row, best: Best | None, dataset: str, fraction: float | None) -> Difference | None:
    """A row less the best labels-only row on the same splits; None where the row is no learner, or there is no best.

    Args:
        fraction: share of the dataset in the test part, for the corrected interval; None: no interval.
    """
    if best is None or not uses_unlabeled(row) or not row.tested(dataset):
        return None
    paired = paired_difference(row, best.row, dataset, equal_steps=False)
    if fraction is None or len(paired.differences) < MINIMUM_SPLITS or row.aggregate != "mean":
        return Difference(paired)
    from ssliqa_bench.evaluation.comparisons import compare_splits  # brings scipy

    found = compare_splits(paired.differences, fraction)
    return Difference(paired, found.lo, found.hi)


def labels_only_above(oracle: Row, section: SettingRows, dataset: str) -> Row | None:
    """The labels-only row that an oracle is below on a dataset, its own comparator or the best of the section; None
    where it is below neither, and for rows that are no oracle.

    Where more labels make a learner worse, its network does not fit them, and it is no reference for others. An oracle
    without a comparator on record is held against the best labels-only row alone.
    """
    if oracle.reference != "oracle":
        return None
    own = find_reference(oracle, section.rows, "comparator")
    best = best_labels_only(section)
    others = {id(row): row for row in (own, None if best is None else best.row) if row is not None}
    found = []
    for row in others.values():
        gap = paired_difference(oracle, row, dataset, equal_steps=False).stat.value
        if gap is not None and gap < 0:
            found.append((gap, row))
    return min(found, key=lambda item: item[0])[1] if found else None


def below_probe(section: SettingRows) -> bool:
    """Whether trained labels-only rows stay more than `SLACK` below `ridge-probe` on the same splits, so that gains
    over them say nothing about unlabeled images; False where either is not on record."""
    dataset = section.ranking_dataset
    rows = _candidates(section)
    probes = [row for row in rows if row.method == PROBE]
    trained = [row for row in rows if any(run.facts.steps for run in row.runs.values())]
    gaps = []
    for row in trained:
        found = [paired_difference(row, probe, dataset, equal_steps=False).differences for probe in probes]
        gaps += [min(fmean(own) for own in found if own)] if any(found) else []
    return bool(gaps) and max(gaps) < -SLACK


def _candidates(section: SettingRows) -> list[Row]:
    dataset = section.ranking_dataset
    decisive = {dataset, *section.pair.datasets}
    return [
        row
        for row in section.rows
        if labels_only(row) and row.tested(dataset) and not row.has_seen(dataset)
        and not decisive.intersection((*row.outdated, *row.unofficial))
    ]  # fmt: skip
