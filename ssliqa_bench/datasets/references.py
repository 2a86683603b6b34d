"""The pristine images that distorted ones were made from, each once, for learners that compare the two."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ssliqa_bench.datasets.table import Table


@dataclass(frozen=True)
class References:
    """The reference images of a table.

    Attributes:
        table: one row per reference image, without scores.
        row_of: for each row of the table they belong to, the row of its reference; -1 where it states none.
    """

    table: Table
    row_of: tuple[int, ...]


def references_of(table: Table) -> References | None:
    """The reference images of a table; None for a dataset that states none."""
    paths = sorted({path for path in table.reference or () if path})
    if not paths:
        return None
    places = {path: row for row, path in enumerate(paths)}
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    nothing = np.full(len(paths), np.nan)
    return References(
        Table(
            dataset=table.dataset,
            name=tuple(os.path.relpath(path, common) for path in paths),
            path=tuple(paths),
            score=nothing,
            score01=nothing,
            group=tuple(paths),
        ),
        tuple(places.get(path, -1) for path in table.reference or ()),
    )
