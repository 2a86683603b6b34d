"""The table of columns: name, how to compute, how to print. A new column of the boards is a row of `COLUMNS`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ssliqa_bench.errors import CheckError
from ssliqa_bench.evaluation import names
from ssliqa_bench.leaderboard.collect import Reference, Row, Section
from ssliqa_bench.leaderboard.compare import (
    Stat,
    change_over_stages,
    find_reference,
    name_seeds,
    over_seeds,
    paired_gain,
    summarise,
)
from ssliqa_bench.store.record import ClassFacts, Record

MISSING = "–"

TableName = Literal["main", "gain", "detail", "classes", "cost"]


@dataclass(frozen=True)
class Place:
    """Where a cell stands; `dataset` is empty in columns that have one cell per row."""

    section: Section
    row: Row
    dataset: str = ""


@dataclass(frozen=True)
class Cell:
    """A number over seeds or a text, with sentences for the footnotes and a word printed beside the value."""

    value: Stat | str
    notes: tuple[str, ...] = ()
    mark: str = ""

    @property
    def number(self) -> float | None:
        """The value of a number; None for a text and where it is undefined."""
        return None if isinstance(self.value, str) else self.value.value


def decimals(value: float) -> str:
    """Three decimals; a value that rounds to zero has no sign."""
    return f"{round(value, 3) + 0.0:.3f}"


def signed(value: float) -> str:
    """Three decimals with the sign always printed."""
    return f"{round(value, 3) + 0.0:+.3f}"


def count(value: float) -> str:
    """An integer with a comma every three digits."""
    return f"{round(value):,}"


def tenths(value: float) -> str:
    """One decimal."""
    return f"{value:.1f}"


def mebibytes(value: float) -> str:
    """Bytes as whole MiB."""
    return count(value / 2**20)


@dataclass(frozen=True)
class Column:
    """One column of the boards.

    Attributes:
        name: column name in CSV; a Stat adds NAME_spread and NAME_n.
        header: heading in Markdown; may hold {dataset} and {side}. Empty: the column stands in CSV only.
        table: the Markdown table of a section it stands in; "detail" and "classes" tables are one per dataset.
        show: prints a number.
        sides: sides it has a cell for; empty for one cell per row.
        best: which end is best, printed bold among ranked rows.
        cost: left out by --no-cost.
        text: the cells are names, not numbers.
    """

    name: str
    header: str
    table: TableName
    compute: Callable[[Place], Cell]
    show: Callable[[float], str] = decimals
    sides: tuple[str, ...] = ("labeled", "unlabeled", "external")
    best: Literal["high", "low"] | None = None
    cost: bool = False
    text: bool = False


def _metric(name: str, title: str) -> Callable[[Place], Cell]:
    def compute(place: Place) -> Cell:
        row, dataset = place.row, place.dataset
        tested = row.tested(dataset)
        notes = _tested_notes(row, dataset)
        undefined = [seed for seed in tested if row.metric(seed, dataset, name) is None]
        if undefined:
            notes.append(f"{title} undefined on {dataset} in {len(undefined)} of {len(tested)} runs")
        if name in ("plcc_mapped", "rmse_mapped"):
            notes += _mapping_notes(row, dataset)
        return Cell(over_seeds(row, dataset, name), tuple(notes), _mark(row, dataset))

    return compute


def _tested_notes(row: Row, dataset: str) -> list[str]:
    tested = row.tested(dataset)
    if not tested or len(tested) == len(row.seeds):
        return []
    return [f"tested on {dataset} in {len(tested)} of {len(row.seeds)} runs ({name_seeds(tested)})"]


def _mark(row: Row, dataset: str) -> str:
    """Why a value does not compete with the others of its column."""
    if not row.tested(dataset):
        return ""
    return "outdated" if dataset in row.outdated else "seen" if row.has_seen(dataset) else ""


def _asked(read: Callable[[Record, str], float | None]) -> Callable[[Place], Cell]:
    """What only some protocols ask for; undefined where a run does not have it."""

    def compute(place: Place) -> Cell:
        row, dataset = place.row, place.dataset
        stat = summarise([read(row.runs[seed], dataset) for seed in row.tested(dataset)], row.aggregate)
        return Cell(stat, tuple(_tested_notes(row, dataset)), _mark(row, dataset))

    return compute


def _extra(name: str) -> Callable[[Place], Cell]:
    return _asked(lambda run, dataset: run.results[dataset].metrics.extra.get(name))


def class_facts(run: Record, dataset: str) -> ClassFacts | None:
    """What a run states about a dataset class by class; None where its protocol sees no classes."""
    return run.results[dataset].classes


def _class_error(number: int) -> Callable[[Place], Cell]:
    def read(run: Record, dataset: str) -> float | None:
        told = class_facts(run, dataset)
        errors = None if told is None else told.error
        return errors[number] if errors is not None and number < len(errors) else None

    return _asked(read)


def _mapping_notes(row: Row, dataset: str) -> list[str]:
    statuses = Counter(row.runs[seed].results[dataset].metrics.mapping for seed in row.tested(dataset))
    total = sum(statuses.values())
    return [
        f"mapping *{status}* in {number} of {total} run{'s' if total > 1 else ''}"
        for status, number in sorted(statuses.items())
        if status not in ("ok", "none")
    ]


def _gain(kind: Reference) -> Callable[[Place], Cell]:
    def compute(place: Place) -> Cell:
        paired = paired_gain(place.row, place.section.rows, place.dataset, kind)
        return Cell(paired.stat, paired.notes)

    return compute


def _reference(kind: Reference) -> Callable[[Place], Cell]:
    def compute(place: Place) -> Cell:
        reference = None if place.row.reference == kind else find_reference(place.row, place.section.rows, kind)
        return Cell("" if reference is None else reference.method)

    return compute


def _change(place: Place) -> Cell:
    return Cell(change_over_stages(place.row, place.dataset))


def _fact(*path: str) -> Callable[[Place], Cell]:
    """A fact of the runs themselves: always the mean."""

    def read(run: Record) -> float | None:
        value: Any = run.facts
        for part in path:
            value = getattr(value, part)
        return value if value is None else float(value)

    def compute(place: Place) -> Cell:
        stat = summarise([read(place.row.runs[seed]) for seed in place.row.seeds], "mean")
        return Cell(Stat(stat.value, None, stat.n))

    return compute


def _device(place: Place) -> Cell:
    return Cell(", ".join(sorted({run.facts.device for run in place.row.runs.values()})))


COLUMNS: tuple[Column, ...] = (
    Column("srcc", "SRCC {dataset} ({side})", "main", _metric("srcc", "SRCC"), best="high"),
    Column("comparator", "Comparator", "gain", _reference("comparator"), sides=(), text=True),
    Column("gain", "Gain {dataset}", "gain", _gain("comparator"), signed),
    Column("oracle", "", "gain", _reference("oracle"), sides=(), text=True),
    Column("to_oracle", "To oracle {dataset}", "gain", _gain("oracle"), signed),
    Column("change", "Change {dataset}", "gain", _change, signed, sides=("labeled",)),
    Column("plcc_mapped", "PLCC", "detail", _metric("plcc_mapped", "PLCC"), best="high"),
    Column("plcc_raw", "PLCC raw", "detail", _metric("plcc_raw", "PLCC raw"), best="high"),
    Column("krcc", "KRCC", "detail", _metric("krcc", "KRCC"), best="high"),
    Column("rmse_mapped", "RMSE", "detail", _metric("rmse_mapped", "RMSE"), best="low"),
    Column("n_parameters", "Parameters", "cost", _fact("n_parameters"), count, sides=(), cost=True),
    Column("steps", "Steps", "cost", _fact("steps"), count, sides=(), cost=True),
    Column("seconds", "Training (s)", "cost", _fact("seconds", "train"), tenths, sides=(), cost=True),
    Column("peak_memory_bytes", "Memory (MiB)", "cost", _fact("peak_memory_bytes"), mebibytes, sides=(), cost=True),
    Column("device", "Device", "cost", _device, sides=(), cost=True, text=True),
)

# Metrics that a protocol may ask for; a board has those that a record of it holds.
_EXTRA: tuple[Column, ...] = (
    Column("mae_mapped", "MAE mapped", "detail", _extra("mae_mapped"), best="low"),
    Column("main_score", "SRCC + PLCC", "detail", _extra("main_score"), best="high"),
    Column("rmse_raw", "RMSE raw", "detail", _extra("rmse_raw"), best="low"),
    Column("accuracy", "Accuracy", "classes", _extra("accuracy"), best="high"),
    Column("kappa_quadratic", "Kappa", "classes", _extra("kappa_quadratic"), best="high"),
    Column("mae_argmax", "MAE", "classes", _extra("mae_argmax"), best="low"),
    Column("mae_3", "MAE 3", "classes", _extra("mae_3"), best="low"),
    Column("mae_4", "MAE 4", "classes", _extra("mae_4"), best="low"),
    Column("mae_34", "MAE 3, 4", "classes", _extra("mae_34"), best="low"),
    Column("mae_macro", "MAE macro", "classes", _extra("mae_macro"), best="low"),
    Column("mae_expect", "MAE expected", "classes", _extra("mae_expect"), best="low"),
    Column("mae_cont", "MAE continuous", "classes", _extra("mae_cont"), best="low"),
    Column("mae_mos", "MAE score", "classes", _extra("mae_mos"), best="low"),
)


def require_columns(metrics: Iterable[str], where: str) -> None:
    """Refuse a metric that no column shows: a record would hold it, and no board would print it.

    Raises:
        CheckError: names the metrics; `where` says what holds them.
    """
    missing = sorted(set(metrics) - {column.name for column in (*COLUMNS, *_EXTRA)})
    if missing:
        raise CheckError(
            f"{where}: no column of the boards shows {', '.join(missing)}. Add a row to leaderboard/columns.py."
        )


require_columns((*names.ALWAYS, *names.FURTHER, *names.OF_CLASSES), "evaluation/names.py")


def columns_of(sections: Iterable[Section]) -> tuple[Column, ...]:
    """`COLUMNS`, and behind them what the records of some sections hold because their protocol asks for it: further
    metrics, and the error of each class.

    Raises:
        CheckError: a record holds a metric that no column shows.
    """
    held, levels = set[str](), 0
    for run in (run for section in sections for row in section.rows for run in row.runs.values()):
        for result in run.results.values():
            held.update(result.metrics.extra)
            levels = max(levels, 0 if result.classes is None else result.classes.levels)
    require_columns(held, "The records of these boards")
    by_class = (Column(f"error_class_{k}", f"Class {k}", "classes", _class_error(k), best="low") for k in range(levels))
    return (*COLUMNS, *(column for column in _EXTRA if column.name in held), *by_class)
