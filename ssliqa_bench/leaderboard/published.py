"""Figures that were published, and what our records hold of the same.

The figures are in `benchmarks/published/*.csv`, one row each, as printed. `sources.yaml` beside them states where they
are from and which run of ours a row may be compared with. A printed figure is in one of four states; none is left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.names import CORRELATIONS
from ssliqa_bench.leaderboard.compare import Stat, drawn_share, summarise
from ssliqa_bench.registry.load import data_folder
from ssliqa_bench.specs import Pair
from ssliqa_bench.store.comparable import newest_of_cells
from ssliqa_bench.store.record import DatasetResult, Record

State = Literal["reproduced", "runnable with data", "labels not public", "no verifiable source"]
STATES: tuple[State, ...] = ("reproduced", "runnable with data", "labels not public", "no verifiable source")
COLUMNS = ("paper", "table", "row_group", "method", "variant", "labeled", "unlabeled", "test", "metric", "value", "std",
           "aggregate", "is_best")  # fmt: skip
# Our metric for each printed one.
METRICS = {
    "plcc": "plcc_mapped", "srcc": "srcc", "krcc": "krcc", "rmse": "rmse_mapped", "mae": "mae_argmax", "mae3": "mae_3",
    "mae4": "mae_4", "mae34": "mae_34", "main_score": "main_score",
}  # fmt: skip
# Settings of a method that a paper's figure may be compared with.
_RECIPES = ("paper", "default")


@dataclass(frozen=True)
class Printed:
    """One figure as printed; `value` and `std` are the texts of the paper.

    Attributes:
        table: number of the table, or `text` and the section.
        row_group: block of the table.
        variant: setting of the row.
        labeled, unlabeled, test: datasets, "" where none or not stated.
        aggregate: mean or median where the paper states it.
    """

    paper: str
    table: str
    row_group: str
    method: str
    variant: str
    labeled: str
    unlabeled: str
    test: str
    metric: str
    value: str
    std: str
    aggregate: str
    is_best: str

    @property
    def number(self) -> float:
        """The figure as a number."""
        return float(self.value)


@dataclass(frozen=True)
class Ours:
    """Which records are compared with a printed figure: any of the pairs, the first on record first."""

    method: str
    pairs: tuple[str, ...]
    dataset: str
    protocol: str
    unlabeled_budget: int | None = None


@dataclass(frozen=True)
class Match:
    """What is known here about a printed figure.

    Attributes:
        state: see `STATES`.
        ours: the run to compare with; None where there is none.
        stat: our figure over its runs, where it is reproduced.
        lo, hi: ends of its 95 % interval, None where there is none.
        runs: the records behind it.
        differs: how our protocol differs from the paper's, as far as that states one.
        command: what computes it, "" where nothing does.
    """

    state: State
    ours: Ours | None = None
    stat: Stat | None = None
    lo: float | None = None
    hi: float | None = None
    runs: tuple[Record, ...] = ()
    differs: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class Publication:
    """A paper, or another place where figures were published, with its tables.

    Attributes:
        differs: how its protocol is known to differ from ours, sentence by sentence.
        tables: title by table, and what differs there alone.
        rules: which run of ours a row may be compared with; the first that fits decides.
        partners: the other dataset of each task.
        metrics: our metric for a printed one, where it is not that of `METRICS`.
    """

    name: str
    title: str
    citation: str
    address: str
    differs: tuple[str, ...]
    tables: Mapping[str, Mapping[str, Any]]
    rules: tuple[Mapping[str, Any], ...]
    partners: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)

    def metric(self, row: Printed) -> str | None:
        """Our metric for a printed figure; None where we have none."""
        return self.metrics.get(row.metric, METRICS.get(row.metric))

    def rule(self, row: Printed) -> Mapping[str, Any] | None:
        """The first rule that fits a row; None where no run of ours is compared with it."""
        return next((rule for rule in self.rules if _fits(row, rule["where"]) and _has_method(row, rule)), None)

    def ours(self, row: Printed) -> Ours | None:
        """The run that a row may be compared with."""
        rule = self.rule(row)
        if rule is None or "ours" not in rule:
            return None
        given = rule["ours"]
        words = {"labeled": row.labeled, "unlabeled": row.unlabeled, "test": row.test,
                 "partner": self.partners.get(row.labeled or row.test, "")}  # fmt: skip
        return Ours(
            method=_method(row, given),
            pairs=tuple(pair.format(**words) for pair in given["pairs"]),
            dataset=given.get("dataset", "{test}").format(**words),
            protocol=given["protocol"],
            unlabeled_budget=given.get("unlabeled_budget"),
        )

    def differences(self, row: Printed) -> tuple[str, ...]:
        """What is known of how the paper's protocol differs: of the paper, of the table, of the row."""
        rule = self.rule(row) or {}
        return (*self.differs, *self.tables[row.table].get("differs", ()), *rule.get("differs", ()))


