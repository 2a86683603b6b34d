"""Records to boards: the newest record of every cell, grouped into rows, sections and boards.

A cell is (method, recipe, overrides, budgets, pair, protocol, seed). A row holds the cells that differ in the seed
only, a section the rows that may be compared with each other (one pair, one amount of labels and unlabeled images),
a board the sections of one protocol, ordered by the question that their pairs ask. Demo datasets have boards of their
own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard.questions import QUESTIONS, question_of
from ssliqa_bench.registry.schema import CONTROL
from ssliqa_bench.specs import Pair
from ssliqa_bench.store.comparable import age, outdated
from ssliqa_bench.store.failures import Failure, without_records
from ssliqa_bench.store.record import Budget, MethodFacts, Record

Reference = Literal["comparator", "oracle", "control"]

_SIDES = ("labeled", "unlabeled", "external")


@dataclass(frozen=True)
class Row:
    """One line of a board: the newest record of each seed, and how many older ones it replaces.

    Attributes:
        outdated: datasets that a run of the row had with other images, scores or splits than the newest record has.
    """

    method: str
    recipe: str
    overrides: Mapping[str, Any]
    runs: Mapping[int, Record]
    older: int = 0
    outdated: tuple[str, ...] = ()

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds in increasing order."""
        return tuple(sorted(self.runs))

    @cached_property
    def newest(self) -> Record:
        """The record written last: it speaks for the row where one value is needed (title, aggregate)."""
        return max(self.runs.values(), key=age)

    @property
    def about(self) -> MethodFacts:
        """What the registry stated about the method."""
        return self.newest.facts.method

    @property
    def aggregate(self) -> str:
        """How seeds are put together: mean or median."""
        return self.newest.facts.protocol.aggregate

    @property
    def submitted(self) -> bool:
        """Whether any of its predictions were submitted rather than computed here."""
        return any(run.submitted for run in self.runs.values())

    @property
    def setting(self) -> str:
        """Recipe and overrides as canonical JSON: equal for rows that were asked for alike."""
        return canonical_json([self.recipe, dict(self.overrides)])

    @property
    def like(self) -> str | None:
        """The method this row is a comparator or the oracle of."""
        return self.about.like

    @property
    def reference(self) -> Reference | None:
        """What the row is for others: labels-only comparator, oracle, control, or (None) a method of its own."""
        if self.about.family == CONTROL:
            return "control"
        if self.about.unlabeled_role == "labeled":
            return "oracle"
        return None if self.like is None else "comparator"

    def metric(self, seed: int, dataset: str, name: str) -> float | None:
        """A stored metric; None where it is undefined. KeyError where the run was not tested on the dataset."""
        value: float | None = getattr(self.runs[seed].results[dataset].metrics, name)
        return value

    def ranked_by(self, seed: int, dataset: str) -> float | None:
        """What ranks and gains on a dataset are made of, SRCC or SRCC within parts; None where it is undefined."""
        return self.runs[seed].results[dataset].ranked_by

    def tested(self, dataset: str) -> tuple[int, ...]:
        """The seeds whose runs were tested on a dataset."""
        return self._tested.get(dataset, ())

    @cached_property
    def _tested(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, list[int]] = defaultdict(list)
        for seed in self.seeds:
            for dataset in self.runs[seed].results:
                found[dataset].append(seed)
        return {dataset: tuple(seeds) for dataset, seeds in found.items()}

    @cached_property
    def unofficial(self) -> tuple[str, ...]:
        """Datasets of which a run used scores that no source of the dataset passes on."""
        used = (item for run in self.runs.values() for item in run.datasets.items())
        return tuple(sorted({name for name, dataset in used if dataset.unofficial_labels}))

    @cached_property
    def images_per_second(self) -> float | None:
        """Speed of training: mean over the logged epochs of a run, then over the runs that logged it."""
        rates = []
        for run in self.runs.values():
            logged = [entry.get("images_per_second") for stage in run.facts.stages for entry in stage.log]
            known = [float(rate) for rate in logged if isinstance(rate, int | float) and math.isfinite(rate)]
            if known:
                rates.append(math.fsum(known) / len(known))
        return math.fsum(rates) / len(rates) if rates else None

    def has_seen(self, dataset: str) -> bool:
        """Whether the weights the method starts from were trained on the dataset."""
        trained_on = self.about.trained_on
        return not isinstance(trained_on, str) and dataset in trained_on


@dataclass(frozen=True)
class Absent:
    """Runs of one row that were asked for and have no result, for one reason.

    Attributes:
        state: `failed`, `weights not available` or `data not available`.
        errors: the messages of the runs, each once.
    """

    method: str
    recipe: str
    overrides: Mapping[str, Any]
    seeds: tuple[int, ...]
    state: str
    errors: tuple[str, ...]

    @property
    def setting(self) -> str:
        """As that of a row."""
        return canonical_json([self.recipe, dict(self.overrides)])


