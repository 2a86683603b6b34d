"""`rate`: score one's own photographs on a local page."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ssliqa_bench.cli import options
from ssliqa_bench.errors import InputError
from ssliqa_bench.text import RENAMING, is_utf8, printable

_EXAMPLES = """Examples:

ssliqa-bench rate photos --labels scores.csv --rater anna

ssliqa-bench rate more --labels more-scores.csv --rater ben --only next.csv"""


def rate(
    folder: Annotated[
        Path,
        typer.Argument(
            parser=options.input_folder("", "a folder of photographs"), metavar="DIR", help="Folder of photographs."
        ),
    ],
    labels: Annotated[
        Path,
        typer.Option(
            "--labels",
            parser=options.output_file("--labels"),
            metavar="FILE",
            help="Label file to write; individual ratings go to NAME.ratings.csv beside it.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = Path("scores.csv"),
    rater: Annotated[
        str, typer.Option("--rater", metavar="NAME", help="Name of the rater.", rich_help_panel=options.DATA)
    ] = "me",
    only: Annotated[
        Path | None,
        typer.Option(
            "--only",
            parser=options.input_file("--only", "a table with the column image, as next-labels writes it"),
            metavar="FILE",
            help="Rate only the images of this table.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            show_default=False,
            help="Port [a free one].",
            rich_help_panel=options.MACHINE,
        ),
    ] = 0,
    no_browser: Annotated[
        bool,
        typer.Option("--no-browser", help="Print the address without opening it.", rich_help_panel=options.MACHINE),
    ] = False,
    max_pixels: options.MaxPixels = None,
    json: options.Json = False,
) -> int:
    """Rate photographs from 1 (bad) to 5 (excellent) in the browser, one at a time, with the keys 1 to 5.

    Every rating is saved at once; the same command resumes. Several people can rate, one after the other, each under
    their own name. The page can be opened only on this machine.
    """
    from ssliqa_bench.photos.ratings import one_at_a_time

    names = _names(folder, only)
    if strange := [name for name in names if not is_utf8(name)]:
        raise InputError(f"{folder}: {len(strange)} of {len(names)} image names are not valid UTF-8 (first: "
                         f"{printable(strange[0])}); the label file is text. {RENAMING}")  # fmt: skip
    with one_at_a_time(labels):
        return _served(folder, names, labels, rater, port, no_browser, json)


def _served(folder: Path, names: list[str], labels: Path, rater: str, port: int, no_browser: bool, json: bool) -> int:
    """Serve the page until it is stopped; the exit code."""
    from ssliqa_bench.cli.output import print_json
    from ssliqa_bench.photos.rating_page import RatingServer
    from ssliqa_bench.photos.ratings import Ratings
    from ssliqa_bench.stop import Stopped

    ratings = Ratings.open(labels, names, rater)
    if not ratings.open_images:
        if json:
            print_json(_document(ratings, {}))
        else:
            print(f"{ratings.rater} has rated all {len(names):,} images; {labels} holds the scores.")
        return 0
    try:
        server = RatingServer(ratings, [folder / name for name in names], port)
    except OSError as error:
        raise InputError(
            f"--port {port}: is not available ({error.strerror}); leave it out to use a free one."
        ) from error
    with server, contextlib.suppress(Stopped):
        print(f"Open {server.address}", flush=True, file=sys.stderr if json else sys.stdout)
        _say(f"{len(ratings.open_images):,} of {len(names):,} images are left for {ratings.rater}. Ctrl-C ends; every "
             f"rating is saved.")  # fmt: skip
        _open(server.address, no_browser)
        server.serve_forever()
    ratings.export()
    unreadable = {names[place]: reason for place, reason in sorted(server.unreadable.items())}
    if json:
        print_json(_document(ratings, unreadable))
        return 1 if unreadable else 0
    told = ", ".join(f"{who} {count:,}" for who, count in sorted(ratings.counts().items()))
    print(
        printable(
            f"{labels}: scores of {len({image for image, _ in ratings.found}):,} images ({told or 'no ratings'})."
        )
    )
    for name, reason in unreadable.items():
        _say(f"{name} was left out: {reason}")
    return 1 if unreadable else 0


def _document(ratings: Any, unreadable: dict[str, str]) -> dict[str, Any]:
    """What was rated, as JSON."""
    rated = len({image for image, _ in ratings.found})
    return {"labels": str(ratings.labels), "images": rated, "raters": dict(ratings.counts()), "unreadable": unreadable}


def register(app: typer.Typer) -> None:
    """Attach the command of this file."""
    app.command("rate", epilog=_EXAMPLES)(rate)


def _names(folder: Path, only: Path | None) -> list[str]:
    """Names of the photographs relative to their folder."""
    from ssliqa_bench.photos.listing import find_images
    from ssliqa_bench.tabular import read_rows

    if only is None:
        return [Path(path).relative_to(folder).as_posix() for path in find_images([str(folder)])]
    names = list(dict.fromkeys(read_rows(only, "").column("image")))
    base = os.path.realpath(folder)
    for name in names:
        path = os.path.realpath(folder / name)
        if os.path.commonpath([path, base]) != base or not os.path.isfile(path):
            raise InputError(f"--only {only}: {name} is no file below {folder}.")
    if not names:
        raise InputError(f"--only {only}: names no image.")
    return names


def _open(address: str, no_browser: bool) -> None:
    """Open the address where there is a display."""
    import webbrowser

    display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if no_browser or not display or not webbrowser.open(address):
        _say("No browser was opened; open the address yourself. From another machine, forward the port with ssh -L.")


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
