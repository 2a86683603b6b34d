"""Image sets show positions, keep the order of content, and derive random numbers from content alone."""

from __future__ import annotations

from types import ModuleType

import numpy as np


def test_sets_by_content_do_not_depend_on_the_order_given(made: ModuleType) -> None:
    source = made.noise(9)
    rng = np.random.default_rng(3)
    expected = sorted(range(9), key=lambda row: source.hashes[row])
    for _ in range(5):
        items = [(source, int(row)) for row in rng.permutation(9)]
        images, order = made.ImageSet.by_content(items)
        assert [items[i][1] for i in order] == expected
        for position, row in enumerate(expected):
            np.testing.assert_array_equal(images[position], source.pictures[row])


def test_subsets_and_sums(made: ModuleType) -> None:
    source, other = made.noise(5), made.noise(4, seed=1)
    images = made.image_set(source)
    chosen = images.subset(np.array([3, 0, 3]))
    assert len(images) == 5 and len(chosen) == 3 and len(made.ImageSet([])) == 0
    for position, row in enumerate((3, 0, 3)):
        np.testing.assert_array_equal(chosen[position], source.pictures[row])
    both = images + made.image_set(other).subset([2])
    assert len(both) == 6
    np.testing.assert_array_equal(both[5], other.pictures[2])


def test_random_numbers_follow_purpose_and_content_only(made: ModuleType) -> None:
    source = made.noise(4)
    copy = made.Memory(source.pictures[::-1])
    here, there = made.image_set(source), made.image_set(copy)

    def numbers(images: object, position: int, *purpose: object) -> list[float]:
        return images.generator(position, *purpose).random(4).tolist()  # type: ignore[attr-defined]

    assert numbers(here, 1, 5, "strong", 0) == numbers(there, 2, 5, "strong", 0)
    streams = [
        numbers(here, *words)
        for words in (
            (0, 5, "strong", 0),
            (1, 5, "strong", 0),
            (0, 6, "strong", 0),
            (0, 5, "weak", 0),
            (0, 5, "strong", 1),
        )
    ]
    assert len({tuple(stream) for stream in streams}) == 5
