"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ssliqa_bench.errors import InputError

DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="Folder of the datasets' folders [$SSLIQA_DATA or data].")
]
Store = Annotated[Path, typer.Option("--store", help="Folder of records and artifacts.")]
Registries = Annotated[
    list[Path] | None, typer.Option("--registry", help="Registry file of your own, merged over the packaged one.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option("--threads", help="CPU threads per run; they change results, so they are keyed.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", help="Processes that share the images of a slow metric [all cores].")
]
ImageJobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Processes that share the images [all cores].")
]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Name of a dataset.")]
Against = Annotated[
    str | None, typer.Option("--against", help="Datasets on disk none of whose images may be in this one: E,…")
]
Keep = Annotated[str, typer.Option("--keep", help="Weights kept after the run: phases, final or none.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Go on without unreadable images and count them.")]
AllowLeak = Annotated[
    str | None, typer.Option("--allow-leak", help="Go on although images stand in two roles, for this reason.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Compute again what the store holds.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Protocol = Annotated[str, typer.Option("--protocol", help="Name of a protocol.")]

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
