"""The few-label board as pages: one for each pair, dataset and protocol with SRCC against the number of labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ssliqa_bench.leaderboard.bar import PROBE, SLACK, Reason
from ssliqa_bench.leaderboard.data_page import data_section, human_datasets, notice_texts
from ssliqa_bench.leaderboard.few_labels import LABELS_ONLY, Extra, FewLabels, Point, few_labels
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
    Column,
    Mark,
    Number,
    Page,
    PageTable,
    Paragraph,
    Phrase,
    Section,
    joined,
    phrase,
)
from ssliqa_bench.store.comparable import newest_of_cells
from ssliqa_bench.store.record import Record

NAME = "few-labels/index"


def section_name(number: int) -> str:
    """The section of a pair, dataset, protocol and recipe, which its curves belong to."""
    return f"few-labels-{number}"


def few_label_pages(records: Iterable[Record]) -> list[Page]:
    """One page with a section for each pair, dataset, protocol and recipe; none where nothing was learned."""
    given = list(records)
    found = few_labels(given)
    if not found:
        return []
    blocks: list[Block] = [_about(), *(_section(one, number) for number, one in enumerate(found))]
    if unofficial := sum(any(own.uses_unofficial(name) for name in own.results) for own in newest_of_cells(given)):
        records_left = f"{unofficial} record{'s' if unofficial > 1 else ''}"
        blocks.append(Paragraph(phrase(f"Left out: {records_left} with ", Mark("unofficial labels"), ".")))
    named = human_datasets(given)
    blocks += data_section(named)
    title = phrase("SRCC against the number of labels")
    return [Page(NAME, title, tuple(blocks), _data(found), notice_texts(named))]


def _about() -> Paragraph:
    return Paragraph(phrase(
        "SRCC on test images (within parts, for datasets ranked that way), mean or median over the splits, with "
        "the 95 % interval of the corrected t distribution. In labels: how many further labels ", CodeText(LABELS_ONLY),
        " needs for the same SRCC, read off its curve "
        "between measured numbers of labels; nothing is claimed beyond them. Metrics learn nothing here: ",
        Mark("seen"), " means that their weights were trained on the dataset, ", Mark("?"), " that this is not known."
    ))  # fmt: skip


def drawn(one: FewLabels) -> bool:
    """Whether there is a curve to draw: a method at two numbers of labels."""
    return any(len(curve.points) > 1 for curve in one.curves)


def _section(one: FewLabels, number: int) -> Section:
    counts = sorted({point.labels for curve in one.curves for point in curve.points})
    # Without a labels-only curve no gain has a size in labels; the paragraph below the table states that.
    sized = counts if one.reference is not None and len(one.reference.points) > 1 else []
    columns = (
        Column("method", "Method", text=True),
        *(Column(f"srcc_{count}", f"{count:,} labels", parts=("value", "lo", "hi")) for count in counts),
        *(Column(f"extra_{count}", f"in labels at {count:,}", text=True) for count in sized),
    )
    rows = []
    for curve in sorted(one.curves, key=lambda own: -(own.points[-1].stat.value or 0.0)):
        at = {point.labels: point for point in curve.points}
        gains = [None if count not in at or curve.method == LABELS_ONLY else one.extra(at[count]) for count in counts]
        rows.append((
            Cell(phrase(CodeText(curve.method))),
            *(_srcc(at.get(count)) for count in counts),
            *(Cell(phrase(_words(gain))) for gain in gains[: len(sized)]),
        ))  # fmt: skip
    for line in sorted(one.lines, key=lambda own: -(own.point.stat.value or 0.0)):
        shown = _srcc(line.point)
        rows.append((
            Cell(phrase(CodeText(line.method)), mark=line.mark), *(shown for _ in counts), *(Cell() for _ in sized),
        ))  # fmt: skip
    blocks: list[Block] = [PageTable(f"few-labels-{number}", columns, tuple(rows))]
    reference = one.reference
    if reference is None:
        blocks.append(Paragraph(phrase("No record of ", CodeText(LABELS_ONLY), ", so gains have no size in labels.")))
    elif len(reference.points) < 2:
        blocks.append(Paragraph(phrase(
            CodeText(LABELS_ONLY), " is on record at one number of labels; two are needed to read off a gain in labels."
        )))  # fmt: skip
    blocks += _without_gain(one) if sized else []
    more = f", recipe {one.recipe}{', demo data' if one.demo else ''}"
    more += "" if one.measure == "SRCC" else f": {one.measure}"
    title = phrase(f"{one.dataset}, learned on {one.pair}, protocol ", CodeText(one.protocol), more)
    return Section(section_name(number), title, tuple(blocks))


def _without_gain(one: FewLabels) -> Iterator[Paragraph]:
    """With which numbers of labels, and why, gains have no size."""
    how: dict[Reason, Phrase] = {
        "below": phrase(f"is more than {SLACK} below the linear ", CodeText(PROBE), " on the same splits"),
        "unknown": phrase("is not known to reach the linear ", CodeText(PROBE)),
    }
    for reason, said in how.items():
        points = (point for curve in one.curves for point in curve.points)
        if counts := sorted({point.labels for point in points if point.without_gain == reason}):
            numbers = joined((f"{count:,}" for count in counts), " and ")
            yield Paragraph(phrase(
                "With ", numbers, " labels, labels-only training ", said, ", so gains from unlabeled images have no "
                "size in labels."
            ))  # fmt: skip


def _srcc(point: Point | None) -> Cell:
    if point is None:
        return Cell()
    return Cell(Number(point.stat.value, spread=point.stat.spread, lo=point.lo, hi=point.hi, n=point.stat.n))


def _words(gain: Extra | None) -> str:
    if gain is None:
        return "–"
    if gain.count is not None:
        return f"{gain.count:+,.0f}"
    return f"more than {gain.bound:+,.0f}" if gain.side == "more" else f"less than {gain.bound:+,.0f}"


def _data(found: Sequence[FewLabels]) -> PageTable:
    columns = (
        *(Column(name, name, text=True) for name in ("pair", "dataset", "protocol", "recipe", "measure", "method")),
        Column("labels", "labels"),
        Column("srcc", "srcc"), Column("srcc_lo", "srcc_lo"), Column("srcc_hi", "srcc_hi"), Column("runs", "runs"),
        Column("extra_labels", "extra_labels"), Column("mark", "mark", text=True),
    )  # fmt: skip
    rows = []
    for one in found:
        place = (one.pair, one.dataset, one.protocol, one.recipe, one.measure)
        points = [(curve.method, point, one.extra(point) if curve.method != LABELS_ONLY else None, "")
                  for curve in one.curves for point in curve.points]  # fmt: skip
        points += [(line.method, line.point, None, line.mark or "metric") for line in one.lines]
        for method, point, gain, mark in points:
            numbers = (point.stat.value, point.lo, point.hi)
            rows.append((
                *(Cell(phrase(text)) for text in (*place, method)),
                Cell(Number(point.labels, "count")),
                *(Cell(None if value is None else Number(value, "exact")) for value in numbers),
                Cell(Number(point.stat.n, "count")),
                Cell(None if gain is None or gain.count is None else Number(gain.count, "exact")),
                Cell(phrase(mark)),
            ))  # fmt: skip
    return PageTable("few-labels", columns, tuple(rows))
