"""Which images of a run's datasets each of its sets is made of: known before any image is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ssliqa_bench.types import FloatArray, Role

if TYPE_CHECKING:
    from ssliqa_bench.datasets.table import Table

Place = tuple[str, int]  # dataset, row


@dataclass(frozen=True)
class SetRows:
    """The images of the sets that a learner may receive, in no order that matters.

    Attributes:
        counts: images that the two sides of the pair give, transductive ones too, before an oracle relabels any
            (`labeled`, `unlabeled`), and how many datasets they come from (`sides`).
    """

    labeled: tuple[Place, ...]
    unlabeled: tuple[Place, ...]
    validation: tuple[Place, ...]
    counts: Mapping[str, int]


def set_rows(
    roles: Mapping[str, Sequence[Role]], *, labels_for_unlabeled: bool, transductive: Sequence[Place] = ()
) -> SetRows:
    """The images of each set, from the role of every row by dataset.

    Args:
        labels_for_unlabeled: the oracle: unlabeled rows are passed on as labeled.
        transductive: test rows that also join the unlabeled images, where the protocol allows it; one that is no test
            row, since its file cannot be read, stays out.
    """
    found: dict[str, list[Place]] = {"labeled": [], "unlabeled": [], "validation": []}
    for dataset, own in roles.items():
        for row, role in enumerate(own):
            if role in found:
                found[role].append((dataset, row))
    labeled, unlabeled = found["labeled"], found["unlabeled"]
    joining = [(dataset, row) for dataset, row in transductive if roles[dataset][row] == "test"]
    counts = {"labeled": len(labeled), "unlabeled": len(unlabeled) + len(joining)}
    counts["sides"] = len({dataset for dataset, _ in (*labeled, *unlabeled, *joining)})
    if labels_for_unlabeled:
        labeled, unlabeled = labeled + unlabeled, []
    return SetRows(tuple(labeled), (*unlabeled, *joining), tuple(found["validation"]), counts)


@dataclass(frozen=True)
class Told:
    """What a learner receives of images beside their pixels, one value per image; None: withheld.

    Attributes:
        score01: scores on the learner's scale.
        distribution, rating_std: statistics of the ratings, where it asked for them and every image has them.
    """

    score01: FloatArray
    distribution: FloatArray | None = None
    rating_std: FloatArray | None = None

    def of(self, k: int) -> list[float | list[float]]:
        """Everything that a learner receives of one image, as numbers."""
        columns = (self.score01, self.distribution, self.rating_std)
        return [column[k].tolist() for column in columns if column is not None]


def told_of(
    tables: Mapping[str, Table], places: Sequence[Place], *, distribution: bool = False, rating_std: bool = False
) -> Told:
    """What a learner receives of some images; statistics only where it asked for them."""
    scores = np.array([tables[dataset].score01[row] for dataset, row in places], dtype=np.float64)
    return Told(
        scores,
        _column(tables, places, "distribution") if distribution else None,
        _column(tables, places, "rating_std01") if rating_std else None,
    )


def _column(tables: Mapping[str, Table], places: Sequence[Place], name: str) -> FloatArray | None:
    if any(getattr(tables[dataset], name) is None for dataset, _ in places):
        return None
    return np.array([getattr(tables[dataset], name)[row] for dataset, row in places], dtype=np.float64)
