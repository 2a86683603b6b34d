"""A section with what follows from it: ranks, verdicts and intervals, each worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ssliqa_bench.evaluation.constants import MINIMUM_SPLITS
from ssliqa_bench.leaderboard.bar import Reason, recipes_without_gain
from ssliqa_bench.leaderboard.collect import Row, SettingRows
from ssliqa_bench.leaderboard.compare import test_fraction
from ssliqa_bench.leaderboard.labels_only import (
    Best,
    BestRowDifference,
    best_labels_only,
    difference_from_best,
)
from ssliqa_bench.leaderboard.ranking import Ranked, rank_rows
from ssliqa_bench.leaderboard.verdicts import Verdict, verdicts, verdicts_over_best


@dataclass(frozen=True)
class Span:
    """Ends of an interval of a row's SRCC, and what varies: the splits, or the test images of its one run."""

    lo: float
    hi: float
    over: Literal["splits", "images"]


@dataclass(frozen=True, eq=False)
class SectionView:
    """A section as boards show it."""

    section: SettingRows
    _verdicts: dict[str, list[Verdict]] = field(default_factory=dict, repr=False)
    _over_best: dict[str, list[Verdict]] = field(default_factory=dict, repr=False)
    _spans: dict[tuple[int, str], Span | None] = field(default_factory=dict, repr=False)
    _bests: dict[int, Best | None] = field(default_factory=dict, repr=False)

    @cached_property
    def ranked(self) -> list[Ranked]:
        """The rows in their order."""
        return rank_rows(self.section)

    @cached_property
    def sides(self) -> dict[str, str]:
        """Side by dataset."""
        return dict(self.section.datasets)

    @cached_property
    def trains(self) -> bool:
        """Whether any run of the section made steps."""
        return any(run.facts.steps for row in self.section.rows for run in row.runs.values())

    @cached_property
    def one_setting(self) -> bool:
        """Whether the name of a method is enough to name a row."""
        return len({row.method for row in self.section.rows}) == len(self.section.rows)

    def best_labels_only(self, row: Row) -> Best | None:
        """The labels-only row that a learner is compared with: that with the highest mean over its seeds."""
        if id(row) not in self._bests:
            self._bests[id(row)] = best_labels_only(row, self.section)
        return self._bests[id(row)]

    @cached_property
    def _without_gain(self) -> Mapping[str, Reason]:
        return recipes_without_gain(self.section)

    def without_gain(self, row: Row) -> Reason | None:
        """Why rows of a row's recipe show no gain: training on labels does not reach the ridge probe, or is not known
        to; None where they show gains."""
        return self._without_gain.get(row.recipe)

    def over_best(self, row: Row, dataset: str) -> BestRowDifference | None:
        """A learner less the best labels-only row on a dataset; None where there is none."""
        return difference_from_best(row, self.best_labels_only(row), dataset, test_fraction(self.section, dataset))

    def verdicts(self, dataset: str) -> list[Verdict]:
        """Learners against their comparators on a dataset, without rows whose gains are not shown, which the correction
        counts all the same."""
        if dataset not in self._verdicts:
            found = verdicts(self.section, dataset)
            self._verdicts[dataset] = [own for own in found if self.without_gain(own.row) is None]
        return self._verdicts[dataset]

    def verdicts_over_best(self, dataset: str) -> list[Verdict]:
        """Learners against the best labels-only row on a dataset, without rows whose gains are not shown, as above."""
        if dataset not in self._over_best:
            compared = [(row, own) for row in self.section.rows if (own := self.over_best(row, dataset)) is not None]
            found = verdicts_over_best(self.section, dataset, compared)
            self._over_best[dataset] = [own for own in found if self.without_gain(own.row) is None]
        return self._over_best[dataset]

    def verdict(self, row: Row, dataset: str) -> Verdict | None:
        """The verdict on one row; None where there is none."""
        return next((own for own in self.verdicts(dataset) if own.row is row), None)

    def span(self, row: Row, dataset: str) -> Span | None:
        """The interval of a row's SRCC on a dataset; None where none is known."""
        key = id(row), dataset
        if key not in self._spans:
            self._spans[key] = self._interval(row, dataset)
        return self._spans[key]

    def ranked_span(self, row: Row, dataset: str) -> Span | None:
        """The interval, over splits, of what decides a row's rank on a dataset; None where none is known."""
        values = {seed: row.ranked_by(seed, dataset) for seed in row.tested(dataset)}
        return self._over_splits(row, dataset, values)

    def _interval(self, row: Row, dataset: str) -> Span | None:
        seeds = row.tested(dataset)
        if len(seeds) == 1:
            metrics = row.runs[seeds[0]].results[dataset].metrics
            held = (metrics.intervals or {}).get("srcc")
            return None if held is None else Span(held.lo, held.hi, "images")
        return self._over_splits(row, dataset, {seed: row.metric(seed, dataset, "srcc") for seed in seeds})

    def _over_splits(self, row: Row, dataset: str, by_seed: Mapping[int, float | None]) -> Span | None:
        seeds = row.tested(dataset)
        values = [value for value in by_seed.values() if value is not None]
        fraction = test_fraction(self.section, dataset)
        if fraction is None or len(values) < max(MINIMUM_SPLITS, len(seeds)) or row.aggregate != "mean":
            return None
        from ssliqa_bench.evaluation.comparisons import mean_correlation  # brings scipy

        ends = mean_correlation(values, fraction)
        return None if ends is None else Span(*ends, "splits")
