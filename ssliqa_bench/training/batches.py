"""Batches of an epoch: rows of a set, and how often each row was drawn before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.loop import drawn_rows, earlier_visits, split_batches
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import IntArray

INCLUDE = ("auto", "always", "never")
Views = TypeVar("Views", covariant=True)


class DrawViews(Protocol[Views]):
    """Draws the views of some images, as `training.views.draw` does once its view is chosen."""

    def __call__(self, images: ImageSet, positions: IntArray, *purpose: Any, visits: IntArray) -> Views: ...


def in_batches(rows: IntArray, size: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows of each batch, and how often each row comes earlier among all rows; the last batch may be smaller."""
    visits = earlier_visits(rows)
    for part in split_batches(np.arange(len(rows)), size):
        yield rows[part], visits[part]


def step_batches(pool: int, size: int, steps: int, epoch: int, *purpose: Any) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows and visits, as `in_batches`, of the steps of an epoch: whole batches from endless permutations.

    Args:
        pool: number of images to draw from; size: of a batch, which may exceed it.
        purpose: names the stream of permutations.
    """
    return in_batches(drawn_rows(pool, size * steps, epoch, *purpose), size)


def drawn_batches(
    context: StageContext,
    images: ImageSet,
    draw_views: DrawViews[Views],
    size: int,
    steps: int,
    epoch: int,
    side: str,
    views: str | None = None,
) -> Iterator[tuple[IntArray, Views]]:
    """Rows and views of one side in every step of an epoch; whole batches from endless permutations.

    They depend on the stage's name, the seed and the names given here alone, whatever is drawn beside them.

    Args:
        side: names the stream of permutations; views: names the stream of views, by default as the side.
    """
    purpose = (context.seed, context.name)
    for rows, visits in step_batches(len(images), size, steps, epoch, *purpose, side):
        yield rows, draw_views(images, rows, *purpose, views or side, epoch, visits=visits)


def unlabeled_images(context: StageContext, labeled: LabeledSet) -> ImageSet:
    """The unlabeled images, and labeled ones without their scores where the parameter `include_labelled` asks for them.

    With "auto" that is where both sides come from one dataset; the stage declares the count "sides".

    Raises:
        InputError: another word.
    """
    assert context.unlabeled is not None  # declared by every stage that calls this
    include = context.params["include_labelled"]
    if include not in INCLUDE:
        raise InputError(f'Parameter include_labelled: got "{include}"; expected {", ".join(INCLUDE)}.')
    if include == "always" or (include == "auto" and context.counts["sides"] == 1):
        return context.unlabeled + labeled.images
    return context.unlabeled
