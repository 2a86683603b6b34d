"""`data ratings`: from individual ratings to a label file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssliqa_bench.bounds import MOST_LEVELS
from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import read_pairs
from ssliqa_bench.errors import InputError


def ratings(
    table: Annotated[
        Path,
        typer.Argument(
            parser=options.input_file("", "a table with the columns image, rater and rating"),
            metavar="TABLE",
            help="Table with the columns image, rater and rating.",
        ),
    ],
    write: Annotated[
        Path,
        typer.Option(
            "--write", parser=options.output_file("--write"), metavar="FILE", help="Label file to write."
        ),
    ],
    model: Annotated[
        str,
        typer.Option("--model", help="auto (the mean where every rater rated every image), mean, "
                                     "bias-and-inconsistency or bt500."),
    ] = "auto",
    levels: Annotated[
        int | None,
        typer.Option(
            "--levels", min=2, max=MOST_LEVELS, help="P where ratings are 1 to P [the highest that occurs]."
        ),
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", help="Column names of the file: image=file,rater=worker.")
    ] = None,
    separator: Annotated[
        str, typer.Option("--separator", help="Character between the cells of the table [recognised].")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the label file.")] = False,
    json: options.Json = False,
) -> int:
    """Make a label file from individual ratings: score, spread, number and distribution of ratings per image."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.datasets.ratings import COLUMNS, labels_csv, rated_images
    from ssliqa_bench.files import write_text
    from ssliqa_bench.tabular import read_rows
    from ssliqa_bench.text import number_of

    if write.exists() and not force:
        raise InputError(f"{write}: is there already. Name another file, or replace it with --force.")
    named = {**{name: name for name in COLUMNS}, **read_pairs(columns)}
    strange = sorted(set(named) - set(COLUMNS))
    if strange:
        raise InputError(f"--columns: got {', '.join(strange)}; expected {', '.join(COLUMNS)}.")
    rows = read_rows(table, options.read_separator(separator))
    rated = rated_images(rows, named, model, levels)
    write_text(write, labels_csv(rated))
    lowest, highest = float(rated.score.min()), float(rated.score.max())
    if json:
        print_json({"file": str(write), "images": len(rated.image), "lowest": lowest, "highest": highest})
    else:
        print(f"{write}: {number_of(len(rated.image), 'image')}, scores {lowest:.3f} to {highest:.3f}.")
    return 0
