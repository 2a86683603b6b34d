"""`label-budget` and `next-labels`: how many more scores would help, and which photographs to score next."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.train import (
    Columns,
    Direction,
    Images,
    Labels,
    Ratings,
    Scale,
    Seed,
    Separator,
    own_photographs,
)
from ssliqa_bench.errors import InputError
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.datasets.user_datasets import OwnPhotographs
    from ssliqa_bench.photos.fold_fits import Candidate, Photographs
    from ssliqa_bench.photos.preparation import Checked
    from ssliqa_bench.runner.settings import Settings

_METHOD = "kernel-ridge"
_Method = Annotated[
    str,
    typer.Option("--method", metavar="NAME", help="A labels-only learner.", rich_help_panel=options.TRAINING),
]


def label_budget(
    labels: Labels,
    images: Images,
    target: Annotated[
        float | None,
        typer.Option(
            "--target",
            min=0.0,
            max=1.0,
            help="SRCC to reach; prints how many labels it needs.",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    method: _Method = _METHOD,
    scale: Scale = None,
    direction: Direction = "higher_is_better",
    columns: Columns = None,
    separator: Separator = "",
    ratings: Ratings = "",
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats", min=1, max=100, help="Repeats of five-fold cross-validation.", rich_help_panel=options.TRAINING
        ),
    ] = 4,
    seed: Seed = 0,
    threads: options.Threads = 1,
    jobs: options.ImageJobs = None,
    max_pixels: options.MaxPixels = None,
    json: options.Json = False,
) -> int:
    """Estimate how SRCC grows with the number of labels, and how many labels a target needs.

    Beyond the labels at hand, the curve is extrapolated by a power law. Intervals are those of the expected SRCC.
    """
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.photos.budget import learning_curve
    from ssliqa_bench.runner.progress import counted

    own = own_photographs(labels, images, None, scale, direction, columns, separator, ratings)
    settings, candidate = _learner(method, threads, jobs)
    photos, _ = _prepared(own, candidate, settings)
    with counted("learning curve", "fits") as tell:
        curve = learning_curve(candidate, photos, seed, repeats=repeats, progress=tell)
    count = len(photos)
    asked = [*curve.labels.astype(int).tolist(), count, 2 * count, 4 * count]
    rows = [dict(zip(("labels", "srcc", "lo", "hi"), (n, *curve.expected(n)), strict=True)) for n in asked]
    needed = None if target is None else dict(zip(("labels", "fewest", "most"), curve.needed(target), strict=True))
    if json:
        shares = {f"{exponent:g}": share for exponent, share in curve.shares.items()}
        print_json({"labels": count, "method": method, "exponent": curve.exponent, "exponents": shares, "curve": rows,
                    "target": target, "needed": needed})  # fmt: skip
        return 0
    print(f"{method}, {count:,} labels; SRCC to expect with 95 % interval")
    for row in rows:
        beyond = "  extrapolated" if row["labels"] > curve.labels[-1] else ""
        print(f"{row['labels']:>9,} labels  {row['srcc']:.3f}  [{row['lo']:.3f}, {row['hi']:.3f}]{beyond}")
    if needed is not None:
        few, many = (_count(needed[end]) for end in ("fewest", "most"))
        print(f"SRCC {target:g} needs {_count(needed['labels'])} labels (interval: {few} to {many}).")
    return 0


def next_labels(
    labels: Labels,
    images: Images,
    unlabeled: Annotated[
        Path,
        typer.Option(
            "--unlabeled",
            parser=options.input_folder("--unlabeled", "a folder of photographs"),
            metavar="DIR",
            help="Folder of photographs without a score.",
            rich_help_panel=options.DATA,
        ),
    ],
    count: Annotated[
        int,
        typer.Option("--n", min=1, metavar="N", help="How many to pick.", rich_help_panel=options.DATA),
    ] = 50,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=options.output_file("--out"),
            metavar="FILE",
            help="Write the CSV to this file [standard output].",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    method: _Method = _METHOD,
    scale: Scale = None,
    direction: Direction = "higher_is_better",
    columns: Columns = None,
    separator: Separator = "",
    ratings: Ratings = "",
    seed: Seed = 0,
    threads: options.Threads = 1,
    jobs: options.ImageJobs = None,
    max_pixels: options.MaxPixels = None,
    json: options.Json = False,
) -> int:
    """Pick the photographs to score next: those on which models disagree and that are unlike any scored so far.

    The CSV has the columns image, prediction, disagreement (units of the scores) and distance; `rate --only` takes it.
    """
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.datasets.image_folders import FoundFiles
    from ssliqa_bench.files import write_text
    from ssliqa_bench.photos.next_labels import next_labels as picked
    from ssliqa_bench.runner.progress import counted
    from ssliqa_bench.tabular.writer import csv_text

    own = own_photographs(labels, images, unlabeled, scale, direction, columns, separator, ratings)
    settings, candidate = _learner(method, threads, jobs)
    if candidate.network is None:
        raise InputError(f"--method {method}: learns from pixels; take a learner on frozen features, for example "
                         f"{_METHOD}.")  # fmt: skip
    there = len(FoundFiles(unlabeled).walk().images)
    if 0 < there < count:
        raise InputError(f"--n: got {count:,}; {unlabeled} holds {there:,} images. Ask for fewer, or add photographs.")
    photos, found = _prepared(own, candidate, settings)
    with counted("committee", "fits") as tell:
        wanted = picked(candidate, photos, count, seed, progress=tell)
    assert found.unlabeled is not None  # asked for
    width = photos.scale.high - photos.scale.low
    rows = [
        {
            "image": found.unlabeled.name[one.row],
            "prediction": round(float(photos.scale.from01(_array(one.prediction))), 6),
            "disagreement": round(one.disagreement * width, 6),
            "distance": round(one.distance, 6),
        }
        for one in wanted
    ]
    if json:
        print_json({"images": rows})
        return 0
    text = csv_text((row.values() for row in rows), list(rows[0]))
    if out is None:
        sys.stdout.write(text)
        return 0
    write_text(out, text)
    words = ["ssliqa-bench", "rate", str(unlabeled), "--only", str(out), "--labels", "more-scores.csv"]
    print(printable(f"{out}: {len(rows):,} images. Next: {shlex.join(words)}"))
    return 0


def register(app: typer.Typer) -> None:
    """Attach the commands of this file."""
    app.command("label-budget")(label_budget)
    app.command("next-labels")(next_labels)


def _learner(method: str, threads: int, jobs: int | None) -> tuple[Settings, Candidate]:
    """Settings and the learner, before any image is read."""
    from ssliqa_bench.photos.fold_fits import Candidate
    from ssliqa_bench.registry.load import load_registry

    settings = options.settings_of(threads=threads, processes=options.processes(jobs, threads))
    candidate = Candidate.of(method, load_registry(), settings, "frozen")
    if candidate.learns_from_unlabeled:
        raise InputError(f"--method {method}: learns from unlabeled images; take a learner from labels, for example "
                         f"{_METHOD}.")  # fmt: skip
    return settings, candidate


def _prepared(own: OwnPhotographs, candidate: Candidate, settings: Settings) -> tuple[Photographs, Checked]:
    """The photographs with their features, and their tables."""
    from ssliqa_bench.photos.preparation import checked, photographs
    from ssliqa_bench.runner.devices import prepare_process
    from ssliqa_bench.runner.progress import counted_each

    with counted_each("decoding") as progress:
        found = checked(own, settings, progress)
    prepare_process("cpu", settings.threads)
    return photographs(found, candidate.network, settings), found


def _array(value: float) -> Any:
    import numpy as np

    return np.asarray(value)


def _count(value: int | None) -> str:
    return "more than a million" if value is None else f"{value:,}"
