"""`data`: what is on disk, whether it is right, how to get it, decoding it ahead of runs, and one's own photographs."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import settings_of
from ssliqa_bench.errors import InputError
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.datasets.check import DatasetCheck, DatasetStatus

data_app = typer.Typer(help="Datasets on disk: status, checks, downloads, preparation, your own.",
                       no_args_is_help=True)  # fmt: skip
_KADIS = ("kadis", "kadis-distorted")


def register(app: typer.Typer) -> None:
    """Attach the commands of this file, `data twins` and `data ratings`."""
    from ssliqa_bench.cli.ratings import ratings
    from ssliqa_bench.cli.twins import twins

    data_app.command("twins")(twins)
    data_app.command("ratings")(ratings)
    app.add_typer(data_app, name="data")


@data_app.command("status")
def status(
    names: Annotated[list[str] | None, typer.Argument(metavar="[DATASET]...", help="Only these [all].")] = None,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> int:
    """Show which datasets are on disk, where, and whether all their files are there; no image is opened."""
    from dataclasses import asdict

    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.datasets.check import dataset_status
    from ssliqa_bench.registry.load import load_registry

    settings = settings_of(data_root=data_root)
    known = load_registry(registry or ())
    entries = {entry.name: entry for entry in map(known.dataset, names or known.datasets)}
    found = [
        dataset_status(entry, settings.data_root, settings.cache_root, load=known.load) for entry in entries.values()
    ]
    if json:
        print_json({"data_root": str(settings.data_root), "datasets": [asdict(one) for one in found]})
    else:
        _print_status(found)
    return 0


@data_app.command("check")
def check(
    name: options.Dataset,
    against: options.Against = None,
    jobs: options.ImageJobs = None,
    max_pixels: options.MaxPixels = None,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    deep: options.Deep = False,
    json: options.Json = False,
) -> int:
    """Check a dataset against its registry entry: counts, files, scores, duplicates, direction; decodes every image.

    Every place that is wrong is listed. Exit code 1 where a check fails.
    """
    from dataclasses import asdict

    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.datasets.check import check_dataset
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.deep_check import reread_caches
    from ssliqa_bench.runner.progress import counted_each

    settings = settings_of(data_root=data_root)
    known = load_registry(registry or ())
    others = [other for other in (against or "").split(",") if other]
    canonical = known.dataset(name).name
    changed = reread_caches(settings.cache_root) if deep else []
    with counted_each("decoding") as progress:
        checks = check_dataset(
            canonical,
            known,
            settings.data_root,
            settings.cache_root,
            processes=options.processes(jobs, 1),
            against=others,
            progress=progress,
        )
    failed = sum(not one.holds for one in checks)
    if json:
        reread = {"reread": changed} if deep else {}
        print_json({"dataset": canonical, "checks": [asdict(one) for one in checks], **reread})
    else:
        _print_checks(checks)
        for problem in changed:
            print(problem)
        print(f"{canonical}: {len(checks) - failed} of {len(checks)} checks hold.")
    return 1 if failed or changed else 0


@data_app.command("download")
def download(
    name: options.Dataset,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> int:
    """Download a dataset if openly available, else say how to get it; resumes an interrupted download."""
    from ssliqa_bench.datasets.base import find_folder
    from ssliqa_bench.datasets.check import dataset_status
    from ssliqa_bench.datasets.download import download as fetch_dataset
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.progress import counted

    settings = settings_of(data_root=data_root)
    known = load_registry(registry or ())
    entry = known.dataset(name)
    there = find_folder(entry, settings.data_root, settings.cache_root)
    if there is not None:
        state = dataset_status(entry, settings.data_root, settings.cache_root, load=known.load)
        if state.state != "complete":
            way = f" {entry.download.note.strip()}" if entry.download is not None and entry.download.note else ""
            raise InputError(f"{entry.name}: {there} is there, but {state.state}: {state.note} Nothing was fetched; "
                             f"fix it, or move it away and run the command again.{way}")
    folder = fetch_dataset(entry, settings.data_root, settings.cache_root, lambda what: counted(what, "bytes"))
    if json:
        _print_json({"dataset": entry.name, "folder": str(folder), "downloaded": there is None,
                     "terms": entry.about.terms or None})  # fmt: skip
        return 0
    print(f"{entry.name}: {'is' if there is None else 'was already'} in {folder}. Next: ssliqa-bench data check "
          f"{entry.name}")
    if there is None and entry.download is not None:
        told = (f"Terms: {entry.about.terms.strip()}" if entry.about.terms else "", entry.download.note.strip())
        for text in filter(None, told):
            print(f"{entry.name}: {text}")
    return 0


@data_app.command("prepare")
def prepare(
    name: options.Dataset,
    distort: Annotated[
        bool,
        typer.Option("--distort", help="For kadis: make the distorted images that its list names. They resemble those "
                                       "of the published MATLAB generator and are not equal to them."),
    ] = False,
    jobs: options.ImageJobs = None,
    skip_bad: options.SkipBad = False,
    max_pixels: options.MaxPixels = None,
    data_root: options.DataRoot = None,
    registry: options.Registries = None,
    json: options.Json = False,
) -> int:
    """Decode a dataset's images into the cache ahead of the first run, or make those of a dataset that is made from
    another one's references, or of KADIS-700k."""
    from ssliqa_bench.registry.load import load_registry

    settings = settings_of(data_root=data_root, skip_bad=skip_bad)
    known = load_registry(registry or ())
    processes = options.processes(jobs, 1)
    if distort:
        return _distort(known.dataset(name), settings, processes, json)
    if known.dataset(name).made_from is not None:
        return _make(known.dataset(name), known, settings, processes, json)
    return _decode(known.dataset(name), known, settings, processes, json)


