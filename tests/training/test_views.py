"""Views: crops of whole images, drawn from the purpose and the image and from nothing else."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import chisquare

from ssliqa_bench.training.views import View, at_least, at_most, draw, test_crops

test_crops.__test__ = False  # type: ignore[attr-defined]  # a view, not a test


def mapped(number: int, height: int = 30, width: int = 40) -> NDArray[np.uint8]:
    """An image whose pixels say where they are: row, column, number of the image."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, number)], axis=2).astype(np.uint8)


def place(crop: torch.Tensor) -> tuple[int, int, bool, int]:
    """Top, left, whether flipped, and the image that a crop of `mapped` shows; it must be one piece of it."""
    rows, columns, number = crop.numpy().astype(int)
    side = rows.shape[0]
    flipped = columns[0, 0] > columns[0, -1]
    steps = np.arange(side)[::-1] if flipped else np.arange(side)
    top, left = rows[0, 0], columns.min()
    np.testing.assert_array_equal(rows, np.repeat(top + np.arange(side)[:, None], side, 1))
    np.testing.assert_array_equal(columns, np.repeat(left + steps[None], side, 0))
    assert number.min() == number.max()
    return int(top), int(left), bool(flipped), int(number[0, 0])


def test_crops_are_pieces_of_the_image_and_stand_together(made: ModuleType) -> None:
    images = made.image_set(made.Memory([mapped(k, 20 + k, 25 + 2 * k) for k in range(6)]))
    crops = draw(images, [4, 1, 1, 5], View(16, crops=3, flip=True), 0, "strong", 2)
    assert crops.dtype == torch.uint8 and crops.shape == (12, 3, 16, 16) and crops.is_contiguous()
    places = [place(crop) for crop in crops]
    assert [number for *_, number in places] == [4] * 3 + [1] * 6 + [5] * 3
    for top, left, _, number in places:
        assert 0 <= top <= 20 + number - 16 and 0 <= left <= 25 + 2 * number - 16
    assert len(set(places[:3])) > 1


def test_crops_do_not_depend_on_the_set_the_order_or_the_batch(made: ModuleType) -> None:
    source = made.Memory([mapped(k) for k in range(8)])
    images, view, purpose = made.image_set(source), View(12, crops=4, flip=True), (3, "phase-1", "strong", 5)
    alone = {k: draw(images, [k], view, *purpose) for k in range(8)}
    other = made.image_set(made.Memory([mapped(k) for k in range(99, 102)])) + made.image_set(source, [6, 2, 7])
    order = [5, 0, 7, 3]
    np.testing.assert_array_equal(draw(images, order, view, *purpose), torch.cat([alone[k] for k in order]))
    np.testing.assert_array_equal(draw(other, [3, 4, 5], view, *purpose), torch.cat([alone[k] for k in (6, 2, 7)]))
    for changed in ((4, *purpose[1:]), (3, "phase-2", *purpose[2:]), (*purpose[:3], 6)):
        assert not torch.equal(draw(images, [0], view, *changed), alone[0])


def test_an_image_that_comes_again_in_an_epoch_gets_other_crops(made: ModuleType) -> None:
    images, view = made.image_set(made.Memory([mapped(0)])), View(12, crops=2, flip=True)
    plain = draw(images, [0], view, 1, "strong", 0)
    again = draw(images, [0, 0, 0], view, 1, "strong", 0, visits=[0, 1, 2])
    assert torch.equal(again[:2], plain)
    assert len({tuple(place(crop) for crop in again[k : k + 2]) for k in (0, 2, 4)}) == 3
    assert torch.equal(draw(images, [0], view, 1, "strong", 0, visits=[2]), again[4:])


