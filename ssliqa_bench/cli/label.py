"""`label`: predictions for any number of images, in shards."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import DEFAULT_STORE
from ssliqa_bench.text import printable

_EXAMPLES = """Examples:

ssliqa-bench label --model my-model photos --out labels

ssliqa-bench label --model my-model 'shards/*.tar' 'more/*.parquet' --out labels --jobs 8"""


def label(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="M",
            help="Folder of a model, first digits of a record's key, or a metric (niqe, pyiqa:NAME).",
            rich_help_panel=options.WHAT,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=options.output_folder("--out"),
            metavar="DIR",
            help="Folder of the shards; the same command resumes there.",
            rich_help_panel=options.OUTPUT,
        ),
    ],
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGES...",
            help="Images, folders, patterns, @LIST, - for names on standard input, Parquet files with image bytes, "
            "WebDataset shards (.tar).",
        ),
    ] = None,
    lists: options.ImageLists = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="Column of Parquet files with the image bytes [the only one with bytes].",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    shard_size: Annotated[
        int,
        typer.Option(
            "--shard-size", min=1, metavar="N", help="Loose images per shard.", rich_help_panel=options.OUTPUT
        ),
    ] = 1000,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Replace the shards of an earlier call.", rich_help_panel=options.OUTPUT),
    ] = False,
    store: options.Store = DEFAULT_STORE,
    registry: options.Registries = None,
    device: options.Device = "auto",
    threads: options.Threads = 1,
    jobs: options.ImageJobs = None,
    max_pixels: options.MaxPixels = None,
    json: options.Json = False,
) -> int:
    """Label images in bulk: Parquet shards with image, prediction, spread and model.

    Finished shards are skipped by the same command. Images that cannot be scored are in the folder `bad` of --out, each
    with the reason; the exit code is then 1. Predictions are in the units and direction of the scores that the model
    learned from; for metrics, higher is better.
    """
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.photos.labelling import LabelFolder
    from ssliqa_bench.photos.models import opened, requests
    from ssliqa_bench.photos.pieces import pieces_of
    from ssliqa_bench.runner.devices import device_kind
    from ssliqa_bench.runner.progress import counted

    pieces = pieces_of(images or (), lists or (), size=shard_size, column=column, out=out)
    kind = device_kind(device)
    (asked,) = requests([model], store, registry or (), kind)
    opened((asked,))  # whatever is wrong with the model is raised before the output folder is made
    processes = 1 if kind == "cuda" else min(options.processes(jobs, threads), len(pieces))
    began = time.perf_counter()
    with LabelFolder(out, asked, pieces, restart=restart, threads=threads) as folder, counted(
        "labelling", "shards"
    ) as tell:
        shards = []
        for shard in folder.label(processes=processes):
            shards.append(shard)
            tell(len(shards), len(pieces))
    new = [shard for shard in shards if not shard.before]
    labelled, bad = sum(shard.images for shard in shards), sum(shard.bad for shard in shards)
    seconds = time.perf_counter() - began
    if json:
        print_json({
            "out": str(out), "model": folder.model, "shards": len(shards), "made": len(new), "images": labelled,
            "bad": bad, "seconds": round(seconds, 3),
        })  # fmt: skip
    before = f", {len(shards) - len(new):,} of them by an earlier call" if len(new) < len(shards) else ""
    rate = sum(shard.images for shard in new) / seconds if new else 0.0
    speed = f" {rate:,.1f} images per second." if new else ""
    _say(f"{out / 'labels'}: {labelled:,} images in {len(shards):,} shards{before}.{speed}")
    if bad:
        _say(f"{bad:,} images have no prediction; {out / 'bad'} lists them with the reason.")
    return 1 if bad else 0


def register(app: typer.Typer) -> None:
    """Attach the command of this file."""
    app.command("label", epilog=_EXAMPLES)(label)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
