"""`evaluate`: all metrics of a file of scores and predictions, or of the predictions that a record holds."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation import names
from ssliqa_bench.evaluation.constants import MINIMUM_GROUPS, MOST_RESAMPLES, RESAMPLES
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.evaluation.inputs import ScoreTable
    from ssliqa_bench.store.predictions import Predictions

_EXPECTED = "a table with the columns score and prediction, or the key of a record"
_KEY = re.compile(r"[0-9a-f]{4,64}")
_COLUMNS = ("dataset", "image", "role", "score", "prediction")

# A file of more bytes, and draws of more seconds, are announced on standard error.
_LARGE = 1_000_000
_PATIENCE = 2.0
_ABOUT_STATUS = {
    "ok": "the curve asked for",
    "linear": "a straight line fits as well or better",
    "step": "the best curve is a step",
    "exponential": "the best curve has one bend",
    "flat": "no increasing curve beats the constant; RMSE is the standard deviation of the scores",
    "none": "nothing was fitted",
}
_ABOUT_METRIC = (
    f"A further metric: {', '.join(names.FURTHER)}; where both columns hold classes (0 the worst, 1, 2, …) also "
    f"{', '.join(names.OF_CLASS_PAIRS)}. May be given several times."
)


def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN",
            help="Table with the columns score and prediction: CSV, Excel workbook, JSON or Parquet. Or the first "
            "digits of a record's key, or its folder: its stored predictions, dataset by dataset.",
        ),
    ],
    mapping: Annotated[
        str, typer.Option(help="Fitted before PLCC and RMSE: logistic4, logistic5, linear or none.")
    ] = "logistic4",
    metric: Annotated[list[str] | None, typer.Option(help=_ABOUT_METRIC)] = None,
    bootstrap: Annotated[
        int,
        typer.Option(min=0, max=MOST_RESAMPLES, help="Draws for the 95 % intervals; 0 = no intervals."),
    ] = RESAMPLES,
    seed: Annotated[
        int, typer.Option("--seed", min=0, callback=options.seed_in_bounds, help="Seed of the draws.")
    ] = 0,
    separator: options.Separator = "",
    group: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="Column with what belongs together, such as the photograph: intervals draw "
                     "whole groups. Without, the column group if there is one, else every image is its own."),
    ] = "",
    store: options.Store = options.DEFAULT_STORE,
    write: Annotated[
        Path | None,
        typer.Option("--write", parser=options.output_file("--write"), metavar="FILE", help="Also write the "
                     "predictions of a record beside the scores: CSV with the columns dataset, image, role, score and "
                     "prediction.", rich_help_panel=options.OUTPUT),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compute SRCC, KRCC, PLCC and RMSE with the mapping's status, and intervals.

    Higher must mean better in both columns. Other columns are ignored. --json prints one object for a file, and one
    for each dataset of a record.
    """
    recorded = _recorded(source, store)
    if recorded is None:
        if write is not None:
            raise InputError(f"--write: {source} is a file; expected the key of a record.")
        tables = {Path(source).name: _read(source, separator, group)}
    else:
        rows = dict(_predictions(*recorded))
        tables = {dataset: _table(own, group) for dataset, own in rows.items()}
        if write is not None:
            _write(write, rows)
    found = {
        name: _metrics(name, table, mapping, tuple(metric or ()), bootstrap, seed) for name, table in tables.items()
    }
    if as_json:
        from ssliqa_bench.cli.output import print_json

        print_json(found if recorded else next(iter(found.values())))
        return
    for name, metrics in found.items():
        groups = tables[name].groups
        _print_table(name, metrics, metrics["n"] if groups is None else len(set(groups)))


def _recorded(source: str, store: Path) -> tuple[Path, str] | None:
    """Store and key of the record that is meant; None where a file is.

    A record's folder means the record, and so does a name in that folder that is no file: a pattern for the files of
    predictions, which lie one folder further down.
    """
    if os.path.isfile(source):
        return None
    for folder in (Path(source), Path(source).parent):
        if os.path.isfile(folder / "facts.json"):
            place = folder.absolute()
            return place.parents[1], place.name
    if _KEY.fullmatch(source) and not os.path.exists(source):
        from ssliqa_bench.store.records import find_record

        return store, find_record(store, source)
    return None


def _read(source: str, separator: str, group: str) -> ScoreTable:
    from ssliqa_bench.evaluation.inputs import read_score_table

    file = options.input_file("", _EXPECTED)(source)
    if (size := file.stat().st_size) > _LARGE:
        typer.echo(f"{file.name}: reading {size / 1e6:,.1f} MB", err=True)
    return read_score_table(file, options.read_separator(separator), group=group)


