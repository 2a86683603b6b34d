"""`train`: a model of quality from one's own scored photographs, with what may be expected of it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.data import read_ends
from ssliqa_bench.errors import InputError
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.datasets.user_datasets import OwnPhotographs

_EXAMPLES = """Examples:

ssliqa-bench train --labels scores.csv --images photos --out my-model

ssliqa-bench train --labels scores.csv --images photos --unlabeled more --out my-model"""

Labels = Annotated[
    Path,
    typer.Option(
        "--labels",
        parser=options.input_file("--labels", "a table of images and scores"),
        metavar="FILE",
        help="Table with the columns image and score: CSV, Excel workbook or JSON; see `data add --help`.",
        rich_help_panel=options.DATA,
    ),
]
Images = Annotated[
    Path,
    typer.Option(
        "--images",
        parser=options.input_folder("--images", "a folder of photographs"),
        metavar="DIR",
        help="Folder to which the names in --labels are relative.",
        rich_help_panel=options.DATA,
    ),
]
Unlabeled = Annotated[
    Path | None,
    typer.Option(
        "--unlabeled",
        parser=options.input_folder("--unlabeled", "a folder of photographs"),
        metavar="DIR",
        help="Folder of photographs without a score.",
        rich_help_panel=options.DATA,
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        "--scale", metavar="LO,HI", help="Ends of the scale [lowest and highest score].", rich_help_panel=options.DATA
    ),
]
Direction = Annotated[
    str,
    typer.Option("--direction", help="higher_is_better or lower_is_better.", rich_help_panel=options.DATA),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns", help="Column names in the table: image=filename,score=mos.", rich_help_panel=options.DATA
    ),
]
Separator = Annotated[
    str,
    typer.Option("--separator", help="Character between cells [detected].", rich_help_panel=options.DATA),
]
Ratings = Annotated[
    str,
    typer.Option(
        "--ratings",
        help="How scores are computed from individual ratings; see `data add --help`.",
        rich_help_panel=options.DATA,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        callback=options.seed_in_bounds,
        metavar="N",
        help="Seed of cross-validation folds and training.",
        rich_help_panel=options.TRAINING,
    ),
]


def train(
    labels: Labels,
    images: Images,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=options.output_folder("--out"),
            metavar="DIR",
            help="Folder to write the model to.",
            rich_help_panel=options.OUTPUT,
        ),
    ],
    unlabeled: Unlabeled = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME",
            help="A method, or auto to let cross-validation choose.",
            rich_help_panel=options.TRAINING,
        ),
    ] = "auto",
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="Named set of parameters; frozen: a head on a frozen pretrained network, fitted in seconds.",
            rich_help_panel=options.TRAINING,
        ),
    ] = "frozen",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Parameter of the method.", rich_help_panel=options.TRAINING),
    ] = None,
    unlabeled_budget: Annotated[
        int,
        typer.Option(
            "--unlabeled-budget",
            min=1,
            metavar="N",
            help="Maximum number of unlabeled images used.",
            rich_help_panel=options.DATA,
        ),
    ] = 2000,
    scale: Scale = None,
    direction: Direction = "higher_is_better",
    columns: Columns = None,
    separator: Separator = "",
    ratings: Ratings = "",
    repeats: Annotated[
        int | None,
        typer.Option(
            "--repeats",
            min=1,
            max=100,
            help="Repeats of five-fold cross-validation [2; 1 with --unlabeled].",
            rich_help_panel=options.TRAINING,
        ),
    ] = None,
    seed: Seed = 0,
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    jobs: options.ImageJobs = None,
    max_pixels: options.MaxPixels = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing model in --out.", rich_help_panel=options.OUTPUT)
    ] = False,
    json: options.Json = False,
) -> int:
    """Train a model on your own scores, with its expected accuracy and whether unlabeled images helped."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.photos.preparation import checked, drawn, photographs
    from ssliqa_bench.photos.training import check_folder, family_of, write_model
    from ssliqa_bench.photos.training import train as train_model
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.registry.yamlfile import parse_assignments
    from ssliqa_bench.runner.devices import device_kind, prepare_process
    from ssliqa_bench.runner.progress import counted, counted_each

    kind = device_kind(device)
    check_folder(out, force=force)
    settings = options.settings_of(device=device, threads=threads, processes=options.processes(jobs, threads))
    own = own_photographs(labels, images, unlabeled, scale, direction, columns, separator, ratings)
    family = family_of(
        method,
        load_registry(),
        settings,
        unlabeled=unlabeled is not None,
        recipe=recipe,
        overrides=parse_assignments(assignments or []),
    )
    with counted_each("decoding") as progress:
        found = checked(own, settings, progress)
    prepare_process(kind, threads)
    if found.unlabeled is not None:
        found = type(found)(found.labeled, drawn(found.unlabeled, unlabeled_budget, seed), found.registry)
    networks = {candidate.network and candidate.network.key: candidate.network for candidate in family.all}
    if len(networks) > 1:
        raise InputError("The learners use features of different networks; name one with --method.")
    photos = photographs(found, next(iter(networks.values())), settings)
    with counted("cross-validation", "fits") as tell:
        trained = train_model(
            family, photos, seed=seed, repeats=repeats or (1 if unlabeled else 2), device=kind, progress=tell
        )
    files = write_model(out, trained, found.registry.dataset(found.labeled.dataset).short_side)
    summary = trained.summary()
    if json:
        print_json({"model": str(out), "files": files, **summary})
    else:
        _print_summary(summary, photos.scale)
        print(
            f"{out}: {', '.join(files)}. Next: {shlex.join(['ssliqa-bench', 'score', '--model', str(out), 'PHOTOS'])}"
        )
    if "scatter.png" not in files:
        print("No scatter plot: matplotlib is not installed (pip install 'ssliqa-bench[plots]').", file=sys.stderr)
    return 0


def own_photographs(
    labels: Path, images: Path, unlabeled: Path | None, scale: str | None, direction: str, columns: str | None,
    separator: str, ratings: str,
) -> OwnPhotographs:  # fmt: skip
    """What these options say about one's own photographs."""
    from ssliqa_bench.datasets.opinion import MODELS
    from ssliqa_bench.datasets.user_datasets import OwnPhotographs

    if direction not in ("higher_is_better", "lower_is_better"):
        raise InputError(f'--direction: got "{direction}"; expected higher_is_better or lower_is_better.')
    if ratings not in ("", *MODELS):
        raise InputError(f'--ratings: got "{ratings}"; expected {", ".join(MODELS[:-1])} or {MODELS[-1]}.')
    theirs, between = options.read_pairs(columns), options.read_separator(separator)
    return OwnPhotographs("own", labels, images, unlabeled, read_ends(scale), direction, theirs, between, ratings)


def register(app: typer.Typer) -> None:
    """Attach the command of this file."""
    app.command("train", epilog=_EXAMPLES)(train)


def _print_summary(summary: dict[str, Any], scale: Any) -> None:
    print(printable(f"{summary['method']}, recipe {summary['recipe']}, {summary['labels']:,} labels. On new images:"))
    titles = {"srcc": "SRCC", "plcc": "PLCC", "mae": f"MAE (scores {scale.low:g} to {scale.high:g})"}
    width = max(map(len, titles.values()))
    for name, title in titles.items():
        own = summary["expected"][name]
        interval = "" if own["lo"] is None else f"  95 % interval {own['lo']:.3f} to {own['hi']:.3f}"
        print(f"  {title:<{width}}  {own['mean']:.3f}{interval}")
    if summary["unlabeled_images"] is not None:
        print(summary["unlabeled_images"]["sentence"])
