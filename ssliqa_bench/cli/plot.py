"""`plot`: figures of records as PNG, SVG or PDF."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.cli.options import DEFAULT_STORE
from ssliqa_bench.errors import InputError
from ssliqa_bench.text import printable

if TYPE_CHECKING:
    from ssliqa_bench.store.record import Record

plot_app = typer.Typer(help="Draw records: PNG, SVG or PDF, by the suffix of --out.", no_args_is_help=True)

_Run = Annotated[str, typer.Argument(metavar="RUN", help="First digits of a record's key.")]
_Out = Annotated[
    Path,
    typer.Option(
        "--out", parser=options.output_file("--out", "a file ending in .png, .svg or .pdf"), metavar="FILE",
        help="The figure: .png, .svg or .pdf.",
    ),
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Attach the commands of this file."""
    app.add_typer(plot_app, name="plot")


@plot_app.command("scatter")
def scatter(
    run: _Run, out: _Out, store: options.StoreToRead = DEFAULT_STORE, json: options.Json = False
) -> int:
    """Scores over predictions with the fitted curve, one panel for each dataset."""
    _require("matplotlib")
    from ssliqa_bench.leaderboard import figures
    from ssliqa_bench.store.records import read_predictions

    record = _record(store, run)
    shown = [name for name, own in record.results.items() if not own.withheld]
    for name in record.withheld:
        print(f"{name}: not recomputable here: its names and scores were not passed on.", file=sys.stderr)
    if not shown:
        raise InputError(f"Record {record.key[:12]} holds no scores that were passed on, so there is nothing to draw.")
    figures.save(figures.scatter(record, {name: read_predictions(store, record.key, name) for name in shown}), out)
    return _wrote(out, json)


@plot_app.command("log")
def log(run: _Run, out: _Out, store: options.StoreToRead = DEFAULT_STORE, json: options.Json = False) -> int:
    """What training logged, epoch by epoch, for each stage."""
    _require("matplotlib")
    from ssliqa_bench.leaderboard import figures

    figures.save(figures.log(_record(store, run)), out)
    return _wrote(out, json)


@plot_app.command("curve")
def curve(
    out: _Out,
    methods: Annotated[list[str] | None, typer.Argument(metavar="[METHOD …]", help="Methods to draw [all].")] = None,
    dataset: Annotated[
        str, typer.Option("--dataset", help="The tested dataset [the one with most label counts].")
    ] = "",
    store: options.StoreToRead = DEFAULT_STORE,
    json: options.Json = False,
) -> int:
    """SRCC against the number of labels, with intervals; metrics as lines marked `seen` or `?`."""
    _require("matplotlib")
    from dataclasses import replace

    from ssliqa_bench.leaderboard import figures
    from ssliqa_bench.leaderboard.few_labels import few_labels
    from ssliqa_bench.store.records import iter_records

    found = [one for one in few_labels(iter_records(store)) if not dataset or one.dataset == dataset]
    if methods:
        known = {own.method for one in found for own in one.curves}
        known |= {own.method for one in found for own in one.lines}
        if missing := [name for name in methods if name not in known]:
            raise InputError(f"{missing[0]}: {store} holds no record of it; found "
                             f"{', '.join(sorted(known)) or 'none'}.")  # fmt: skip
        found = [
            replace(one, curves=tuple(own for own in one.curves if own.method in methods),
                    lines=tuple(own for own in one.lines if own.method in methods))
            for one in found
        ]  # fmt: skip
        found = [one for one in found if one.curves]
    if not found:
        raise InputError(f"{store}: no record of a learner{f' on {dataset}' if dataset else ''}, so there is no curve.")
    # The one with the most numbers of labels; several pairs or recipes have a figure each on request.
    chosen = max(found, key=lambda one: max(len(own.points) for own in one.curves))
    if len(found) > 1:
        names = ", ".join(f"{one.pair} on {one.dataset}" for one in found if one is not chosen)
        print(f"Drawn: {chosen.pair} on {chosen.dataset}. Not drawn: {names}.", file=sys.stderr)
    figures.save(figures.curve(chosen), out)
    return _wrote(out, json)


@plot_app.command("compare")
def compare(
    out: _Out,
    methods: Annotated[list[str] | None, typer.Argument(metavar="[METHOD …]", help="Methods to rank [all].")] = None,
    protocol: Annotated[str, typer.Option("--protocol", help="Protocol of the records.")] = "standard",
    store: options.StoreToRead = DEFAULT_STORE,
    json: options.Json = False,
) -> int:
    """Critical-difference diagram: mean ranks of methods over six or more datasets."""
    _require("matplotlib")
    from ssliqa_bench.leaderboard import figures
    from ssliqa_bench.leaderboard.ranks import srcc_table
    from ssliqa_bench.store.records import iter_records

    records = list(iter_records(store))
    there = sorted({record.cell.protocol for record in records})
    if records and protocol not in there:
        raise InputError(f"--protocol: no record of {protocol} in {store}; expected {' or '.join(there)}.")
    figures.save(figures.critical_difference(srcc_table(records, protocol, methods)), out)
    return _wrote(out, json)


@plot_app.command("cam")
def cam(
    run: _Run,
    images: Annotated[
        list[Path],
        typer.Argument(parser=options.input_file("", "a photograph"), metavar="IMAGE …", help="Images to explain."),
    ],
    out: _Out,
    store: options.StoreToRead = DEFAULT_STORE,
    json: options.Json = False,
) -> int:
    """Grad-CAM: where images raise the prediction, one row for each stage and network whose weights were kept."""
    _require("matplotlib")
    _require("pytorch_grad_cam", extra="cam")
    from ssliqa_bench.integrations.gradcam import activation_map, stage_networks
    from ssliqa_bench.leaderboard import figures
    from ssliqa_bench.models.images import each_image, pixels_of

    record = _record(store, run)
    networks = stage_networks(store, record)
    told = record.facts.model
    assert told is not None  # `stage_networks` refuses a record without
    crop = int(told.params.get("crop", 0))
    pictures = [(Path(name).name, pixels_of(image, name, told.short_side)) for name, image in each_image(images)]
    maps = {row: [activation_map(own, pixels, crop) for _, pixels in pictures] for row, own in networks.items()}
    drawn = {row.partition(", network ")[0] for row in networks}
    for stage in record.facts.stages:
        if stage.name not in drawn:
            print(printable(f"Stage {stage.name} is not drawn: its weights were not kept, or belong to another kind of "
                            f"network."), file=sys.stderr)  # fmt: skip
    figures.save(figures.activations(record, [name for name, _ in pictures], maps), out)
    return _wrote(out, json)


def _record(store: Path, run: str) -> Record:
    from ssliqa_bench.store.records import find_record, read_record

    return read_record(store, find_record(store, run))


def _require(*packages: str, extra: str = "plots") -> None:
    """Refuse where a package of an extra is missing, without importing it.

    Raises:
        InputError: names the extra.
    """
    missing: Sequence[str] = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"plot: {', '.join(missing)} is not installed: pip install 'ssliqa-bench[{extra}]'.")


def _wrote(out: Path, json: bool) -> int:
    from ssliqa_bench.cli.output import print_json

    if json:
        print_json({"file": str(out)})
    else:
        print(f"Wrote {out}", file=sys.stderr)
    return 0
