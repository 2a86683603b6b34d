"""`submit`: predictions of a third party as records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ssliqa_bench.bounds import MOST_SEEDS
from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import DEFAULT_STORE, settings_of


def register(app: typer.Typer) -> None:
    """Attach the command."""
    app.command()(submit)


def submit(
    file: Annotated[
        Path,
        typer.Argument(
            parser=options.input_file("", "a table with the columns image and prediction"),
            metavar="FILE",
            help="Table with the columns image and prediction: CSV, Excel workbook, JSON or Parquet.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Name of the method on boards.")],
    dataset: Annotated[str, typer.Option("--dataset", help="The dataset of the predictions, for example livec.")],
    protocol: Annotated[str, typer.Option("--protocol", help="Protocol whose test images are evaluated.")] = "standard",
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, callback=options.seed_in_bounds, help="Seed of the split [0]."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            max=MOST_SEEDS,
            help="Splits 0 … N-1, for a method that was trained on none of them.",
        ),
    ] = None,
    lower_is_better: Annotated[
        bool | None,
        typer.Option("--lower-is-better/--higher-is-better", help="Direction of the predictions [higher is better]."),
    ] = None,
    trained_on: Annotated[
        str,
        typer.Option(
            "--trained-on", metavar="D,…", show_default=False, help="Datasets it was trained on, or none [unknown]."
        ),
    ] = "unknown",
    separator: options.Separator = "",
    data_root: options.DataRoot = None,
    store: options.Store = DEFAULT_STORE,
    registry: options.Registries = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> int:
    """Check predictions made elsewhere against the test images of a protocol, and store them as a record.

    Boards do not rank such rows and remark that they are unverified. Images outside the test part are counted and left
    out.
    """
    from ssliqa_bench.cli.output import print_json, print_runs, run_entry
    from ssliqa_bench.errors import InputError
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.submissions import Submission, read_submission_file
    from ssliqa_bench.runner.submissions import submit as store_submission

    if seed is not None and seeds is not None:
        raise InputError("--seed, --seeds: got both; expected one of them.")
    names = load_registry(registry or ())
    learned = None
    if trained_on != "unknown":
        given = [] if trained_on == "none" else [part for part in trained_on.split(",") if part]
        learned = tuple(names.dataset(part).name for part in given)
    values = read_submission_file(file, options.read_separator(separator))
    records = store_submission(
        Submission(name, values, str(file), lower_is_better, learned),
        dataset,
        protocol,
        range(seeds) if seeds else [seed or 0],
        names,
        settings_of(store=store, data_root=data_root),
        dry_run=dry_run,
    )
    entries = [run_entry("checked" if dry_run else "submitted", record) for record in records]
    if as_json:
        print_json({"runs": entries})
    else:
        print_runs(entries)
    for record in records:
        facts = record.facts.submission
        if facts is not None and facts.left_out:
            print(f"seed {record.cell.seed}: {facts.left_out} images of the file are not in the test part and were "
                  f"left out.", file=sys.stderr)  # fmt: skip
    return 0