@data_app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new dataset.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            parser=options.input_file("--labels", "a table of images and scores"),
            metavar="FILE",
            help="Table with the columns image and score, image and ratings c1 to cP, or image, rater and rating: CSV, "
            "Excel workbook or JSON.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            parser=options.input_folder("--images", "a folder of photographs"),
            metavar="DIR",
            help="Folder to which the names in the table are relative.",
        ),
    ] = None,
    unlabeled: Annotated[
        Path | None,
        typer.Option(
            "--unlabeled",
            parser=options.input_folder("--unlabeled", "a folder of photographs"),
            metavar="DIR",
            help="Folder of photographs without scores; beside --labels they become NAME-unlabeled.",
        ),
    ] = None,
    scale: Annotated[
        str | None, typer.Option("--scale", help="Nominal lowest and highest score: LO,HI [those that occur].")
    ] = None,
    direction: Annotated[
        str, typer.Option("--direction", help="higher_is_better or lower_is_better.")
    ] = "higher_is_better",
    columns: Annotated[
        str | None, typer.Option("--columns", help="Column names of the file: image=filename,score=mos.")
    ] = None,
    separator: options.Separator = "",
    ratings: Annotated[
        str,
        typer.Option("--ratings", help="How scores follow from a table with the columns image, rater and rating: mean, "
                                       "bias-and-inconsistency or bt500 [the mean where all rated all]."),
    ] = "",
    registry_file: Annotated[
        Path | None,
        typer.Option(
            "--registry-file",
            parser=options.output_file("--registry-file"),
            metavar="FILE",
            help="The file to write [NAME.yaml].",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace that file.")] = False,
    jobs: options.ImageJobs = None,
    max_pixels: options.MaxPixels = None,
    json: options.Json = False,
) -> int:
    """Check photographs of your own and write a registry file, with which runs can use them."""
    import shlex

    from ssliqa_bench.datasets.opinion import MODELS
    from ssliqa_bench.datasets.user_datasets import OwnPhotographs, add_dataset
    from ssliqa_bench.runner.progress import counted_each

    if direction not in ("higher_is_better", "lower_is_better"):
        raise InputError(f'--direction: got "{direction}"; expected higher_is_better or lower_is_better.')
    if ratings not in ("", *MODELS):
        raise InputError(f'--ratings: got "{ratings}"; expected {", ".join(MODELS[:-1])} or {MODELS[-1]}.')
    file = registry_file or Path(f"{name}.yaml")
    between = options.read_separator(separator)
    theirs = options.read_pairs(columns)
    own = OwnPhotographs(name, labels, images, unlabeled, read_ends(scale), direction, theirs, between, ratings)
    with counted_each("decoding") as progress:
        added = add_dataset(own, file, settings_of().cache_root, force=force, processes=options.processes(jobs, 1),
                            progress=progress)  # fmt: skip
    if added.rows:
        _say(added.rows)
    if json:
        ends = None if added.scale is None else list(added.scale)
        _print_json({"registry": str(file), "images": dict(added.images), "scale": ends})
        return 0
    for dataset, count in added.images.items():
        print(f"{dataset}: {count:,} images")
        if dataset in added.conversions:
            print(f"{dataset}: {added.conversions[dataset]}")
    if scale is None and added.scale is not None:
        low, high = added.scale
        print(f"The scale is that of the scores that occur, {low:g} to {high:g}; --scale LO,HI states another.")
    with_registry = ["--registry", str(file)]
    if not own.scored:
        scoring = ["ssliqa-bench", "test", "RUN", "--on", name, *with_registry, "--write", "scores.csv"]
        print(f"{file} is written. Next: {shlex.join(scoring)}")
        print(f"It predicts scores with the model of a stored run. Runs learn from them as --pair A:{name}.")
        return 0
    learning = ["ssiqa", "--pair", f"{name}:{name}-unlabeled"] if unlabeled else ["supervised", "--pair", name]
    running = ["ssliqa-bench", "run", *with_registry, "--method", *learning, "--recipe", "frozen"]
    print(f"{file} is written. Next: {shlex.join(running)}")
    print("It trains a head on a pretrained network in seconds (extra [weights]); --recipe demo trains a tiny network")
    print("from scratch instead, which needs nothing and learns little about photographs.")
    return 0


def read_ends(text: str | None) -> tuple[float, float] | None:
    """The ends of a scale, LO,HI.

    Raises:
        InputError: not two finite numbers, the low end first.
    """
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not -math.inf < low < high < math.inf:
        raise InputError(f"--scale: got {text}; expected two numbers, the low end first, for example 1,5.")
    return low, high


def _print_json(document: Any) -> None:
    from ssliqa_bench.cli.output import print_json

    print_json(document)


def _decode(entry: Any, known: Any, settings: Any, processes: int, json: bool) -> int:
    from functools import partial

    from ssliqa_bench.datasets.base import load_table
    from ssliqa_bench.datasets.fingerprint import fingerprint
    from ssliqa_bench.datasets.parallel import in_order
    from ssliqa_bench.pixels.cache import open_pixels
    from ssliqa_bench.runner.progress import counted

    table = load_table(
        entry, settings.data_root, settings.cache_root, load=known.load, skip_missing=settings.skip_bad
    )
    mark = fingerprint(table, settings.cache_root)
    told: list[int] = []
    with counted(f"{entry.name}: decoding") as progress:

        def tell(done: int, total: int) -> None:
            told.append(done)
            progress(done, total)

        pixels = open_pixels(
            table,
            mark,
            entry.short_side,
            settings.cache_root,
            skip_bad=settings.skip_bad,
            progress=tell,
            # Whole images come back from the processes, so that few at a time are in memory.
            over=partial(in_order, processes=processes, share=2),
        )
    for row, reason in sorted(pixels.bad.items()):
        _say(f"{table.name[row]} skipped: {reason}")
    size = sum(height * width * 3 for height, width in pixels.sizes)
    if json:
        bad = {table.name[row]: reason for row, reason in sorted(pixels.bad.items())}
        _print_json({"dataset": entry.name, "images": len(table) - len(bad), "bytes": size, "bad": bad})
        return 0
    state = "are decoded" if told else "were decoded before"
    skipped = f", {len(pixels.bad):,} are unreadable" if pixels.bad else ""
    print(f"{entry.name}: {len(table) - len(pixels.bad):,} images {state} ({size / 1e9:.2f} GB in "
          f"{settings.cache_root}){skipped}.")
    return 0


def _distort(entry: Any, settings: Any, processes: int, json: bool) -> int:
    from ssliqa_bench.datasets.base import dataset_folder
    from ssliqa_bench.datasets.kadis import distort_kadis
    from ssliqa_bench.runner.progress import counted

    if entry.name not in _KADIS:
        raise InputError(f"--distort: got {entry.name}; expected kadis, whose list names the distortion of each image.")
    folder = dataset_folder(entry, settings.data_root, settings.cache_root)
    with counted(f"{entry.name}: making distorted images") as progress:
        report = distort_kadis(folder, processes, progress, skip_bad=settings.skip_bad)
    for reference, reason in report.bad.items():
        _say(f"{reference} skipped: {reason}")
    if json:
        _print_json(_made(entry, report))
        return 0
    skipped = f", {len(report.bad):,} references skipped" if report.bad else ""
    print(f"{entry.name}: {report.made:,} of {report.total:,} distorted images made, {report.present:,} were there"
          f"{skipped}. They resemble those of the published MATLAB generator and are not equal to them.")
    return 0


def _made(entry: Any, report: Any) -> dict[str, Any]:
    """What making images did, as JSON."""
    counts = {"made": report.made, "present": report.present, "total": report.total}
    return {"dataset": entry.name, **counts, "bad": dict(report.bad)}


def _make(entry: Any, known: Any, settings: Any, processes: int, json: bool) -> int:
    from ssliqa_bench.datasets.base import load_table
    from ssliqa_bench.datasets.reference_pairs import make_dataset
    from ssliqa_bench.runner.progress import counted

    source = known.dataset(entry.made_from.dataset)
    table = load_table(source, settings.data_root, settings.cache_root, load=known.load)
    folder = settings.data_root / entry.folder
    with counted(f"{entry.name}: making distorted images") as progress:
        report = make_dataset(entry, table, folder, processes, progress, skip_bad=settings.skip_bad)
    for reference, reason in report.bad.items():
        _say(f"{reference} skipped: {reason}")
    if json:
        _print_json(_made(entry, report))
        return 0
    skipped = f", {len(report.bad):,} references skipped" if report.bad else ""
    print(f"{entry.name}: {report.made:,} of {report.total:,} images made in {folder}, {report.present:,} were there"
          f"{skipped}.")
    return 0


def _print_status(found: Sequence[DatasetStatus]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, justify in (("dataset", "left"), ("state", "left"), ("images", "right"), ("registry", "right"),
                           ("size", "right"), ("folder", "left"), ("note", "left")):  # fmt: skip
        table.add_column(title, justify=justify, no_wrap=title not in ("folder", "note"))  # type: ignore[arg-type]
    for one in found:
        table.add_row(one.dataset, one.state, _count(one.found), _count(one.expected), _size(one.bytes),
                      printable(one.folder or ""), printable(one.note))  # fmt: skip
    width = None if sys.stdout.isatty() else 240
    Console(width=width, highlight=False, emoji=False, markup=False).print(table)


def _print_checks(checks: Sequence[DatasetCheck]) -> None:
    for one in checks:
        print(printable(f"{'holds' if one.holds else 'FAILS'}  {one.name}: {one.seen}"))
        for place in one.listed:
            print(printable(f"       {place}"))


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _size(count: int | None) -> str:
    if count is None:
        return ""
    unit, size = next(((u, s) for u, s in (("GB", 1e9), ("MB", 1e6)) if count >= s), ("kB", 1e3))
    return f"{count / size:.1f} {unit}"


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