class PublishedFigures:
    """All published figures with their sources.

    Args:
        folder: holds `sources.yaml` and a file for each source; None takes those of the package.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = data_folder() / "benchmarks" / "published" if folder is None else folder

    @cached_property
    def sources(self) -> dict[str, Publication]:
        """Sources by name, in the order of the file.

        Raises:
            InputError: the file is missing.
        """
        file = self.folder / "sources.yaml"
        if not file.is_file():
            raise InputError(f"{file}: is missing; it names the sources of the published figures.")
        content = yaml.safe_load(file.read_text(encoding="utf-8"))["papers"]
        return {
            name: Publication(
                name=name, title=own["title"], citation=own.get("citation", ""), address=own.get("address", ""),
                differs=tuple(own.get("differs", ())), tables=own["tables"], rules=tuple(own["rules"]),
                partners=own.get("partners", {}), metrics=own.get("metrics", {}),
            )
            for name, own in content.items()
        }  # fmt: skip

    def rows(self, source: str) -> list[Printed]:
        """The figures of a source, in the order of its file.

        Raises:
            InputError: a column is missing, or a row names a table that the source does not state.
        """
        file = self.folder / f"{source}.csv"
        reader = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")))
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise InputError(f"{file}:1: got the columns {', '.join(reader.fieldnames or ())}; expected "
                             f"{', '.join(COLUMNS)}.")  # fmt: skip
        rows = [Printed(**row) for row in reader]
        unknown = sorted({row.table for row in rows} - self.sources[source].tables.keys())
        if unknown:
            raise InputError(f"{file}: table {unknown[0]} is not named in sources.yaml.")
        return rows

    def tables(self, source: str) -> Iterator[tuple[str, list[Printed]]]:
        """The tables of a source with their rows, in the order of sources.yaml."""
        rows = self.rows(source)
        for table in self.sources[source].tables:
            yield table, [row for row in rows if row.table == table]


class Shelf:
    """Records in which printed figures are looked up."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._found: dict[tuple[Any, ...], list[Record]] = {}
        for record in newest_of_cells(records):
            cell = record.cell
            if record.submitted or cell.overrides or cell.recipe not in _RECIPES or cell.budget is not None:
                continue
            place = (cell.method, str(Pair.parse(cell.pair)), cell.protocol, cell.unlabeled_budget)
            self._found.setdefault(place, []).append(record)

    def match(self, row: Printed, source: Publication) -> Match:
        """What is known here about a printed figure."""
        rule = source.rule(row)
        if rule is None:
            return Match("no verifiable source")
        if "state" in rule:
            return Match(rule["state"], command=rule.get("command", "").format(test=row.test))
        ours = source.ours(row)
        differs = source.differences(row)
        name = source.metric(row)
        if ours is None or name is None:
            return Match("no verifiable source")
        for pair in ours.pairs:
            records = self._found.get((ours.method, pair, ours.protocol, ours.unlabeled_budget), [])
            runs = sorted((own for own in records if ours.dataset in own.results
                           and not own.uses_unofficial(ours.dataset)), key=lambda own: own.cell.seed)  # fmt: skip
            values = [_metric(own.results[ours.dataset], name) for own in runs]
            if runs and None not in values:
                return _reproduced(row, ours, runs, values, differs, name)
        return Match("runnable with data", ours, differs=differs, command=_command(ours))


