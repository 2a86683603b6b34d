"""Build, write and check boards: a pure function of records, same records, same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import write_text
from ssliqa_bench.leaderboard.board_page import board_pages
from ssliqa_bench.leaderboard.collect import collect
from ssliqa_bench.leaderboard.not_run_page import not_run_page
from ssliqa_bench.leaderboard.page import Page
from ssliqa_bench.leaderboard.renderers import FORMATS, RENDERERS, SITE
from ssliqa_bench.leaderboard.renderers.markdown import MARKER
from ssliqa_bench.store.failures import Failure, without_records
from ssliqa_bench.store.record import Record

# What `leaderboard` writes unless asked for more.
DEFAULT_FORMATS = ("md", "csv")


def parse_formats(text: str) -> tuple[str, ...]:
    """Read `md,csv`; InputError for a format that boards are not written in."""
    formats = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known = ", ".join(FORMATS)
    for name in formats:
        if name not in FORMATS:
            raise InputError(f'--format: got "{name}"; expected one or more of {known}.')
    if not formats:
        raise InputError(f"--format: got nothing; expected one or more of {known}.")
    return formats


def build_pages(records: Iterable[Record], *, cost: bool = True, failures: Iterable[Failure] = ()) -> list[Page]:
    """All pages that follow from records, in any order of these, and from the runs that left none."""
    given = list(records)
    lacking = without_records(failures, (record.cell for record in given))
    pages = [page for board in collect(given, lacking) for page in board_pages(board, cost=cost)]
    return [*pages, not_run_page(lacking)] if lacking else pages


def build_boards(
    records: Iterable[Record], *, formats: Sequence[str] = DEFAULT_FORMATS, cost: bool = True
) -> dict[str, str]:
    """The text of every board by its path below the output folder: `standard.md`, `standard/livec--livec.md` …

    The order of the records does not matter. A page that a format has nothing of is left out there.
    """
    return render_pages(build_pages(records, cost=cost), formats)


def render_pages(pages: Iterable[Page], formats: Sequence[str]) -> dict[str, str]:
    """The text of pages in some formats, and of files that they link, by path; the site is left to `build_site`."""
    texts: dict[str, str] = {}
    for page in pages:
        for name in formats:
            if name == SITE:
                continue
            text = RENDERERS[name](page)
            if text is not None:
                texts[f"{page.name}.{name}"] = text
                texts.update(page.beside)
    return dict(sorted(texts.items()))


def write_boards(out: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write each board whole or not at all; returns the files in order."""
    paths = [out / name for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths


def check_boards(out: Path, texts: Mapping[str, str]) -> list[str]:
    """How the boards in a folder differ from those that follow from the records; empty where none does.

    A board beside them that follows from no record counts as a difference; beside a notice, boards of any kind may lie.
    """
    problems = []
    for name, text in texts.items():
        path = out / name
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif path.read_bytes() != text.encode():
            problems.append(f"{name}: differs")
    for folder in sorted({(out / name).parent for name in texts if not name.endswith(".txt")}):
        for path in sorted(folder.glob("*.md")):
            name = path.relative_to(out).as_posix()
            if name not in texts and path.read_text(encoding="utf-8", errors="replace").startswith(MARKER):
                problems.append(f"{name}: follows from no record")
    return problems
