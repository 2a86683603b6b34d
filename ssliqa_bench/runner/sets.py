"""The label firewall: from tables, roles and pixels to what a learner may see.

A learner gets image sets in the order of their content hashes. Names, paths, groups, distortions, levels, and
the scores of unlabeled, validation and test images stay here, and so do reference images unless it needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ssliqa_bench.errors import LeakError
from ssliqa_bench.files import digest
from ssliqa_bench.training.images import ImageSet, Item, LabeledSet, PixelSource
from ssliqa_bench.types import FloatArray, Role

if TYPE_CHECKING:
    from ssliqa_bench.datasets.table import Table

_Place = tuple[str, int]  # dataset, row


@dataclass(frozen=True)
class Source:
    """One dataset of a run: its table, the role of every row, and its pixels.

    `references` gives the pristine image of a row by its place, for a learner that needs references; every row with
    a role has one then.
    """

    table: Table
    roles: Sequence[Role]
    pixels: PixelSource
    references: PixelSource | None = None
    reference_rows: Sequence[int] = ()

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


Measure = Callable[[FloatArray, FloatArray], float | None]


class HeldOut:
    """Validation images: a learner asks how good its predictions for them are, and sees no score."""

    def __init__(self, images: ImageSet, scores: FloatArray, measures: Mapping[str, Measure]):
        self.images = images
        self._answer = lambda name, predictions: measures[name](predictions, scores)

    def srcc(self, predictions: FloatArray) -> float | None:
        """SRCC of predictions for `images`, in their order; None where it is undefined."""
        return self._answer("srcc", predictions)

    def plcc(self, predictions: FloatArray) -> float | None:
        """As `srcc`, Pearson's correlation."""
        return self._answer("plcc", predictions)

    def rmse(self, predictions: FloatArray) -> float | None:
        """Root mean squared error on the learner's scale."""
        return self._answer("rmse", predictions)

    def without_references(self) -> HeldOut:
        """The same with the images alone."""
        alone = HeldOut(self.images.without_references(), np.empty(0), {})
        alone._answer = self._answer
        return alone


@dataclass(frozen=True)
class LearnerSets:
    """All sets of a run.

    Attributes:
        labeled, unlabeled, validation: what stages may be handed.
        counts: images that the two sides of the pair give, transductive ones too, before an oracle relabels any;
            and how many datasets they come from.
        content: digest of what each set holds, scores included where a learner sees them; part of stage keys.
        references: digest of the reference images of each set, where the learner needs them; part of the keys of
            stages that get them.
    """

    labeled: LabeledSet | None
    unlabeled: ImageSet | None
    validation: HeldOut | None
    counts: Mapping[str, int]
    content: Mapping[str, str]
    references: Mapping[str, str] = field(default_factory=dict)
    tests: Mapping[str, TestSet] = field(default_factory=dict)


