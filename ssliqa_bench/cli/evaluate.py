"""`evaluate`: all metrics of a CSV file of scores and predictions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.evaluation.constants import MINIMUM_GROUPS, MOST_RESAMPLES, RESAMPLES
from ssliqa_bench.text import printable

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
    "A further metric: mae_mapped, rmse_raw or main_score; where both columns hold classes (0 the worst, 1, 2, …) also "
    "accuracy, kappa_quadratic, mae_argmax, mae_macro, mae_3, mae_4 or mae_34. May be given several times."
)


def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            parser=options.input_file("", "a table with the columns score and prediction"),
            metavar="FILE",
            help="Table with the columns score and prediction: CSV, Excel workbook, JSON or Parquet.",
        ),
    ],
    mapping: Annotated[
        str, typer.Option(help="Fitted before PLCC and RMSE: logistic4, logistic5, linear or none.")
    ] = "logistic4",
    metric: Annotated[list[str] | None, typer.Option(help=_ABOUT_METRIC)] = None,
    bootstrap: Annotated[
        int,
        typer.Option(min=0, max=MOST_RESAMPLES, help="Draws behind the 95 % intervals; 0 leaves the intervals out."),
    ] = RESAMPLES,
    seed: Annotated[int, typer.Option("--seed", min=0, max=options.LARGEST_SEED, help="Seed of the draws.")] = 0,
    separator: options.Separator = "",
    group: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="Column with what belongs together, such as the photograph: intervals draw "
                     "whole groups. Without, the column group if there is one, else every image is its own."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compute SRCC, KRCC, PLCC and RMSE with the mapping's status, and intervals.

    Higher must mean better in both columns. Other columns are ignored.
    """
    from ssliqa_bench.evaluation.inputs import read_score_table
    from ssliqa_bench.evaluation.metrics import evaluate as compute
    from ssliqa_bench.evaluation.uncertainty import intervals
    from ssliqa_bench.runner.progress import counted

    if file.is_file() and (size := file.stat().st_size) > _LARGE:
        typer.echo(f"{file.name}: reading {size / 1e6:,.1f} MB", err=True)
    table = read_score_table(file, options.read_separator(separator), group=group)
    metrics = compute(table.predictions, table.scores, mapping=mapping, extra=tuple(metric or ()))
    if bootstrap:
        with counted(f"{file.name}: intervals", "draws") as tell:
            started = time.monotonic()

            def progress(share: float) -> None:
                if time.monotonic() - started > _PATIENCE:
                    tell(round(share * bootstrap), bootstrap)

            metrics["intervals"] = intervals(table.predictions, table.scores, table.groups, mapping=mapping, seed=seed,
                                             resamples=bootstrap, progress=progress)  # fmt: skip
        for name, interval in metrics["intervals"].items():
            for end in ("lo", "hi"):
                metrics["extra"][f"{name}_{end}"] = None if interval is None else interval[end]
    if as_json:
        import json

        typer.echo(json.dumps(metrics, indent=1, allow_nan=False))
    else:
        groups = metrics["n"] if table.groups is None else len(set(table.groups))
        _print_table(file, metrics, groups)


def _print_table(file: Path, metrics: dict[str, Any], groups: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    extra = dict(metrics["extra"])
    table = Table(title=Text(printable(f"{file.name}: {metrics['n']} images")), title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("95 % interval")
    for name in ("srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped"):
        low, high = extra.pop(f"{name}_lo", None), extra.pop(f"{name}_hi", None)
        table.add_row(name, _number(metrics[name]), "" if low is None else f"{_number(low)} … {_number(high)}")
    for name, value in extra.items():
        table.add_row(name, _number(value), "")
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
