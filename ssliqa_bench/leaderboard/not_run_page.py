"""The page of runs that were asked for and left no record: which, and why."""

from __future__ import annotations

from collections.abc import Iterable

from ssliqa_bench.leaderboard.collect import absent
from ssliqa_bench.leaderboard.page import Cell, CodeText, Column, Page, PageTable, Paragraph, Phrase, phrase
from ssliqa_bench.leaderboard.words import setting
from ssliqa_bench.store.failures import Failure
from ssliqa_bench.store.record import Budget

NAME = "not-run"
_COLUMNS = (("protocol", "Protocol"), ("pair", "Pair"), ("labels", "Budget"), ("method", "Method"),
            ("recipe", "Recipe"), ("state", "State"), ("seeds", "Seeds"), ("why", "Message"))  # fmt: skip


def not_run_page(failures: Iterable[Failure]) -> Page:
    """One table of all runs without a record, each row and reason once."""
    rows: list[tuple[Cell, ...]] = []
    for (protocol, pair, budget, _), group in sorted(absent(failures).items(), key=lambda item: str(item[0])):
        for own in group:
            words: list[str | CodeText | Phrase] = [
                CodeText(protocol), CodeText(pair), _budget(budget), CodeText(own.method), setting(own), own.state,
                " ".join(map(str, own.seeds)), "; ".join(own.errors),
            ]  # fmt: skip
            rows.append(tuple(Cell(phrase(word)) for word in words))
    columns = tuple(Column(name, heading, text=True) for name, heading in _COLUMNS)
    below = Paragraph(phrase(
        "Runs that were asked for and have no result. A run that succeeds later leaves this table. ",
        "Weights or data not available: the run needs files that were not on the machine and could not be downloaded."
    ))  # fmt: skip
    table = PageTable("not-run", columns, tuple(rows))
    return Page(NAME, phrase("Runs without a result"), (below, table), table)


def _budget(budget: Budget) -> str:
    return "" if budget is None else f"{budget}"
