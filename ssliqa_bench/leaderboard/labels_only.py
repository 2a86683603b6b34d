"""Rows that learn from labels alone: the best of a section, and differences from it.

A learner that beats a weak comparator may still be no better than what labels alone can reach. So every row that uses
unlabeled images is also compared with the best labels-only row on its own seeds, whatever that row's recipe and steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.leaderboard.collect import Row, SettingRows
from ssliqa_bench.leaderboard.compare import Paired, find_reference, paired_difference, summarise
from ssliqa_bench.registry.schema import BASELINE


@dataclass(frozen=True)
class Best:
    """The labels-only row with the highest mean over the seeds of a learner, and what it was chosen from.

    Attributes:
        value: its mean on the ranking dataset over `seeds`, SRCC or SRCC within parts.
        seeds: the learner's seeds that the row has too.
        chosen_from: how many labels-only rows have as many of the learner's seeds.
    """

    row: Row
    value: float
    seeds: tuple[int, ...]
    chosen_from: int


@dataclass(frozen=True)
class BestRowDifference:
    """A row less the best labels-only row on one dataset; the interval's ends are None where there is none."""

    paired: Paired
    lo: float | None = None
    hi: float | None = None


def labels_only(row: Row) -> bool:
    """Whether a row learned from labels alone: a comparator, or a method of the family `baseline`."""
    if row.submitted or not any(run.facts.stages for run in row.runs.values()):
        return False
    return row.reference == "comparator" or (row.reference is None and row.about.family == BASELINE)


def not_valid(dataset: str) -> str:
    """The mark of an oracle that is below a row that learned from labels alone on a dataset."""
    return f"reference not valid on {dataset}"


def uses_unlabeled(row: Row) -> bool:
    """Whether a row is a method that learned with unlabeled images at hand, and sees no pristine image in the test."""
    if row.reference is not None or row.submitted or labels_only(row):
        return False
    runs = [run for run in row.runs.values() if run.facts.stages]
    pristine = any("references" in part for run in runs for part in run.key_part("rows").values())
    return not pristine and any(own.roles.get("unlabeled") for run in runs for own in run.datasets.values())


def best_labels_only(row: Row, section: SettingRows) -> Best | None:
    """The labels-only row with the highest mean on the ranking dataset over the seeds of a row, of those that have all
    these seeds; where none has all, of those that have the most. None without any.

    Rows with outdated, unofficial or seen data are no candidates.
    """
    dataset = section.ranking_dataset
    shared = [(own, tuple(seed for seed in row.tested(dataset) if seed in own.tested(dataset)))
              for own in candidates(section)]  # fmt: skip
    most = max((len(seeds) for _, seeds in shared), default=0)
    known = []
    for own, seeds in shared:
        value = summarise([own.ranked_by(seed, dataset) for seed in seeds], own.aggregate).value
        if value is not None and len(seeds) == most:
            known.append((value, own, seeds))
    if not known:
        return None
    value, best, seeds = min(known, key=lambda found: (-found[0], found[1].method, found[1].setting))
    return Best(best, value, seeds, len(known))


def difference_from_best(row: Row, best: Best | None, dataset: str, fraction: float | None) -> BestRowDifference | None:
    """A row less the best labels-only row on the same splits; None where the row is no learner, or there is no best.

    Args:
        fraction: share of the dataset in the test part, for the corrected interval; None: no interval.
    """
    if best is None or not uses_unlabeled(row) or not row.tested(dataset):
        return None
    paired = paired_difference(row, best.row, dataset, equal_steps=False)
    return _with_interval(paired, row.aggregate, fraction)


def _with_interval(paired: Paired, aggregate: str, fraction: float | None) -> BestRowDifference:
    if fraction is None or len(paired.differences) < MINIMUM_SPLITS or aggregate != "mean":
        return BestRowDifference(paired)
    from ssliqa_bench.evaluation.comparisons import compare_splits  # brings scipy

    found = compare_splits(paired.differences, fraction)
    return BestRowDifference(paired, found.lo, found.hi)


def labels_only_above(oracle: Row, section: SettingRows, dataset: str) -> Row | None:
    """The labels-only row that an oracle is below on a dataset, its own comparator or the best of the section; None
    where it is below neither, and for rows that are no oracle.

    Where true scores of further images do not make a learner better than labels alone, it bounds no gain of others; a
    lower mean is enough. An oracle without a comparator on record is held against the best labels-only row alone.
    """
    if oracle.reference != "oracle" or not oracle.tested(dataset):
        return None
    own = find_reference(oracle, section.rows, "comparator")
    best = best_labels_only(oracle, section)
    others = {id(row): row for row in (own, None if best is None else best.row) if row is not None}
    found = []
    for row in others.values():
        gap = paired_difference(oracle, row, dataset, equal_steps=False).stat.value
        if gap is not None and gap < 0:
            found.append((gap, row))
    return min(found, key=lambda item: item[0])[1] if found else None


def candidates(section: SettingRows) -> list[Row]:
    """The labels-only rows of a section, without outdated, unofficial or seen data."""
    dataset = section.ranking_dataset
    decisive = {dataset, *section.pair.datasets}
    return [
        row
        for row in section.rows
        if labels_only(row) and row.tested(dataset) and not row.has_seen(dataset)
        and not decisive.intersection((*row.outdated, *row.unofficial))
    ]  # fmt: skip