def build_sets(
    sources: Mapping[str, Source],
    *,
    labels_for_unlabeled: bool,
    distribution: bool,
    rating_std: bool,
    measures: Mapping[str, Measure],
    transductive: Sequence[tuple[str, int]] = (),
    test_references: bool = False,
) -> LearnerSets:
    """The sets of a run, whose sources passed `check_content`.

    Args:
        sources: datasets of the run, those of the pair first.
        transductive: test rows (dataset, row) that also join the unlabeled images, where the protocol says so.
        labels_for_unlabeled: the oracle: unlabeled rows are handed over as labeled.
        distribution, rating_std: rating statistics that the learner asked for.
        measures: how the runner answers questions about the validation images: srcc, plcc, rmse.
        test_references: test images come with their references, where the sources have any.
    """
    labeled = [(name, row) for name, s in sources.items() for row in s.rows("labeled")]
    unlabeled = [(name, row) for name, s in sources.items() for row in s.rows("unlabeled")]
    counts = {"labeled": len(labeled), "unlabeled": len(unlabeled) + len(transductive)}
    counts["sides"] = len({name for name, _ in (*labeled, *unlabeled, *transductive)})
    if labels_for_unlabeled:
        labeled, unlabeled = labeled + unlabeled, []
    unlabeled += transductive
    # Ties in content (an image twice, scored twice) are broken by the score, which the learner sees anyway.
    labeled.sort(key=lambda item: float(sources[item[0]].table.score01[item[1]]))
    validation = [(name, row) for name, s in sources.items() for row in s.rows("validation")]
    labeled_images, labeled = _by_content(sources, labeled)
    unlabeled_images, unlabeled = _by_content(sources, unlabeled)
    held_out, validation = _by_content(sources, validation)
    labeled_set, columns = _labeled(sources, labeled, labeled_images, distribution, rating_std)
    held_scores = _score01(sources, validation)
    named = {"labeled": labeled, "unlabeled": unlabeled, "validation": validation}
    hashes = {name: _hashes(sources, rows) for name, rows in named.items()}
    return LearnerSets(
        labeled=labeled_set if labeled else None,
        unlabeled=unlabeled_images if unlabeled else None,
        validation=HeldOut(held_out, held_scores, measures) if validation else None,
        counts=counts,
        content={
            "labeled": digest([hashes["labeled"], *columns]),
            "unlabeled": digest(hashes["unlabeled"]),
            "validation": digest([digest(hashes["validation"]), held_scores.tolist()]),
        },
        references={
            name: digest(_hashes_of(pristine))
            for name, rows in named.items()
            if (pristine := _references(sources, rows)) is not None
        },
        tests={name: test_set(s, references=test_references) for name, s in sources.items() if s.rows("test")},
    )


def test_set(source: Source, *, references: bool = False) -> TestSet:
    """The test rows of a dataset in the order of their content."""
    own = {"": source}
    images, named = _by_content(own, [("", row) for row in source.rows("test")])
    rows = [row for _, row in named]
    hashes = _hashes(own, named)
    pristine = _references(own, named) if references else None
    return TestSet(
        images=images if references else images.without_references(),
        names=tuple(source.table.name[row] for row in rows),
        scores=source.table.score[rows],
        content=digest(hashes if pristine is None else [hashes, _hashes_of(pristine)]),
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


def _by_content(sources: Mapping[str, Source], rows: list[_Place]) -> tuple[ImageSet, list[_Place]]:
    """Rows of some sources as a set in the order of their content, with their references where all have one, and the
    rows in that order."""
    items = [(sources[name].pixels, row) for name, row in rows]
    images, order = ImageSet.by_content(items, _references(sources, rows))
    return images, [rows[i] for i in order]


def _references(sources: Mapping[str, Source], rows: Sequence[_Place]) -> list[Item] | None:
    found = [(sources[name].references, sources[name].reference_rows, row) for name, row in rows]
    known = [(pixels, of[row]) for pixels, of, row in found if pixels is not None]
    return known if rows and len(known) == len(rows) else None


def _hashes(sources: Mapping[str, Source], rows: Sequence[_Place]) -> list[str]:
    return _hashes_of((sources[name].pixels, row) for name, row in rows)


def _hashes_of(items: Iterable[Item]) -> list[str]:
    return [pixels.hashes[row] for pixels, row in items]


def _labeled(
    sources: Mapping[str, Source], rows: list[_Place], images: ImageSet, distribution: bool, rating_std: bool
) -> tuple[LabeledSet, list[Any]]:
    """The labeled set, and its columns as they go into its digest."""
    scores = _score01(sources, rows)
    shares = _column(sources, rows, "distribution") if distribution else None
    spread = _column(sources, rows, "rating_std01") if rating_std else None
    columns = [c.tolist() if c is not None else None for c in (scores, shares, spread)]
    return LabeledSet(images, scores, shares, spread), columns


def _score01(sources: Mapping[str, Source], rows: Sequence[_Place]) -> FloatArray:
    return np.array([sources[name].table.score01[row] for name, row in rows], dtype=np.float64)


def _column(sources: Mapping[str, Source], rows: Sequence[_Place], name: str) -> FloatArray | None:
    if any(getattr(sources[dataset].table, name) is None for dataset, _ in rows):
        return None
    return np.array([getattr(sources[dataset].table, name)[row] for dataset, row in rows], dtype=np.float64)
