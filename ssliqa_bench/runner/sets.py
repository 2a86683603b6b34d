"""The label firewall: from tables, roles and pixels to what a learner may see.

A learner gets image sets in the order of their content hashes. Names, paths, groups, distortions, levels, and
the scores of unlabeled, validation and test images stay here, and so do reference images unless it needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ssliqa_bench.errors import LeakError
from ssliqa_bench.evaluation.correlations import plcc, rmse, srcc
from ssliqa_bench.methods.base import Needs
from ssliqa_bench.runner.rows import Place, Told, set_rows, told_of
from ssliqa_bench.training.images import ImageOrigin, ImageSet, LabeledSet, PixelSource
from ssliqa_bench.types import FloatArray, Role

if TYPE_CHECKING:
    from ssliqa_bench.datasets.table import Table


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
    """A dataset's test images, and, on this side of the firewall only, their rows of the table, with all it states."""

    images: ImageSet
    table: Table
    rows: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images, in their order."""
        return self.table.name

    @property
    def scores(self) -> FloatArray:
        """Native scores of the images, in their order."""
        return self.table.score


# What a learner may ask of its validation images.
_MEASURES = {"srcc": srcc, "plcc": plcc, "rmse": rmse}


class HeldOut:
    """Validation images: a learner asks how good its predictions for them are, and sees no score."""

    def __init__(self, images: ImageSet, scores: FloatArray):
        self.images = images
        self._answer = lambda name, predictions: _MEASURES[name](predictions, scores)

    def srcc(self, predictions: FloatArray) -> float | None:
        """SRCC of predictions for `images`, in their order; None where it is undefined."""
        return self._answer("srcc", predictions)  # type: ignore[no-untyped-call]

    def plcc(self, predictions: FloatArray) -> float | None:
        """As `srcc`, Pearson's correlation."""
        return self._answer("plcc", predictions)  # type: ignore[no-untyped-call]

    def rmse(self, predictions: FloatArray) -> float | None:
        """Root mean squared error on the learner's scale."""
        return self._answer("rmse", predictions)  # type: ignore[no-untyped-call]

    def without_references(self) -> HeldOut:
        """The same with the images alone."""
        alone = HeldOut(self.images.without_references(), np.empty(0))
        alone._answer = self._answer
        return alone


@dataclass(frozen=True)
class LearnerSets:
    """All sets of a run.

    Attributes:
        labeled, unlabeled, validation: what stages may receive.
        counts: as `SetRows` has them.
        roles: the role of every row by dataset, that of an unreadable image `unused`; never passed to a learner.
        tests: the test images of every dataset, with names and scores; never passed to a learner.
    """

    labeled: LabeledSet | None
    unlabeled: ImageSet | None
    validation: HeldOut | None
    counts: Mapping[str, int]
    roles: Mapping[str, Sequence[Role]] = field(default_factory=dict)
    tests: Mapping[str, TestSet] = field(default_factory=dict)


def build_sets(
    sources: Mapping[str, Source],
    needs: Needs,
    *,
    labels_for_unlabeled: bool = False,
    transductive: Sequence[Place] = (),
) -> LearnerSets:
    """The sets of a run, whose sources passed `check_content`.

    Args:
        sources: datasets of the run, those of the pair first.
        needs: what the learner asks for; the rest is withheld.
        labels_for_unlabeled: the oracle: unlabeled rows are passed on as labeled.
        transductive: test rows (dataset, row) that also join the unlabeled images, where the protocol allows it.
    """
    tables = {name: source.table for name, source in sources.items()}
    roles = {name: source.roles for name, source in sources.items()}
    rows = set_rows(roles, labels_for_unlabeled=labels_for_unlabeled, transductive=transductive)
    asked = {"distribution": bool(needs.distribution), "rating_std": bool(needs.rating_std)}
    references = needs.references is True
    labeled = _ordered(sources, rows.labeled, told_of(tables, rows.labeled, **asked))
    told = told_of(tables, labeled, **asked)
    unlabeled = _ordered(sources, rows.unlabeled)
    held_out = _ordered(sources, rows.validation, told_of(tables, rows.validation))
    held_scores = told_of(tables, held_out).score01
    images = _images(sources, labeled)
    return LearnerSets(
        labeled=LabeledSet(images, told.score01, told.distribution, told.rating_std) if labeled else None,
        unlabeled=_images(sources, unlabeled) if unlabeled else None,
        validation=HeldOut(_images(sources, held_out), held_scores) if held_out else None,
        counts=rows.counts,
        roles=roles,
        tests={name: test_set(s, references=references) for name, s in sources.items() if s.rows("test")},
    )


def test_set(source: Source, *, references: bool = False) -> TestSet:
    """The test rows of a dataset in the order of their content, copies of one picture in that of their names."""
    by_name = sorted(source.rows("test"), key=lambda row: source.table.name[row])
    own = {"": source}
    places = _ordered(own, [("", row) for row in by_name])
    rows = [row for _, row in places]
    images = _images(own, places)
    return TestSet(
        images=images if references else images.without_references(),
        table=source.table.take(rows),
        rows=tuple(rows),
    )


def check_content(sources: Mapping[str, Source]) -> None:
    """Refuse a run in which one image, by content, has two roles.

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
            f"{len(leaks)} images have two roles (first: {dataset}/{name} is {role}, {other_dataset}/{other} with "
            f"the same pixels is {other_role}). Nothing was run. Take the copies out of one of the datasets, or give "
            f"copies the same group in its label file."
        )


def _ordered(sources: Mapping[str, Source], places: Sequence[Place], told: Told | None = None) -> list[Place]:
    """Images in the order of their content.

    Copies of one picture are ordered by what else the learner receives of them or compares them with, so that names and
    the reader's order decide nothing that a learner could see.
    """
    pristine = _references(sources, places)

    def rank(k: int) -> tuple[Any, ...]:
        dataset, row = places[k]
        reference = "" if pristine is None else pristine[k][0].hashes[pristine[k][1]]
        return sources[dataset].pixels.hashes[row], [] if told is None else told.of(k), reference

    return [places[k] for k in sorted(range(len(places)), key=rank)]


def _images(sources: Mapping[str, Source], places: Sequence[Place]) -> ImageSet:
    """Images in a given order, with their references where all have one."""
    return ImageSet([(sources[dataset].pixels, row) for dataset, row in places], _references(sources, places))


def _references(sources: Mapping[str, Source], places: Sequence[Place]) -> list[ImageOrigin] | None:
    found = [(sources[name].references, sources[name].reference_rows, row) for name, row in places]
    known = [(pixels, of[row]) for pixels, of, row in found if pixels is not None]
    return known if places and len(known) == len(places) else None
