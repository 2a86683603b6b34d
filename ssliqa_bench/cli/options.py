"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ssliqa_bench.bounds import LARGEST_SEED, MOST_PIXELS, MOST_PROCESSES
from ssliqa_bench.errors import InputError
from ssliqa_bench.paths import file_to_read, file_to_write, folder_to_read, folder_to_write


def _at_most(bound: int, value: int, option: str) -> int:
    """A number that is not too large. The bounds are far above common values, so `--help` does not list them.

    Raises:
        InputError: it is above the bound.
    """
    if value > bound:
        raise InputError(f"{option}: got {value}; expected at most {bound}.")
    return value


def seed_in_bounds(value: int | None) -> int | None:
    """A seed as it is given.

    Raises:
        InputError: it does not fit a signed integer of 64 bits.
    """
    return None if value is None else _at_most(LARGEST_SEED, value, "--seed")


def _limit_pixels(value: int | None) -> int | None:
    """Set the limit for this process and those that it starts; the caller of the command line restores it."""
    from ssliqa_bench.pixels.formats import MAX_PIXELS, max_pixels

    if value is not None:
        os.environ[MAX_PIXELS] = str(_at_most(MOST_PIXELS, value, "--max-pixels"))
    max_pixels()  # what the environment says is checked before anything is computed
    return value


def _known_device(value: str) -> str:
    """A device by its name; whether the machine has it is found out where it is used.

    Raises:
        InputError: no such name.
    """
    if value not in ("auto", "cpu", "cuda"):
        raise InputError(f'--device: got "{value}"; expected auto, cpu or cuda.')
    return value


# Headings of `--help`, in the order in which they are first met.
WHAT, DATA, TRAINING, MACHINE, OUTPUT = "What to run", "Data", "Training", "Machine", "Output"

_Check = Callable[[Path, str, str], Path]
# What begins like this is the address of a store elsewhere: `s3://bucket/runs`; pathlib folds its slashes.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/")


def _checked(check: _Check, expected: str, option: str) -> Callable[[Any], Path]:
    """What turns the text of a path option into a path, looked at before anything is computed."""

    def parse(text: Any) -> Path:
        if not str(text).strip():  # as a path it would be the current folder
            raise InputError(f"{option or 'FILE'}: the path is empty; expected {expected}.")
        path = Path(text)
        return path if _ADDRESS.match(str(text)) else check(path, expected, option)

    return parse


def input_file(option: str, expected: str) -> Callable[[Any], Path]:
    """Parser of an option that names a file to read."""
    return _checked(file_to_read, expected, option)


def input_folder(option: str, expected: str = "a folder") -> Callable[[Any], Path]:
    """Parser of an option that names a folder to read."""
    return _checked(folder_to_read, expected, option)


def output_file(option: str, expected: str = "a file to write") -> Callable[[Any], Path]:
    """Parser of an option that names a file to write."""
    return _checked(file_to_write, expected, option)


def output_folder(option: str, expected: str = "a folder, created if missing") -> Callable[[Any], Path]:
    """Parser of an option that names a folder to write to."""
    return _checked(folder_to_write, expected, option)


DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        parser=output_folder("--data-root"),
        metavar="DIR",
        help="Folder of the datasets' folders [$SSLIQA_DATA or data].",
        rich_help_panel=DATA,
    ),
]
Store = Annotated[
    Path,
    typer.Option(
        "--store",
        parser=output_folder("--store"),
        metavar="DIR",
        help="Folder of records and artifacts.",
        rich_help_panel=OUTPUT,
    ),
]
StoreToRead = Annotated[
    Path,
    typer.Option(
        "--store",
        parser=input_folder("--store", "a folder of records and artifacts"),
        metavar="DIR",
        help="Folder of records and artifacts.",
        rich_help_panel=OUTPUT,
    ),
]
Deep = Annotated[
    bool,
    typer.Option("--deep", help="Also reread all images and caches that are identified by size and time alone."),
]
Registries = Annotated[
    list[Path] | None,
    typer.Option(
        "--registry",
        parser=input_file("--registry", "a YAML file"),
        metavar="FILE",
        help="Registry file of your own, merged over the packaged one.",
        rich_help_panel=WHAT,
    ),
]
Device = Annotated[
    str, typer.Option("--device", callback=_known_device, help="auto, cpu or cuda.", rich_help_panel=MACHINE)
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        min=1,
        max=MOST_PROCESSES,
        metavar="N",
        help="CPU threads per run; they change results, so they are keyed.",
        rich_help_panel=MACHINE,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        max=MOST_PROCESSES,
        metavar="N",
        help="Processes that share the images of a slow metric [all cores].",
        rich_help_panel=MACHINE,
    ),
]
ImageLists = Annotated[
    list[Path] | None,
    typer.Option(
        "--list",
        parser=input_file("--list", "a list with one image per line"),
        metavar="FILE",
        help="File with one image per line.",
        rich_help_panel=DATA,
    ),
]
ImageJobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        max=MOST_PROCESSES,
        metavar="N",
        help="Processes that share the images [all cores].",
        rich_help_panel=MACHINE,
    ),
]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Name of a dataset.")]
Against = Annotated[
    str | None, typer.Option("--against", help="Other datasets on disk, none of whose images may be in this one: E,…")
]
Separator = Annotated[str, typer.Option("--separator", help="Character between the cells of the table [recognised].")]
Keep = Annotated[
    str, typer.Option("--keep", help="Weights kept after the run: phases, final or none.", rich_help_panel=OUTPUT)
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Skip unreadable and missing images and count them.", rich_help_panel=DATA)
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        callback=_limit_pixels,
        metavar="N",
        help="Largest image that is decoded [$SSLIQA_MAX_PIXELS or 250000000].",
        rich_help_panel=DATA,
    ),
]
AllowLeak = Annotated[
    str | None,
    typer.Option(
        "--allow-leak",
        help="Continue although images have two roles; boards show this reason.",
        rich_help_panel=DATA,
    ),
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Recompute results that the store holds.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=OUTPUT)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done; change nothing.", rich_help_panel=OUTPUT)
]
Protocol = Annotated[str, typer.Option("--protocol", metavar="NAME", help="Name of a protocol.", rich_help_panel=WHAT)]

DEFAULT_STORE = Path("runs")


def read_budget(text: str | None, option: str) -> int | float | None:
    """A count (whole number from 1) or a fraction (number with a dot, above 0, at most 1).

    Raises:
        InputError: neither.
    """
    if text is None:
        return None
    try:
        value: int | float = float(text) if any(c in text for c in ".eE") else int(text)
    except ValueError:
        value = -1
    if (isinstance(value, int) and value >= 1) or (isinstance(value, float) and 0 < value <= 1):
        return value
    raise InputError(f"{option}: got {text}; expected a count such as 200, or a fraction such as 0.25.")


def read_separator(text: str) -> str:
    """The character between the cells of a table: itself, or a word for it; "" lets it be recognised.

    Raises:
        InputError: several characters that are no such word.
    """
    words = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "space": " ", "blank": " "}
    separator = words.get(text.lower(), text)
    if len(separator) > 1:
        raise InputError(f'--separator: got "{text}"; expected one character, or comma, semicolon, tab, bar or space.')
    return separator


def read_pairs(text: str | None) -> dict[str, str]:
    """Our names of columns -> those of a file.

    Raises:
        InputError: not of the form ours=theirs.
    """
    pairs = [part.partition("=") for part in (text or "").split(",") if part]
    if not all(equals and key and value for key, equals, value in pairs):
        raise InputError(f"--columns: got {text}; expected ours=theirs, for example image=filename,score=mos.")
    return {key.strip(): value.strip() for key, _, value in pairs}


def processes(jobs: int | None, threads: int) -> int:
    """Processes for a slow metric: as asked for, else as many as the cores of this process allow."""
    return max(1, len(os.sched_getaffinity(0)) // max(1, threads)) if jobs is None else jobs


def settings_of(**given: Any) -> Any:
    """Settings from the options of a command, defaults from the environment."""
    from ssliqa_bench.runner.settings import Settings

    return Settings.from_environment(**given)
