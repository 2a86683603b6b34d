"""The label firewall: from tables, roles and pixels to what a learner may see.

A learner gets image sets in the order of their content hashes. Names, paths, groups, distortions, levels, and
the scores of unlabeled, validation and test images stay here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ssliqa_bench.errors import LeakError
from ssliqa_bench.files import digest
from ssliqa_bench.training.images import ImageSet, LabeledSet, PixelSource
from ssliqa_bench.types import FloatArray, IntArray, Role, Table


@dataclass(frozen=True)
class Source:
    """One dataset of a run: its table, the role of every row, and its pixels."""

    table: Table
    roles: Sequence[Role]
    pixels: PixelSource

    def rows(self, role: Role) -> list[int]:
        """Rows with a role, in the table's order."""
        return [i for i, own in enumerate(self.roles) if own == role]


@dataclass(frozen=True)
class TestSet:
    """A dataset's test images, and, on this side of the firewall only, their names and scores."""

    images: ImageSet
    names: tuple[str, ...]
    scores: FloatArray
    content: str


class HeldOut:
    """Validation images: a learner asks how well its predictions order them, and sees no score."""

    def __init__(self, images: ImageSet, scores: FloatArray, srcc: Callable[[FloatArray, FloatArray], float | None]):
        self.images = images
        self._answer = lambda predictions: srcc(predictions, scores)

    def srcc(self, predictions: FloatArray) -> float | None:
        """SRCC of predictions for `images`, in their order; None where it is undefined."""
        return self._answer(predictions)


@dataclass(frozen=True)
class LearnerSets:
    """All sets of a run.

    Attributes:
        labeled, unlabeled, validation: what stages may be handed.
        counts: images that the two sides of the pair give, transductive ones too, before an oracle relabels any;
            and how many datasets they come from.
        content: digest of what each set holds, scores included where a learner sees them; part of stage keys.
    """

    labeled: LabeledSet | None
    unlabeled: ImageSet | None
    validation: HeldOut | None
    counts: Mapping[str, int]
    content: Mapping[str, str]
    tests: Mapping[str, TestSet] = field(default_factory=dict)


def build_sets(
    sources: Mapping[str, Source],
    *,
    labels_for_unlabeled: bool,
    distribution: bool,
    rating_std: bool,
    srcc: Callable[[FloatArray, FloatArray], float | None],
    transductive: Sequence[tuple[str, int]] = (),
) -> LearnerSets:
    """The sets of a run, whose sources passed `check_content`.

    Args:
        sources: datasets of the run, those of the pair first.
        transductive: test rows (dataset, row) that also join the unlabeled images, where the protocol says so.
        labels_for_unlabeled: the oracle: unlabeled rows are handed over as labeled.
        distribution, rating_std: rating statistics that the learner asked for.
        srcc: how the runner answers questions about the validation images.
    """
    labeled = [(name, row) for name, s in sources.items() for row in s.rows("labeled")]
    unlabeled = [(name, row) for name, s in sources.items() for row in s.rows("unlabeled")]
    counts = {"labeled": len(labeled), "unlabeled": len(unlabeled) + len(transductive)}
    counts["sides"] = len({name for name, _ in (*labeled, *unlabeled, *transductive)})
    if labels_for_unlabeled:
        labeled, unlabeled = labeled + unlabeled, []
    unlabeled += transductive
    validation = [(name, row) for name, s in sources.items() for row in s.rows("validation")]
    labeled_set, labeled_content = _labeled(sources, labeled, distribution, rating_std)
    unlabeled_set, order = ImageSet.by_content((sources[n].pixels, r) for n, r in unlabeled)
    held_out, held_order = ImageSet.by_content((sources[n].pixels, r) for n, r in validation)
    held_scores = np.array([sources[n].table.score01[r] for n, r in validation])[held_order]
    content = {
        "labeled": labeled_content,
        "unlabeled": _content(sources, unlabeled, order),
        "validation": digest([_content(sources, validation, held_order), [float(s) for s in held_scores]]),
    }
    return LearnerSets(
        labeled=labeled_set if labeled else None,
        unlabeled=unlabeled_set if unlabeled else None,
        validation=HeldOut(held_out, held_scores, srcc) if validation else None,
        counts=counts,
        content=content,
        tests={name: test_set(s) for name, s in sources.items() if s.rows("test")},
    )


def test_set(source: Source) -> TestSet:
    """The test rows of a dataset in the order of their content."""
    rows = source.rows("test")
    images, order = ImageSet.by_content((source.pixels, row) for row in rows)
    ordered = [rows[i] for i in order]
    return TestSet(
        images=images,
        names=tuple(source.table.name[row] for row in ordered),
        scores=source.table.score[ordered],
        content=digest([source.pixels.hashes[row] for row in ordered]),
    )


def check_content(sources: Mapping[str, Source]) -> None:
    """Refuse a run in which one image, by content, stands in two roles.

    Raises:
        LeakError: names the first such images.
    """
    seen: dict[str, tuple[Role, str, str]] = {}
    leaks = []
    for dataset, source in sources.items():
        for row, role in enumerate(source.roles):
            if role == "unused":
                continue
            here = (role, dataset, source.table.name[row])
            there = seen.setdefault(source.pixels.hashes[row], here)
            # The same image tested as part of two datasets is counted in each; that leaks nothing.
            if there[0] != role:
                leaks.append((there, here))
    if leaks:
        (role, dataset, name), (other_role, other_dataset, other) = leaks[0]
        raise LeakError(
            f"{len(leaks)} images stand in two roles (first: {dataset}/{name} is {role}, {other_dataset}/{other} with "
            f"the same pixels is {other_role}). Nothing was run. Take the copies out of one of the datasets, or give "
            f"copies the same group in its label file."
        )


def _labeled(
    sources: Mapping[str, Source], rows: list[tuple[str, int]], distribution: bool, rating_std: bool
) -> tuple[LabeledSet, str]:
    # Ties in content (an image twice, scored twice) are broken by the score, which the learner sees anyway.
    rows = sorted(rows, key=lambda item: float(sources[item[0]].table.score01[item[1]]))
    images, order = ImageSet.by_content((sources[n].pixels, r) for n, r in rows)
    ordered = [rows[i] for i in order]
    scores = np.array([sources[n].table.score01[r] for n, r in ordered], dtype=np.float64)
    shares = _column(sources, ordered, "distribution") if distribution else None
    spread = _column(sources, ordered, "rating_std01") if rating_std else None
    columns = [c.tolist() if c is not None else None for c in (scores, shares, spread)]
    content = digest([[sources[n].pixels.hashes[r] for n, r in ordered], *columns])
    return LabeledSet(images, scores, shares, spread), content


def _column(sources: Mapping[str, Source], rows: list[tuple[str, int]], name: str) -> FloatArray | None:
    if any(getattr(sources[dataset].table, name) is None for dataset, _ in rows):
        return None
    return np.array([getattr(sources[dataset].table, name)[row] for dataset, row in rows], dtype=np.float64)


def _content(sources: Mapping[str, Source], rows: list[tuple[str, int]], order: IntArray) -> str:
    return digest([sources[rows[i][0]].pixels.hashes[rows[i][1]] for i in order])
