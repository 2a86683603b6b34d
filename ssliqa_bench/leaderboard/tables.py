"""The boards of a store in Python: as Markdown, as tables, and shown in a notebook."""

from __future__ import annotations

import html
import io
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ssliqa_bench.errors import InputError, unknown_name
from ssliqa_bench.leaderboard.boards import build_boards
from ssliqa_bench.store.records import iter_records

if TYPE_CHECKING:
    import pandas as pd


class Leaderboard(Mapping[str, str]):
    """The Markdown of boards by protocol (`standard`) and of the page of each pair (`standard/koniq--livec`).

    A board is also a table, which holds all pairs of its protocol.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __getitem__(self, name: str) -> str:
        """A board in Markdown."""
        return self._texts[f"{name}.md"]

    def __iter__(self) -> Iterator[str]:
        return (name.removesuffix(".md") for name in self._texts if name.endswith(".md"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def protocols(self) -> tuple[str, ...]:
        """The boards that are tables."""
        return tuple(name.removesuffix(".csv") for name in self._texts if name.endswith(".csv"))

    def table(self, name: str) -> pd.DataFrame:
        """A board, by its protocol, as a table with the columns of its CSV file.

        Raises:
            InputError: there is no such board, or it is the page of one pair.
        """
        import pandas as pd

        if name not in self.protocols:
            raise unknown_name("board with a table", name, self.protocols, "list(boards.protocols)")
        return pd.read_csv(io.StringIO(self._texts[f"{name}.csv"]), comment="#")

    def __repr__(self) -> str:
        return "\n".join(self.values())

    def _repr_html_(self) -> str:
        return "".join(
            f"<h3>{html.escape(name)}</h3>{self.table(name).to_html(index=False, border=0, na_rep='')}"
            for name in self.protocols
        )


def leaderboard(store: str | os.PathLike[str] = "runs", *, cost: bool = True) -> Leaderboard:
    """The boards that follow from the records of a store; no file is written.

    Args:
        cost: with columns of seconds and memory.

    Raises:
        InputError: the store holds no records.
        CorruptFileError: a record is damaged.
    """
    found = list(iter_records(store))
    if not found:
        raise InputError(f"No records under {os.fspath(store)}. ssliqa_bench.run(method, pair, store=…) makes one.")
    return Leaderboard(build_boards(found, formats=("md", "csv"), cost=cost))
