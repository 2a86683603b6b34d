"""Published figures beside ours as pages: an overview with the count of states, and one page for each source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ssliqa_bench.leaderboard.data_page import data_section, human_datasets, notice_texts
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
    Column,
    Item,
    Items,
    Link,
    Number,
    Page,
    PageTable,
    Paragraph,
    Phrase,
    Section,
    joined,
    phrase,
)
from ssliqa_bench.leaderboard.published import COLUMNS, STATES, Match, Printed, Publication, PublishedFigures, Shelf
from ssliqa_bench.store.record import Record

FOLDER = "published"
_TITLES = {
    "plcc": "PLCC", "srcc": "SRCC", "krcc": "KRCC", "rmse": "RMSE", "mae": "MAE", "mae3": "MAE 3", "mae4": "MAE 4",
    "mae34": "MAE 3, 4", "main_score": "SRCC + PLCC", "params_m": "Parameters (millions)", "n_images": "Images",
    "param_ratio_pct": "Parameters (%)", "delta_plcc_pct": "Gain in PLCC (%)", "delta_srcc_pct": "Gain in SRCC (%)",
}  # fmt: skip
_ABOUT_STATES = {
    "reproduced": "our records hold a figure to compare it with; the difference is ours minus theirs",
    "runnable with data": "the registry holds method and protocol, the data must be at hand; no record yet",
    "labels not public": "the scores of these images were never published, so nobody outside can compute it",
    "no verifiable source": "the registry holds no code that is known to give this figure",
}


@dataclass(frozen=True)
class ComparedFigure:
    """A printed figure with what is known here."""

    row: Printed
    match: Match


def published_pages(records: Iterable[Record], published: PublishedFigures | None = None) -> list[Page]:
    """The overview and the page of every source."""
    given = PublishedFigures() if published is None else published
    shelf = Shelf(records)
    looked = {
        name: [
            (table, [ComparedFigure(row, shelf.match(row, source)) for row in rows])
            for table, rows in given.tables(name)
        ]
        for name, source in given.sources.items()
    }
    pages = [_source_page(given.sources[name], tables) for name, tables in looked.items()]
    return [_overview(given, looked), *pages]


def _overview(given: PublishedFigures, looked: dict[str, list[tuple[str, list[ComparedFigure]]]]) -> Page:
    rows = []
    for name, tables in looked.items():
        own = [one for _, found in tables for one in found]
        link = phrase(Link(given.sources[name].title, f"{FOLDER}/{name}"))
        rows.append((Cell(link), *_counts(own), _count(len(own))))
    everything = [one for tables in looked.values() for _, found in tables for one in found]
    rows.append((Cell(phrase("all")), *_counts(everything), _count(len(everything))))
    columns = (
        Column("source", "Source", text=True),
        *(Column(state.replace(" ", "_"), state) for state in STATES),
        Column("all", "printed figures"),
    )
    blocks: list[Block] = [
        Paragraph(phrase("Every figure that the tables of these sources print, and what is known of it here.")),
        PageTable("states", columns, tuple(rows)),
        Items(tuple(Item(phrase(f"{state}: {text}")) for state, text in _ABOUT_STATES.items())),
    ]
    reproduced = [one for one in everything if one.match.state == "reproduced"]
    if reproduced:
        blocks.append(Section("reproduced", phrase("Reproduced"), (_reproduced(reproduced, given), _about_interval())))
    blocks += data_section(named := _datasets(everything))
    title = phrase("Published figures beside ours")
    return Page(f"{FOLDER}/index", title, tuple(blocks), _data(everything), notice_texts(named))


def _source_page(source: Publication, tables: Sequence[tuple[str, list[ComparedFigure]]]) -> Page:
    everything = [one for _, found in tables for one in found]
    counts = Counter(one.match.state for one in everything)
    told = joined((f"{counts[state]} {state}" for state in STATES if counts[state]), ", ")
    where: list[str | CodeText | Link | Phrase] = []
    if source.citation:
        where += ["Source: ", CodeText(source.citation), ". "]
    if source.address:
        where += ["Source: ", Link(source.title, source.address), ". "]
    blocks: list[Block] = [Paragraph(phrase(*where, f"{len(everything)} printed figures: ", told, "."))]
    if source.differs:
        blocks.append(Items(tuple(Item(phrase(text)) for text in source.differs)))
    for table, found in tables:
        more = source.tables[table].get("differs", ())
        body: list[Block] = [Items(tuple(Item(phrase(text)) for text in more))] if more else []
        body.append(_table(source, table, found))
        kind = "" if table.startswith("text") else "Table "
        heading = f"{kind}{table}: {source.tables[table]['title']}"
        blocks.append(Section(_name(table), phrase(heading), tuple(body)))
    blocks += data_section(named := _datasets(everything))
    title = phrase(f"{source.title}: published figures beside ours")
    return Page(f"{FOLDER}/{source.name}", title, tuple(blocks), beside=notice_texts(named))


def _datasets(found: Iterable[ComparedFigure]) -> list[str]:
    """The datasets with human scores behind our own figures."""
    return human_datasets(run for one in found for run in one.match.runs)


def _table(source: Publication, table: str, found: Sequence[ComparedFigure]) -> PageTable:
    """A row for each printed row and test set, the printed figures before ours."""
    lines: dict[tuple[str, ...], dict[str, ComparedFigure]] = {}
    for one in found:
        row = one.row
        own = (row.row_group, row.method, row.variant, row.labeled, row.unlabeled, row.test)
        lines.setdefault(own, {})[row.metric] = one
    metrics = list(dict.fromkeys(one.row.metric for one in found))
    heads = ("group", "method", "variant", "labeled", "unlabeled", "test")
    kept = [k for k in range(len(heads)) if any(place[k] for place in lines)]
    ours = [m for m in metrics if any(one.match.stat for line in lines.values() for n, one in line.items() if n == m)]
    columns = (
        *(Column(heads[k], heads[k].capitalize(), text=True) for k in kept),
        *(Column(m, _TITLES[m]) for m in metrics),
        *(Column(f"{m}_here", f"{_TITLES[m]} here", parts=("value", "lo", "hi")) for m in ours),
        *(Column(f"{m}_difference", "Difference", parts=("value", "lo", "hi")) for m in ours),
        Column("state", "State", text=True),
    )
    rows = []
    for place, line in lines.items():
        empty = Cell()
        rows.append((
            *(Cell(phrase(place[k])) if place[k] else Cell(phrase("")) for k in kept),
            *(_printed(line[m].row) if m in line else empty for m in metrics),
            *(_here(line[m].match) if m in line else empty for m in ours),
            *(_difference(line[m]) if m in line else empty for m in ours),
            _state(source, table, list(line.values())),
        ))  # fmt: skip
    return PageTable(_name(table), columns, tuple(rows))


def _reproduced(found: Sequence[ComparedFigure], given: PublishedFigures) -> PageTable:
    columns = (
        Column("source", "Source", text=True), Column("method", "Method", text=True),
        Column("test", "Test", text=True), Column("metric", "Metric", text=True), Column("published", "Published"),
        Column("here", "Here", parts=("value", "lo", "hi")),
        Column("difference", "Difference", parts=("value", "lo", "hi")), Column("runs", "Runs"),
        Column("protocol", "Protocol here", text=True),
    )  # fmt: skip
    rows = []
    for one in found:
        row, match = one.row, one.match
        title = given.sources[row.paper].title
        notes = tuple(phrase(text.rstrip(".")) for text in match.differs)
        block = f" ({row.row_group})" if row.row_group else ""
        rows.append((
            Cell(phrase(f"{title}, table {row.table}{block}")),
            Cell(phrase(CodeText(match.ours.method if match.ours else row.method))), Cell(phrase(row.test)),
            Cell(phrase(_TITLES[row.metric])), _printed(row), _here(match), _difference(one), _count(len(match.runs)),
            Cell(phrase(CodeText(match.ours.protocol if match.ours else "")), notes=notes),
        ))  # fmt: skip
    return PageTable("reproduced", columns, tuple(rows))


def _about_interval() -> Paragraph:
    return Paragraph(phrase(
        "Intervals are of our figure at 95 %: over random splits by the corrected t distribution (Nadeau and Bengio "
        "2003), of one run over draws of its images. A printed figure has no interval of its own and counts as exact, "
        "so the difference carries the interval of ours alone. PLCC is compared after the fitted mapping, with "
        "pyiqa's without one, as its figures are."
    ))  # fmt: skip


def _printed(row: Printed) -> Cell:
    """The figure with the decimals that were printed."""
    std = f" ± {row.std}" if row.std else ""
    return Cell(phrase(f"{row.value}{std}"))


def _here(match: Match) -> Cell:
    if match.stat is None:
        return Cell()
    return Cell(Number(match.stat.value, lo=match.lo, hi=match.hi, n=match.stat.n))


def _difference(one: ComparedFigure) -> Cell:
    match = one.match
    if match.stat is None or match.stat.value is None:
        return Cell()
    lo, hi = (None if end is None else end - one.row.number for end in (match.lo, match.hi))
    return Cell(Number(match.stat.value - one.row.number, "signed", lo=lo, hi=hi))


def _state(source: Publication, table: str, line: Sequence[ComparedFigure]) -> Cell:
    """The states of a row; what differs beyond what is stated above the table is a note."""
    states = list(dict.fromkeys(one.match.state for one in line))
    told = {*source.differs, *source.tables[table].get("differs", ())}
    more = dict.fromkeys(text for one in line for text in one.match.differs if text not in told)
    reproduced = "reproduced" in states
    notes = tuple(phrase(text.rstrip(".")) for text in more) if reproduced else ()
    return Cell(phrase(", ".join(states)), notes=notes)


def _data(found: Sequence[ComparedFigure]) -> PageTable:
    """One line for each printed figure, for formats that hold one table."""
    columns = (
        *(Column(name, name, text=True) for name in COLUMNS),
        Column("state", "state", text=True),
        *(Column(name, name) for name in ("here", "here_lo", "here_hi", "difference", "runs")),
        *(Column(name, name, text=True) for name in ("our_method", "our_pair", "our_protocol", "differs", "command")),
    )
    rows = []
    for one in found:
        match, ours, stat = one.match, one.match.ours, one.match.stat
        value = None if stat is None else stat.value
        numbers = (value, match.lo, match.hi, None if value is None else value - one.row.number)
        texts = ("", "", "") if ours is None else (ours.method, ours.pairs[0], ours.protocol)
        if match.runs and ours is not None:
            texts = (ours.method, match.runs[0].cell.pair, ours.protocol)
        rows.append((
            *(Cell(phrase(getattr(one.row, name))) for name in COLUMNS),
            Cell(phrase(match.state)),
            *(Cell(None if number is None else Number(number, "exact")) for number in numbers),
            Cell(Number(len(match.runs), "count") if match.runs else None),
            *(Cell(phrase(text)) for text in (*texts, " ".join(match.differs), match.command)),
        ))  # fmt: skip
    return PageTable("published", columns, tuple(rows))


def _counts(found: Sequence[ComparedFigure]) -> tuple[Cell, ...]:
    counts = Counter(one.match.state for one in found)
    return tuple(_count(counts[state]) for state in STATES)


def _count(number: int) -> Cell:
    return Cell(Number(number, "count"))


def _name(table: str) -> str:
    return "table-" + "".join(c if c.isalnum() else "-" for c in table.lower())
