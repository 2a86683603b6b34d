"""Which of an image's kept views are drawn."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from ssliqa_bench.models.predict import Pictures
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.views import view_numbers


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return ImageSet([(Pictures([np.full((2, 2, 3), k, dtype=np.uint8) for k in range(2)]), row) for row in range(2)])


def test_every_order_of_the_views_comes_equally_often(images: ImageSet) -> None:
    drawn = Counter(tuple(view_numbers(images, 0, 4, 4, "test", visit)) for visit in range(4800))
    assert set(drawn) == set(itertools.permutations(range(4)))
    expected = 4800 / 24
    # 23 degrees of freedom: 49.7 is exceeded once in a thousand times.
    assert sum((count - expected) ** 2 / expected for count in drawn.values()) < 49.7


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_views_are_different_as_long_as_there_are_enough(images: ImageSet, count: int) -> None:
    assert all(len(set(view_numbers(images, 0, 4, count, visit))) == count for visit in range(50))


def test_more_views_than_are_kept_come_again(images: ImageSet) -> None:
    assert Counter(view_numbers(images, 0, 3, 9, "test").tolist()) == {0: 3, 1: 3, 2: 3}


def test_a_draw_depends_on_purpose_and_image_alone(images: ImageSet) -> None:
    several = [tuple(view_numbers(images, k, 5, 5, "test", visit)) for k in range(2) for visit in range(20)]
    again = [tuple(view_numbers(images, k, 5, 5, "test", visit)) for k in range(2) for visit in range(20)]
    assert several == again and several[:20] != several[20:]