def _reproduced(row: Printed, ours: Ours, runs: Sequence[Record], values: Sequence[float | None],
                differs: tuple[str, ...], name: str) -> Match:  # fmt: skip
    protocol = runs[0].facts.protocol
    stat = summarise(values, protocol.aggregate)
    lo, hi = _interval(runs, ours.dataset, name, stat)
    more = list(differs)
    if len(runs) < protocol.repeats:
        more.append(f"{len(runs)} of {protocol.repeats} repeats are on record.")
    if row.aggregate and row.aggregate != protocol.aggregate:
        more.append(f"The paper prints the {row.aggregate}, here it is the {protocol.aggregate}.")
    if name == "plcc_mapped":
        raw = summarise([_metric(own.results[ours.dataset], "plcc_raw") for own in runs], protocol.aggregate).value
        if raw is not None:
            more.append(f"Without a fit before it, our PLCC is {raw:.3f}.")
    if len(runs) > 1 and protocol.aggregate == "median":
        more.append("No interval: random splits share training images, and the correction for that is one of means.")
    skipped = sum(own.results[ours.dataset].dataset.skipped for own in runs)
    if skipped:
        more.append(f"{skipped} unreadable images were skipped.")
    return Match("reproduced", ours, stat, lo, hi, tuple(runs), tuple(more), _command(ours))


def _interval(runs: Sequence[Record], dataset: str, name: str, stat: Stat) -> tuple[float | None, float | None]:
    """Over random splits that of the corrected t distribution around a mean; of one run the stored one."""
    if len(runs) == 1:
        stored = (runs[0].results[dataset].metrics.intervals or {}).get(name)
        return (None, None) if stored is None else (stored.lo, stored.hi)
    share = drawn_share(runs[0], dataset)
    values = [value for run in runs if (value := _metric(run.results[dataset], name)) is not None]
    if share is None or stat.value is None or runs[0].facts.protocol.aggregate != "mean":
        return None, None
    from ssliqa_bench.evaluation.comparisons import compare_splits, mean_correlation  # brings scipy

    if name in CORRELATIONS:
        return mean_correlation(values, share) or (None, None)
    found = compare_splits(values, share)
    return found.lo, found.hi


def _metric(result: DatasetResult, name: str) -> float | None:
    value = result.metrics.extra.get(name) if name in result.metrics.extra else getattr(result.metrics, name, None)
    return None if value is None else float(value)


def _command(ours: Ours) -> str:
    budget = "" if ours.unlabeled_budget is None else f" --unlabeled-budget {ours.unlabeled_budget}"
    return f"ssliqa-bench run --method {ours.method} --pair {ours.pairs[0]} --protocol {ours.protocol}{budget}"


def _method(row: Printed, given: Mapping[str, Any]) -> str:
    method = given["method"]
    return str(method if isinstance(method, str) else method[getattr(row, given["by"])])


def _has_method(row: Printed, rule: Mapping[str, Any]) -> bool:
    """Whether a rule that distinguishes methods knows the row's."""
    given = rule.get("ours")
    return given is None or isinstance(given["method"], str) or getattr(row, given["by"]) in given["method"]


def _fits(row: Printed, where: Mapping[str, Any]) -> bool:
    return all(getattr(row, name) in (wanted if isinstance(wanted, list) else [wanted])
               for name, wanted in where.items())  # fmt: skip
