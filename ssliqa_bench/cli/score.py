"""`score`: the quality of any images by trained models and metrics."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import DEFAULT_STORE
from ssliqa_bench.errors import InputError
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.photos.scoring import Scored

_EXAMPLES = """Examples:

ssliqa-bench score --model my-model photos --csv scores.csv --html scores.html

ssliqa-bench score --model niqe --model pyiqa:piqe 'photos/**/*.jpg'"""


def score(
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGES...", help="Files, folders, patterns, @LIST, or - for names on standard input."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="M",
            help="Folder of a model, first digits of a record's key, or a metric (niqe, pyiqa:NAME). May be repeated.",
            rich_help_panel=options.WHAT,
        ),
    ] = None,
    lists: options.ImageLists = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            parser=options.output_file("--csv"),
            metavar="FILE",
            help="Write a row per image as it is scored, resuming an existing file. Without it, print a table.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Replace the --csv file instead of resuming it.", rich_help_panel=options.OUTPUT
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            parser=options.output_file("--html"),
            metavar="FILE",
            help="Also write a page with the best, the worst and the most uncertain images.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    store: options.Store = DEFAULT_STORE,
    registry: options.Registries = None,
    device: options.Device = "auto",
    threads: options.Threads = 1,
    jobs: options.ImageJobs = None,
    max_pixels: options.MaxPixels = None,
    json: options.Json = False,
) -> int:
    """Score images in the units and direction of the scores that a model learned from.

    For metrics, higher is better. `spread` is the standard deviation over the crops of an image, for models that use
    several. Images that cannot be scored are listed at the end (with --csv FILE in FILE.bad.csv); the exit code is 1.
    """
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.photos.listing import find_images
    from ssliqa_bench.photos.models import identity, opened, requests
    from ssliqa_bench.photos.report import write_report
    from ssliqa_bench.photos.score_file import ScoreFile
    from ssliqa_bench.photos.scoring import score_images
    from ssliqa_bench.runner.devices import device_kind
    from ssliqa_bench.runner.progress import counted

    if not model:
        raise InputError("--model: name one or several: a model folder, the key of a record, or a metric such as "
                         "niqe.")  # fmt: skip
    found = find_images(images or (), lists or ())
    asked = requests(model, store, registry or (), device_kind(device))
    names = tuple(request.name for request in asked)
    file = None
    if csv is not None:
        file = ScoreFile(csv, {r.name: identity(r.find()) for r in asked}, restart=restart)
    known = {} if file is None else file.done
    scoring = score_images(
        [image for image in found if image not in known],
        asked,
        threads=threads,
        processes=options.processes(jobs, threads),
    )
    rows: list[Scored] = []
    with file or nullcontext(), counted("scoring") as tell:
        for done, scored in enumerate(_merged(found, known, scoring), start=1):
            rows.append(scored)
            if file is not None and scored.image not in known:
                file.add(scored)
            elif file is not None and scored.problems:
                file.add_bad(scored)
            tell(done, len(found))
    units = [_units(one, request.name) for one, request in zip(opened(asked), asked, strict=True)]
    if html is not None:
        scales = [one.scale for one in opened(asked)]
        lower = [scale is not None and not scale.higher_is_better for scale in scales]
        write_report(html, rows, names, units, lower)
    if json:
        print_json(_document(rows, names, units))
    elif csv is None:
        _print_rows(rows, names)
    _summary(rows, units, csv, html, len(set(found) & set(known)), json)
    return 1 if any(row.problems for row in rows) else 0


def register(app: typer.Typer) -> None:
    """Attach the command of this file."""
    app.command("score", epilog=_EXAMPLES)(score)


def _merged(images: list[str], known: dict[str, Scored], scoring: Iterator[Scored]) -> Iterator[Scored]:
    """Images in their order, those that an earlier call scored among those that are scored now."""
    for image in images:
        yield known[image] if image in known else next(scoring)


def _units(model: Any, name: str) -> str:
    if model.scale is None:
        return f"{name}: the metric's own values, turned so that higher is better"
    better = "higher" if model.scale.higher_is_better else "lower"
    return f"{name}: scale {model.scale.low:g} to {model.scale.high:g}, {better} is better"


def _document(rows: list[Scored], names: tuple[str, ...], units: list[str]) -> dict[str, Any]:
    return {
        "models": [{"name": name, "units": unit} for name, unit in zip(names, units, strict=True)],
        "images": [
            {
                "image": printable(row.image),
                "scores": {
                    name: {"score": _number(score.value), "spread": _number(score.spread)}
                    for name, score in zip(names, row.scores, strict=True)
                },
            }
            for row in rows
        ],
        "bad": [
            {"image": printable(row.image), "model": model or None, "reason": printable(reason)}
            for row in rows
            for model, reason in row.problems
        ],
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _print_rows(rows: list[Scored], names: tuple[str, ...]) -> None:
    """CSV for a pipe or a file, aligned columns for a terminal."""
    from ssliqa_bench.photos.score_file import row_of, score_columns
    from ssliqa_bench.tabular.writer import csv_text

    header = score_columns(names)
    lines = [row_of(row) for row in rows if not all(math.isnan(score.value) for score in row.scores)]
    if not sys.stdout.isatty():
        sys.stdout.write(csv_text(([printable(line[0]), *line[1:]] for line in lines), header))
        return
    kept = [k for k in range(1, len(header)) if any(line[k] for line in lines)]
    table = [[*(header[k] for k in kept), header[0]]]
    table += [[*(f"{float(line[k]):.4f}" if line[k] else "–" for k in kept), printable(line[0])] for line in lines]
    widths = [max(len(line[k]) for line in table) for k in range(len(kept))]
    for line in table:
        print("  ".join([*(cell.rjust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]))


def _summary(
    rows: list[Scored], units: list[str], csv: Path | None, html: Path | None, before: int, json: bool
) -> None:
    for unit in units:
        _say(unit)
    bad = [row for row in rows if row.problems]
    if csv is not None:
        earlier = f", {before:,} of them by an earlier call" if before else ""
        _say(f"{csv}: {len(rows) - sum(map(_lost, rows)):,} images{earlier}.")
    if html is not None:
        _say(f"{html}: the page of thumbnails.")
    if not bad:
        return
    listed = f" {csv}.bad.csv lists them." if csv is not None else ""
    _say(f"{len(bad):,} of {len(rows):,} images have no score from some model.{listed}")
    for row in bad[:10] if csv is not None or json else bad:
        for model, reason in row.problems:
            _say(f"  {reason if row.image in reason else f'{row.image}: {reason}'}{f' ({model})' if model else ''}")


def _lost(row: Scored) -> bool:
    return all(math.isnan(score.value) for score in row.scores)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