def _predictions(store: Path, key: str) -> Iterator[tuple[str, Predictions]]:
    """The stored predictions of a record, dataset by dataset."""
    from ssliqa_bench.store.records import read_predictions, read_record

    for dataset in read_record(store, key).results:
        rows = read_predictions(store, key, dataset)
        if any(score is None or math.isnan(score) for score in rows.score):
            raise InputError(
                f"Record {key[:12]}: scores of {dataset} are not in the store, because its terms forbid "
                f"redistribution. \"ssliqa-bench store ls --store {store} --json\" shows its metrics."
            )
        yield dataset, rows


def _table(rows: Predictions, group: str) -> ScoreTable:
    import numpy as np

    from ssliqa_bench.evaluation.inputs import ScoreTable

    groups: Sequence[Any] | None = getattr(rows, group or "group", None)
    if group and groups is None:
        raise InputError(f'--group: the record has no column "{group}"; it has a column group.')
    named = None if groups is None else [str(name) for name in groups]
    return ScoreTable(np.asarray(rows.prediction), np.asarray(rows.score, dtype=np.float64), named)


def _write(file: Path, rows: dict[str, Predictions]) -> None:
    from ssliqa_bench.files import write_text
    from ssliqa_bench.tabular.writer import csv_text

    cells = [
        (dataset, image, "test", repr(score), repr(prediction))
        for dataset, own in rows.items()
        for image, score, prediction in zip(own.image, own.score, own.prediction, strict=True)
    ]
    write_text(file, csv_text(cells, _COLUMNS))
    typer.echo(f"Wrote {printable(str(file))}: {len(cells):,} predictions", err=True)


def _metrics(
    name: str, table: ScoreTable, mapping: str, extra: tuple[str, ...], bootstrap: int, seed: int
) -> dict[str, Any]:
    """All metrics, with intervals where some are asked for."""
    from ssliqa_bench.evaluation.metrics import evaluate as compute
    from ssliqa_bench.evaluation.uncertainty import intervals
    from ssliqa_bench.runner.progress import counted

    metrics = compute(table.predictions, table.scores, mapping=mapping, extra=extra)
    if not bootstrap:
        return metrics
    with counted(f"{name}: intervals", "draws") as tell:
        started = time.monotonic()

        def progress(share: float) -> None:
            if time.monotonic() - started > _PATIENCE:
                tell(round(share * bootstrap), bootstrap)

        metrics["intervals"] = intervals(table.predictions, table.scores, table.groups, mapping=mapping, seed=seed,
                                         resamples=bootstrap, progress=progress)  # fmt: skip
    for metric, interval in metrics["intervals"].items():
        for end in ("lo", "hi"):
            metrics["extra"][f"{metric}_{end}"] = None if interval is None else interval[end]
    return metrics


def _print_table(name: str, metrics: dict[str, Any], groups: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    extra = dict(metrics["extra"])
    table = Table(title=Text(printable(f"{name}: {metrics['n']} images")), title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("95 % interval")
    for metric in names.ALWAYS:
        low, high = extra.pop(f"{metric}_lo", None), extra.pop(f"{metric}_hi", None)
        table.add_row(metric, _number(metrics[metric]), "" if low is None else f"{_number(low)} … {_number(high)}")
    for metric, value in extra.items():
        table.add_row(metric, _number(value), "")
    status = metrics["mapping"]
    console = Console()
    console.print(table)
    console.print(f"mapping: {status} ({_ABOUT_STATUS[status]})", highlight=False)
    if "intervals" in metrics:
        console.print(_about_intervals(metrics, groups), highlight=False)
    if metrics["srcc"] is not None and metrics["srcc"] < 0:
        console.print("The relation is negative: higher must mean better in both columns.", highlight=False)


def _about_intervals(metrics: dict[str, Any], groups: int) -> str:
    units = f"{groups:,} images" if groups == metrics["n"] else f"{groups:,} groups"
    if groups < MINIMUM_GROUPS:
        return f"intervals: none of {units}; {MINIMUM_GROUPS} are needed"
    given = next((interval for interval in metrics["intervals"].values() if interval is not None), None)
    if given is None:
        return "intervals: none, no value varies from draw to draw"
    if given["method"] == "influence":
        return f"intervals: from influence values of {units}, without draws"
    return f"intervals: {given['resamples']:,} draws of {units}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.4g}"


def register(app: typer.Typer) -> None:
    """Attach the command to the app."""
    app.command("evaluate")(evaluate)