@dataclass(frozen=True)
class SettingRows:
    """Rows that share the pair and the budgets, with the datasets they were tested on.

    Attributes:
        absent: runs without a result, also those of rows that have some.
    """

    pair: Pair
    budget: Budget
    unlabeled_budget: Budget
    datasets: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    absent: tuple[Absent, ...] = ()

    @property
    def without_rows(self) -> tuple[Absent, ...]:
        """Those of methods and settings of which no run has a result."""
        held = {(row.method, row.setting) for row in self.rows}
        return tuple(own for own in self.absent if (own.method, own.setting) not in held)

    @property
    def ranking_dataset(self) -> str:
        """The dataset that decides the order of rows: the unlabeled side, else the labeled one, else the first."""
        by_side = {side: name for name, side in reversed(self.datasets)}
        return by_side.get("unlabeled") or by_side.get("labeled") or self.datasets[0][0]


@dataclass(frozen=True)
class Board:
    """All sections of one protocol, either of demo datasets or of all others."""

    protocol: str
    demo: bool
    sections: tuple[SettingRows, ...]


def collect(records: Iterable[Record], failures: Iterable[Failure] = ()) -> list[Board]:
    """Group records into boards; the order in which records come does not matter.

    Args:
        failures: runs that left no record. Those of a cell that has one are void; those of a pair and budget without
            any record are on no board (see `not_run_page`).
    """
    given = list(records)
    lacking = absent(without_records(failures, (record.cell for record in given)))
    changed = outdated(given)
    boards: dict[tuple[bool, str], list[Record]] = defaultdict(list)
    for record in given:
        for demo, view in _views(record):
            boards[demo, record.cell.protocol].append(view)
    return [
        Board(protocol, demo, tuple(
            replace(own, absent=lacking.get((protocol, str(own.pair), own.budget, own.unlabeled_budget), ()))
            for own in _sections(boards[demo, protocol], changed)
        ))
        for demo, protocol in sorted(boards)
    ]  # fmt: skip


Place = tuple[str, str, Budget, Budget]  # protocol, pair, budget and unlabeled budget


def absent(failures: Iterable[Failure]) -> dict[Place, tuple[Absent, ...]]:
    """Runs without a record by the section that they belong to, each row and reason once."""
    found: dict[Place, dict[tuple[str, str, str], list[Failure]]] = defaultdict(lambda: defaultdict(list))
    for own in sorted(failures, key=lambda failure: failure.cell.seed):
        cell = own.cell
        place = (cell.protocol, cell.pair, cell.budget, cell.unlabeled_budget)
        found[place][cell.method, canonical_json([cell.recipe, cell.overrides]), own.state].append(own)
    return {
        place: tuple(
            Absent(own[0].cell.method, own[0].cell.recipe, own[0].cell.overrides,
                   tuple(failure.cell.seed for failure in own), own[0].state,
                   tuple(dict.fromkeys(failure.error for failure in own)))
            for _, own in sorted(rows.items())
        )
        for place, rows in found.items()
    }  # fmt: skip


def _views(record: Record) -> Iterable[tuple[bool, Record]]:
    """The parts of a record by kind of board: no number of a demo dataset is ever shown beside a real one."""
    kinds = {name: entry.kind == "demo" for name, entry in record.datasets.items()}
    pair = Pair.parse(record.cell.pair)
    if any(kinds.get(name, False) for name in pair.datasets):
        yield True, record
        return
    for demo in (False, True):
        view = record.only([name for name in record.results if kinds[name] == demo])
        if view.results:
            yield demo, view


def _sections(records: list[Record], changed: Mapping[str, tuple[str, ...]]) -> tuple[SettingRows, ...]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        cell = record.cell
        groups[canonical_json([cell.pair, cell.budget, cell.unlabeled_budget])].append(record)
    sections = []
    for group in groups.values():
        cell = group[0].cell
        rows = _rows(group, changed)
        # What older records were tested on no longer counts, so the columns follow from the rows.
        tested = [item for row in rows for run in row.runs.values() for item in run.results.items()]
        sides = {name: str(result.dataset.side) for name, result in tested}
        datasets = tuple(sorted(sides.items(), key=lambda item: (_SIDES.index(item[1]), item[0])))
        sections.append(SettingRows(Pair.parse(cell.pair), cell.budget, cell.unlabeled_budget, datasets, rows))

    def order(own: SettingRows) -> tuple[Any, ...]:
        question = QUESTIONS.index(question_of(own.pair))
        return question, str(own.pair), _budget_order(own.budget), _budget_order(own.unlabeled_budget)

    return tuple(sorted(sections, key=order))


def _rows(records: list[Record], changed: Mapping[str, tuple[str, ...]]) -> tuple[Row, ...]:
    cells: dict[str, dict[int, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        cell = record.cell
        cells[canonical_json([cell.method, cell.recipe, cell.overrides])][cell.seed].append(record)
    rows = []
    for _, by_seed in sorted(cells.items()):
        newest = {seed: max(versions, key=age) for seed, versions in sorted(by_seed.items())}
        cell = next(iter(newest.values())).cell
        older = sum(len(versions) - 1 for versions in by_seed.values())
        names = sorted({name for run in newest.values() for name in changed.get(run.key, ())} & _held(newest.values()))
        rows.append(Row(cell.method, cell.recipe, cell.overrides, newest, older, tuple(names)))
    return tuple(rows)


def _held(runs: Iterable[Record]) -> set[str]:
    """The datasets of runs, as far as a board shows them."""
    return {name for run in runs for name in run.datasets}


def _budget_order(budget: Budget) -> tuple[int, float]:
    # All images first, then shares, then counts.
    return (0, 0.0) if budget is None else (1 if isinstance(budget, float) else 2, float(budget))
