"""Mean ranks of methods over datasets as a page: from six independent datasets on, else the count that is missing."""

from __future__ import annotations

from collections.abc import Iterable

from ssliqa_bench.evaluation.constants import MINIMUM_DATASETS
from ssliqa_bench.leaderboard.page import (
    Block,
    Cell,
    CodeText,
    Column,
    Number,
    Page,
    PageTable,
    Paragraph,
    Section,
    phrase,
)
from ssliqa_bench.leaderboard.ranks import MeanRanks, mean_ranks, srcc_table
from ssliqa_bench.store.record import Record

NAME = "ranks/index"


def ranked_protocols(records: Iterable[Record]) -> dict[str, tuple[int, MeanRanks | None]]:
    """Each protocol with human scores on record: how many independent datasets, and the ranks where these suffice."""
    given = list(records)
    human = [own for own in given if any(result.dataset.kind != "demo" for result in own.results.values())]
    found: dict[str, tuple[int, MeanRanks | None]] = {}
    for protocol in sorted({record.cell.protocol for record in human}):
        table = srcc_table(given, protocol)
        count = len(set.intersection(*map(set, table.values()))) if table else 0
        ranks = mean_ranks(table) if count >= MINIMUM_DATASETS and len(table) > 1 else None
        found[protocol] = (count, ranks)
    return found


def rank_page(found: dict[str, tuple[int, MeanRanks | None]]) -> Page:
    """A section for each protocol."""
    blocks: list[Block] = [Paragraph(phrase(
        "Mean ranks of methods by SRCC over independent datasets with human scores, with Nemenyi's critical difference "
        "(Demšar 2006): two methods whose mean ranks differ by less are not distinguished. Fewer than "
        f"{MINIMUM_DATASETS} datasets distinguish nothing, so no ranks are given."
    ))]  # fmt: skip
    for protocol, (count, ranks) in found.items():
        inner: list[Block]
        if ranks is None:
            have = f"{count} independent dataset{'' if count == 1 else 's'} on record"
            inner = [Paragraph(phrase(f"{have}; {MINIMUM_DATASETS} are needed."))]
        else:
            columns = (Column("method", "Method", text=True), Column("rank", "Mean rank"))
            rows = tuple((Cell(phrase(CodeText(name))), Cell(Number(ranks.ranks[name]))) for name in ranks.order)
            words = phrase(f"Over {', '.join(ranks.datasets)}; critical difference {ranks.difference:.2f}.")
            inner = [Paragraph(words), PageTable(f"ranks-{protocol}-table", columns, rows)]
        blocks.append(Section(section_name(protocol), phrase("Protocol ", CodeText(protocol)), tuple(inner)))
    return Page(NAME, phrase("Mean ranks over datasets"), tuple(blocks))


def section_name(protocol: str) -> str:
    """The section of a protocol, which its diagram belongs to."""
    return f"ranks-{protocol}"
