"""Crops of pairs: the same draws for both, the rotation against torchvision's, the places of test crops, bad sizes."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.full_reference import views
from ssliqa_bench.methods.full_reference.views import PairView, draw_pairs, pair_at, rotated
from ssliqa_bench.training.images import ImageSet, LabeledSet

Pairs = Callable[..., LabeledSet]


def test_image_and_reference_share_every_draw(pairs: Pairs) -> None:
    references = pairs(6).images.references
    assert references is not None
    same = ImageSet(references._items, references._items)
    reference, distorted = draw_pairs(same, range(6), PairView(16, 180), 7, "views", 0)
    assert reference.shape == (6, 3, 16, 16) and reference.dtype == torch.float32
    assert torch.equal(reference, distorted)
    assert float(reference.min()) >= 0 and float(reference.max()) <= 1


def test_draws_depend_on_the_image_and_the_purpose_alone(pairs: Pairs) -> None:
    images, view = pairs(6).images, PairView(16, 180)
    whole = draw_pairs(images, range(6), view, 7, "views", 0)
    part = draw_pairs(images.subset([4, 1]), [1, 0], view, 7, "views", 0)
    for first, second in zip(whole, part, strict=True):
        assert torch.equal(first[[1, 4]], second)
    assert not torch.equal(whole[1], draw_pairs(images, range(6), view, 7, "views", 1)[1])


def test_without_rotation_crops_are_crops_mirrored_half_the_time(pairs: Pairs) -> None:
    images = pairs(1).images
    whole, mirrored = images[0], images[0][:, ::-1]
    found = {False: 0, True: 0}
    for epoch in range(40):
        crop = (255 * draw_pairs(images, [0], PairView(16, 0), 7, epoch)[1][0]).round().byte().permute(1, 2, 0).numpy()
        kinds = [
            flipped
            for flipped, picture in ((False, whole), (True, mirrored))
            if any((picture[t : t + 16, s : s + 16] == crop).all() for t in range(7) for s in range(11))
        ]
        assert len(kinds) == 1
        found[kinds[0]] += 1
    assert min(found.values()) > 10


@pytest.mark.parametrize("angle", [-170.3, -45, -3.2, 12.34, 61.7, 133])
@pytest.mark.parametrize("side", [33, 192])
def test_the_rotation_is_torchvisions(angle: float, side: int) -> None:
    pictures = np.random.default_rng(0).random((2, side, side, 3), dtype=np.float32)
    channels_first = torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())
    expected = rotate(channels_first, angle, InterpolationMode.NEAREST, fill=[0.5] * 3).numpy().transpose(0, 2, 3, 1)
    differ = np.mean(rotated(pictures, angle) != expected)  # where a pixel lies halfway, either neighbour may be taken
    assert differ < 5e-3


@pytest.mark.parametrize("turns", [-1, 0, 1, 2])
def test_right_angles_only_move_pixels(turns: int) -> None:
    pictures = np.random.default_rng(1).random((2, 20, 20, 3), dtype=np.float32)
    np.testing.assert_array_equal(rotated(pictures, 90 * turns), np.rot90(pictures, turns, axes=(1, 2)))


def test_corners_are_mid_grey_as_often_as_in_the_paper() -> None:
    picture = np.zeros((1, 192, 192, 3), dtype=np.float32)
    shares = []
    for angle in np.arange(-180, 180, 1.0):
        turned = rotated(picture, angle)
        assert set(np.unique(turned)) <= {np.float32(0), np.float32(0.5)}
        shares.append(float((turned == 0.5).mean()))
    assert np.mean(shares) == pytest.approx(0.117, abs=2e-3) and max(shares) == pytest.approx(0.173, abs=2e-3)


def test_ten_crops_of_the_challenge() -> None:
    places = views.test_places(288, 288, 192, "ten")
    assert set(places) == {(0, 0), (0, 96), (96, 0), (96, 96), (48, 48)}
    picture = np.random.default_rng(2).integers(0, 256, (288, 288, 3), dtype=np.uint8)
    crops = views.pair_test_crops(picture, places, 192)
    assert crops.shape == (10, 3, 192, 192)
    values = torch.from_numpy(picture).permute(2, 0, 1) / 255
    assert torch.equal(crops[4], values[:, 48:240, 48:240])
    assert torch.equal(crops[6], values.flip(2)[:, :192, 96:])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 40), (40, 33)])
def test_the_grid_covers_the_image_in_steps_of_at_most_half_a_crop(height: int, width: int) -> None:
    places = views.test_places(height, width, 16, "grid")
    seen = np.zeros((height, width), dtype=bool)
    for top, left in places:
        assert 0 <= top <= height - 16 and 0 <= left <= width - 16
        seen[top : top + 16, left : left + 16] = True
    assert seen.all()
    for at in (sorted({top for top, _ in places}), sorted({left for _, left in places})):
        assert max(np.diff(at), default=0) <= 8


def test_what_does_not_fit_is_refused(pairs: Pairs, made: ModuleType) -> None:
    images = pairs(2, height=22, width=26).images
    with pytest.raises(InputError, match=r"of 26×22 pixels is smaller than the crop of 24×24 \(fr_crop\)"):
        draw_pairs(images, [0], PairView(24, 0), 7)
    with pytest.raises(InputError, match='Parameter fr_test_crops: got "five"; expected ten or grid'):
        views.test_places(22, 26, 16, "five")
    with pytest.raises(InputError, match="compares images with their references, and these have none"):
        pair_at(images.without_references(), 0, 16)
    other = made.noise(1, 22, 25)
    wrong = ImageSet(images._items[:1], [(other, 0)])
    with pytest.raises(InputError, match="Image 0 has 26×22 pixels, its reference 25×22; expected equal sizes"):
        pair_at(wrong, 0, 16)
