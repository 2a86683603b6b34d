"""The table of columns: name, how to compute, how to print. A new column of the boards is a row of `COLUMNS`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ssliqa_bench.errors import CheckError
from ssliqa_bench.evaluation import names
from ssliqa_bench.leaderboard.bar import PROBE, Reason
from ssliqa_bench.leaderboard.collect import Reference, Row, SettingRows
from ssliqa_bench.leaderboard.compare import (
    NOTHING,
    Stat,
    change_over_stages,
    find_reference,
    name_seeds,
    over_seeds,
    paired_gain,
    summarise,
)
from ssliqa_bench.leaderboard.labels_only import labels_only_above, not_valid, uses_unlabeled
from ssliqa_bench.leaderboard.page import Cell, CodeText, Mark, Number, Part, Phrase, phrase
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.store.record import ClassFacts, Record

TableName = Literal["main", "gain", "detail", "classes", "cost", "data"]
OVER_RUNS: tuple[Part, ...] = ("value", "spread", "n")
_NO_GAIN: Mapping[Reason, Phrase] = {
    "below": phrase("training on labels alone does not reach ", CodeText(PROBE), " here; no gain is shown"),
    "unknown": phrase("training on labels alone is not known to reach ", CodeText(PROBE), " here; no gain is shown"),
}
WITH_INTERVAL: tuple[Part, ...] = (*OVER_RUNS, "lo", "hi")


@dataclass(frozen=True)
class CellPlace:
    """Where a cell is; `dataset` is empty in columns that have one cell per row."""

    view: SectionView
    row: Row
    dataset: str = ""


@dataclass(frozen=True)
class Measure:
    """One column of the boards.

    Attributes:
        name: column name in flat tables.
        header: heading for people; may hold {dataset} and {side}. Empty: it is in flat tables only.
        table: the table of a section that it belongs to; all but "main" and "cost" are one per dataset.
        show: how a number is printed, a name in `numbers.SHOW`.
        sides: sides it has a cell for; empty for one cell per row.
        best: which end is best, marked among ranked rows.
        parts: what flat tables hold of a number over runs.
        cost: left out by --no-cost.
        text: the cells are words, not numbers.
    """

    name: str
    header: str
    table: TableName
    compute: Callable[[CellPlace], Cell]
    show: str = "decimals"
    sides: tuple[str, ...] = ("labeled", "unlabeled", "external")
    best: Literal["high", "low"] | None = None
    parts: tuple[Part, ...] = OVER_RUNS
    cost: bool = False
    text: bool = False

    def cell(self, place: CellPlace) -> Cell:
        """The cell of a place, with its number printed as the column says."""
        found = self.compute(place)
        if isinstance(found.value, Number):
            return replace(found, value=replace(found.value, show=self.show))
        return found


def _number(row: Row, stat: Stat, lo: float | None = None, hi: float | None = None) -> Number:
    return Number(stat.value, spread=stat.spread, lo=lo, hi=hi, n=stat.n, median=row.aggregate == "median")


def _metric(name: str, title: str) -> Callable[[CellPlace], Cell]:
    def compute(place: CellPlace) -> Cell:
        row, dataset = place.row, place.dataset
        tested = row.tested(dataset)
        notes = _tested_notes(row, dataset)
        undefined = [seed for seed in tested if row.metric(seed, dataset, name) is None]
        if undefined:
            notes.append(phrase(f"{title} undefined on {dataset} in {len(undefined)} of {len(tested)} runs"))
        if name in ("plcc_mapped", "rmse_mapped"):
            notes += _mapping_notes(row, dataset)
        span = place.view.span(row, dataset) if name == "srcc" else None
        ends = (None, None) if span is None else (span.lo, span.hi)
        return Cell(_number(row, over_seeds(row, dataset, name), *ends), _mark(row, dataset), tuple(notes))

    return compute


def _within_parts(place: CellPlace) -> Cell:
    row, dataset = place.row, place.dataset
    if not ranked_within_parts(row, dataset):
        return Cell(Number(None))
    values = [row.ranked_by(seed, dataset) for seed in row.tested(dataset)]
    notes = _tested_notes(row, dataset)
    if missing := sum(value is None for value in values):
        notes.append(phrase(f"SRCC within parts undefined on {dataset} in {missing} of {len(values)} runs"))
    span = place.view.ranked_span(row, dataset)
    ends = (None, None) if span is None else (span.lo, span.hi)
    return Cell(_number(row, summarise(values, row.aggregate), *ends), _mark(row, dataset), tuple(notes))


def ranked_within_parts(row: Row, dataset: str) -> bool:
    """Whether results on a dataset are ranked by the SRCC within its parts."""
    return any(row.runs[seed].results[dataset].dataset.rank_by != "srcc" for seed in row.tested(dataset))


def ranking_measure(section: SettingRows, dataset: str) -> str:
    """Name of the column that decides the order of rows on a dataset."""
    return "srcc_within_parts" if any(ranked_within_parts(row, dataset) for row in section.rows) else "srcc"


def _tested_notes(row: Row, dataset: str) -> list[Phrase]:
    tested = row.tested(dataset)
    if not tested or len(tested) == len(row.seeds):
        return []
    return [phrase(f"tested on {dataset} in {len(tested)} of {len(row.seeds)} runs ({name_seeds(tested)})")]


def _mark(row: Row, dataset: str) -> str:
    """Why a value does not compete with the others of its column."""
    if not row.tested(dataset):
        return ""
    if dataset in row.outdated:
        return "outdated"
    return "unofficial" if dataset in row.unofficial else "seen" if row.has_seen(dataset) else ""


def _asked(read: Callable[[Record, str], float | None]) -> Callable[[CellPlace], Cell]:
    """What only some protocols ask for; undefined where a run does not have it."""

    def compute(place: CellPlace) -> Cell:
        row, dataset = place.row, place.dataset
        stat = summarise([read(row.runs[seed], dataset) for seed in row.tested(dataset)], row.aggregate)
        return Cell(_number(row, stat), _mark(row, dataset), tuple(_tested_notes(row, dataset)))

    return compute


def _extra(name: str) -> Callable[[CellPlace], Cell]:
    return _asked(lambda run, dataset: run.results[dataset].metrics.extra.get(name))


def class_facts(run: Record, dataset: str) -> ClassFacts | None:
    """What a run states about a dataset class by class; None where its protocol sees no classes."""
    return run.results[dataset].classes


def _class_error(number: int) -> Callable[[CellPlace], Cell]:
    def read(run: Record, dataset: str) -> float | None:
        told = class_facts(run, dataset)
        errors = None if told is None else told.error
        return errors[number] if errors is not None and number < len(errors) else None

    return _asked(read)


def _noise(field: Literal["limit", "rmse_star"]) -> Callable[[CellPlace], Cell]:
    def read(run: Record, dataset: str) -> float | None:
        noise = run.results[dataset].metrics.noise
        return None if noise is None else noise.limit if field == "limit" else noise.rmse_star

    return _asked(read)


def _mapping_notes(row: Row, dataset: str) -> list[Phrase]:
    statuses = Counter(row.runs[seed].results[dataset].metrics.mapping for seed in row.tested(dataset))
    total = sum(statuses.values())
    return [
        phrase("mapping ", Mark(status), f" in {number} of {total} run{'s' if total > 1 else ''}")
        for status, number in sorted(statuses.items())
        if status not in ("ok", "none")
    ]


def _gain(place: CellPlace) -> Cell:
    row, dataset, view = place.row, place.dataset, place.view
    paired = paired_gain(row, view.section.rows, dataset, "comparator")
    reason = view.without_gain(row)
    if reason is not None and row.reference is None and paired.stat.value is not None:
        return Cell(Number(None), notes=(_NO_GAIN[reason],))
    found = view.verdict(row, dataset)
    ends = (None, None) if found is None else (found.comparison.lo, found.comparison.hi)
    return Cell(_number(row, paired.stat, *ends), notes=paired.notes)


def _over_best(place: CellPlace) -> Cell:
    found = place.view.over_best(place.row, place.dataset)
    if found is None:
        return Cell(Number(None))
    if (reason := place.view.without_gain(place.row)) is not None:
        return Cell(Number(None), notes=(_NO_GAIN[reason],))
    return Cell(_number(place.row, found.paired.stat, found.lo, found.hi), notes=found.paired.notes)


def _best_labels_only(place: CellPlace) -> Cell:
    best = place.view.best_labels_only(place.row) if uses_unlabeled(place.row) else None
    if best is None:
        return Cell()
    changed = "".join(f", {name}={value}" for name, value in sorted(best.row.overrides.items()))
    return Cell(phrase(CodeText(best.row.method), f" ({best.row.recipe}{changed})"))


def _to_oracle(place: CellPlace) -> Cell:
    row, dataset, section = place.row, place.dataset, place.view.section
    paired = paired_gain(row, section.rows, dataset, "oracle")
    above = None if paired.reference is None else labels_only_above(paired.reference, section, dataset)
    if above is not None and paired.reference is not None:
        names = phrase(CodeText(paired.reference.method), " is below ", CodeText(above.method))
        return Cell(Number(None), notes=(phrase(Mark(not_valid(dataset)), ": ", names, " there"),))
    return Cell(_number(row, paired.stat), notes=paired.notes)


def _reference(kind: Reference) -> Callable[[CellPlace], Cell]:
    def compute(place: CellPlace) -> Cell:
        row, rows = place.row, place.view.section.rows
        reference = None if row.reference == kind else find_reference(row, rows, kind)
        return Cell(None if reference is None else phrase(CodeText(reference.method)))

    return compute


def _p(place: CellPlace) -> Cell:
    found = place.view.verdict(place.row, place.dataset)
    return Cell(Number(None if found is None else found.comparison.p))


def _losses(place: CellPlace) -> Cell:
    found = place.view.verdict(place.row, place.dataset)
    return Cell(None if found is None else phrase(f"{found.losses} of {found.comparison.n}"))


def _worst(place: CellPlace) -> Cell:
    found = place.view.verdict(place.row, place.dataset)
    if found is None:
        return Cell(Number(None))
    value, seed = found.worst
    return Cell(Number(value), f"seed {seed}")


def _worst_seed(place: CellPlace) -> Cell:
    found = place.view.verdict(place.row, place.dataset)
    return Cell(Number(None if found is None else found.worst[1]))


def _verdict(place: CellPlace) -> Cell:
    found = place.view.verdict(place.row, place.dataset)
    return Cell(None if found is None else phrase(found.comparison.verdict))


def _change(place: CellPlace) -> Cell:
    side = place.view.sides[place.dataset]
    stat = change_over_stages(place.row, place.dataset) if side == "labeled" else NOTHING
    return Cell(_number(place.row, stat))


def _fact(*path: str) -> Callable[[CellPlace], Cell]:
    """A fact of the runs themselves: always the mean."""

    def read(run: Record) -> float | None:
        if run.submitted:  # the cost of submitted predictions was not measured here
            return None
        value: Any = run.facts
        for part in path:
            value = getattr(value, part)
        return value if value is None else float(value)

    def compute(place: CellPlace) -> Cell:
        value = summarise([read(place.row.runs[seed]) for seed in place.row.seeds], "mean").value
        return Cell(Number(int(value) if value is not None and value.is_integer() else value))

    return compute


def _training_rate(place: CellPlace) -> Cell:
    return Cell(Number(place.row.images_per_second))


def _device(place: CellPlace) -> Cell:
    return Cell(phrase(CodeText(", ".join(sorted({run.facts.device for run in place.row.runs.values()})))))


COLUMNS: tuple[Measure, ...] = (
    Measure("srcc", "SRCC {dataset} ({side})", "main", _metric("srcc", "SRCC"), best="high", parts=WITH_INTERVAL),
    Measure("comparator", "Comparator", "gain", _reference("comparator"), sides=(), text=True),
    Measure("gain", "Gain", "gain", _gain, "signed", parts=WITH_INTERVAL),
    Measure("p", "p", "gain", _p, "probability", parts=("value",)),
    Measure("losses", "Losses", "gain", _losses, text=True),
    Measure("worst", "Worst split", "gain", _worst, "signed", parts=("value",)),
    Measure("worst_seed", "", "gain", _worst_seed, "count", parts=("value",)),
    Measure("verdict", "Verdict", "gain", _verdict, text=True),
    Measure("oracle", "", "gain", _reference("oracle"), sides=(), text=True),
    Measure("to_oracle", "To oracle", "gain", _to_oracle, "signed"),
    Measure("best_labels_only", "", "gain", _best_labels_only, sides=(), text=True),
    Measure("over_best", "Over best labels-only", "gain", _over_best, "signed", parts=WITH_INTERVAL),
    Measure("plcc_mapped", "PLCC", "detail", _metric("plcc_mapped", "PLCC"), best="high"),
    Measure("plcc_raw", "PLCC raw", "detail", _metric("plcc_raw", "PLCC raw"), best="high"),
    Measure("krcc", "KRCC", "detail", _metric("krcc", "KRCC"), best="high"),
    Measure("rmse_mapped", "RMSE", "detail", _metric("rmse_mapped", "RMSE"), best="low"),
    Measure("change", "Change", "detail", _change, "signed", sides=("labeled",)),
    Measure("n_parameters", "Parameters", "cost", _fact("n_parameters"), "count", sides=(), cost=True),
    Measure("steps", "Steps", "cost", _fact("steps"), "count", sides=(), cost=True),
    Measure("images_per_second", "Images/s", "cost", _training_rate, "count", sides=(), cost=True),
    Measure("seconds", "Training (s)", "cost", _fact("seconds", "train"), "tenths", sides=(), cost=True),
    Measure("peak_memory_bytes", "Memory (MiB)", "cost", _fact("peak_memory_bytes"), "mebibytes", sides=(), cost=True),
    Measure("device", "Device", "cost", _device, sides=(), cost=True, text=True),
)

# Of datasets that are ranked so.
_WITHIN = Measure("srcc_within_parts", "SRCC within parts, {dataset} ({side})", "main", _within_parts, best="high",
                  parts=WITH_INTERVAL)  # fmt: skip

# Metrics that a protocol may ask for; a board has those that a record of it holds.
_EXTRA: tuple[Measure, ...] = (
    Measure("mae_mapped", "MAE mapped", "detail", _extra("mae_mapped"), best="low"),
    Measure("main_score", "SRCC + PLCC", "detail", _extra("main_score"), best="high"),
    Measure("rmse_raw", "RMSE raw", "detail", _extra("rmse_raw"), best="low"),
    Measure("accuracy", "Accuracy", "classes", _extra("accuracy"), best="high"),
    Measure("kappa_quadratic", "Kappa", "classes", _extra("kappa_quadratic"), best="high"),
    Measure("mae_argmax", "MAE", "classes", _extra("mae_argmax"), best="low"),
    Measure("mae_3", "MAE 3", "classes", _extra("mae_3"), best="low"),
    Measure("mae_4", "MAE 4", "classes", _extra("mae_4"), best="low"),
    Measure("mae_34", "MAE 3, 4", "classes", _extra("mae_34"), best="low"),
    Measure("mae_macro", "MAE macro", "classes", _extra("mae_macro"), best="low"),
    Measure("mae_expect", "MAE expected", "classes", _extra("mae_expect"), best="low"),
    Measure("mae_cont", "MAE continuous", "classes", _extra("mae_cont"), best="low"),
    Measure("mae_mos", "MAE score", "classes", _extra("mae_mos"), best="low"),
)

# What records hold of the noise of ratings, where these are known.
_NOISE: tuple[Measure, ...] = (
    Measure("rmse_star", "RMSE*", "detail", _noise("rmse_star"), best="low"),
    Measure("noise_limit", "", "detail", _noise("limit")),
)


def require_columns(metrics: Iterable[str], where: str) -> None:
    """Refuse a metric that no column shows: a record would hold it, and no board would print it.

    Raises:
        CheckError: names the metrics; `where` says what holds them.
    """
    missing = sorted(set(metrics) - {column.name for column in (*COLUMNS, _WITHIN, *_EXTRA, *_NOISE)})
    if missing:
        raise CheckError(
            f"{where}: no column of the boards shows {', '.join(missing)}. Add a row to leaderboard/columns.py."
        )


require_columns((*names.ALWAYS, *names.FURTHER, *names.OF_NOISE, *names.OF_CLASSES), "evaluation/names.py")


def columns_of(sections: Iterable[SettingRows]) -> tuple[Measure, ...]:
    """`COLUMNS`, and behind them what the records of some sections hold because their protocol asks for it: further
    metrics, what is known of the noise of ratings, and the error of each class.

    Raises:
        CheckError: a record holds a metric that no column shows.
    """
    held, levels, noise, within = set[str](), 0, False, False
    for run in (run for section in sections for row in section.rows for run in row.runs.values()):
        for result in run.results.values():
            held.update(result.metrics.extra)
            noise = noise or result.metrics.noise is not None
            within = within or result.dataset.rank_by != "srcc"
            levels = max(levels, 0 if result.classes is None else result.classes.levels)
    require_columns(held, "The records of these boards")
    by_class = (
        Measure(f"error_class_{k}", f"Class {k}", "classes", _class_error(k), best="low") for k in range(levels)
    )
    main = (_WITHIN, *COLUMNS) if within else COLUMNS
    return (*main, *(_NOISE if noise else ()), *(own for own in _EXTRA if own.name in held), *by_class)
