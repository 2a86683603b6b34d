"""Build, write and check boards: a pure function of records, same records, same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import write_text
from ssliqa_bench.leaderboard.collect import Board, collect
from ssliqa_bench.leaderboard.csv_table import render_csv
from ssliqa_bench.leaderboard.markdown import MARKER, render_markdown
from ssliqa_bench.store.record import Record

RENDERERS: Mapping[str, Callable[..., str]] = {"md": render_markdown, "csv": render_csv}


def parse_formats(text: str) -> tuple[str, ...]:
    """Read `md,csv`; InputError for a format that boards are not written in."""
    formats = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in formats:
        if name not in RENDERERS:
            raise InputError(f'--format: got "{name}"; expected one or more of {", ".join(RENDERERS)}.')
    if not formats:
        raise InputError(f"--format: got nothing; expected one or more of {', '.join(RENDERERS)}.")
    return formats


def build_boards(
    records: Iterable[Record], *, formats: Sequence[str] = tuple(RENDERERS), cost: bool = True
) -> dict[str, str]:
    """The text of every board by its path below the output folder: `standard.md`, `demo/standard.csv` …

    The order of the records does not matter.
    """
    texts: dict[str, str] = {}
    for board in collect(records):
        for name in formats:
            texts[f"{_stem(board)}.{name}"] = RENDERERS[name](board, cost=cost)
    return dict(sorted(texts.items()))


def _stem(board: Board) -> str:
    return f"demo/{board.protocol}" if board.demo else board.protocol


def write_boards(out: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write each board whole or not at all; returns the files in order."""
    paths = [out / name for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths


def check_boards(out: Path, texts: Mapping[str, str]) -> list[str]:
    """How the boards in a folder differ from those that follow from the records; empty where none does.

    A board that stands beside them and follows from no record counts as a difference.
    """
    problems = []
    for name, text in texts.items():
        path = out / name
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif path.read_bytes() != text.encode():
            problems.append(f"{name}: differs")
    for folder in sorted({(out / name).parent for name in texts}):
        for path in sorted(folder.glob("*.md")):
            name = path.relative_to(out).as_posix()
            if name not in texts and path.read_text(encoding="utf-8", errors="replace").startswith(MARKER):
                problems.append(f"{name}: follows from no record")
    return problems