def test_places_and_flips_are_uniform(made: ModuleType) -> None:
    images, view = made.image_set(made.Memory([mapped(0, 9, 10)])), View(6, crops=20, flip=True)
    counts = np.zeros((4, 5, 2))
    for epoch in range(200):
        for crop in draw(images, [0], view, 0, epoch):
            top, left, flipped, _ = place(crop)
            counts[top, left, int(flipped)] += 1
    assert counts.sum() == 4000 and chisquare(counts.ravel()).pvalue > 1e-3


def test_without_flip_nothing_is_flipped(made: ModuleType) -> None:
    images = made.image_set(made.Memory([mapped(k) for k in range(10)]))
    assert not any(place(crop)[2] for crop in draw(images, range(10), View(8, crops=10), 0, "weak", 0))


def test_test_crops_are_fixed_and_never_flipped(made: ModuleType) -> None:
    source = made.Memory([mapped(k) for k in range(10)])
    images, view = made.image_set(source), View(8, crops=10, flip=True)
    torch.manual_seed(1)
    first = test_crops(images, range(10), view)
    torch.manual_seed(2)
    np.random.seed(3)
    assert not any(place(crop)[2] for crop in first)
    assert torch.equal(first[30:40], test_crops(made.image_set(source, [8, 3]), [1], view))


@pytest.mark.parametrize(("height", "width"), [(10, 25), (31, 9), (12, 12), (5, 7)])
def test_a_small_image_is_enlarged_and_keeps_its_aspect(height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    enlarged = at_least(pixels, 20)
    assert min(enlarged.shape[:2]) == 20
    assert enlarged.shape[0] / enlarged.shape[1] == pytest.approx(height / width, rel=0.05)
    size = (enlarged.shape[1], enlarged.shape[0])
    np.testing.assert_array_equal(enlarged, Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def test_an_image_that_is_large_enough_stays_as_it_is(made: ModuleType) -> None:
    pixels = mapped(0, 20, 33)
    assert at_least(pixels, 20) is pixels
    small = made.image_set(made.Memory([mapped(1, 9, 14)]))
    assert draw(small, [0], View(20, crops=2), 0).shape == (2, 3, 20, 20)
    exact = made.image_set(made.Memory([mapped(2, 16, 16)]))
    assert place(draw(exact, [0], View(16), 0)[0])[:2] == (0, 0)


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [
        (768, 1024, (384, 512)),  # KonIQ-10k
        (512, 512, (384, 512)),
        (2048, 2048, (384, 512)),
        (500, 500, (500, 500)),  # LIVE Challenge, narrower than the size
        (384, 512, (384, 512)),
        (160, 160, (160, 160)),
        (300, 700, (300, 700)),
    ],
)
def test_larger_images_are_reduced_to_a_size(height: int, width: int, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    reduced = at_most(pixels, (384, 512))
    assert reduced.shape[:2] == shape and at_most(pixels, None) is pixels
    if shape == (height, width):
        assert reduced is pixels
    else:
        expected = Image.fromarray(pixels).resize((512, 384), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(reduced, expected)


def test_an_original_size_is_not_reduced() -> None:
    view = View(224, size=(384, 512), original=((608, 608), (960, 640)))  # the odd sizes of LIVE Challenge
    for height, width, shape in ((608, 608, (608, 608)), (960, 640, (960, 640)), (640, 960, (384, 512))):
        assert view.sized(np.zeros((height, width, 3), dtype=np.uint8)).shape[:2] == shape
    assert View(700, original=((608, 608),)).sized(np.zeros((608, 608, 3), dtype=np.uint8)).shape[:2] == (700, 700)


def test_crops_are_cut_from_the_reduced_image(made: ModuleType) -> None:
    source = made.noise(3, 40, 60)
    reduced = made.Memory([at_most(pixels, (20, 30)) for pixels in source.pictures])
    reduced.hashes = source.hashes
    view = View(12, crops=3, size=(20, 30))
    for cut in (lambda images, v: draw(images, range(3), v, 5), lambda images, v: test_crops(images, range(3), v)):
        assert torch.equal(cut(made.image_set(source), view), cut(made.image_set(reduced), View(12, crops=3)))
