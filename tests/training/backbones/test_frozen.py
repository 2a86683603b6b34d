"""A head on frozen features, and the views of image sets that hold features in place of pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.pixels.features import VIEWS, Features
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.backbones.frozen import FrozenFeatures
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.views import View, draw
from ssliqa_bench.training.views import test_crops as evaluation_crops

N, D = 6, 5
FIRST = dict(zip(VIEWS, np.cumsum([0, *VIEWS.values()]).tolist(), strict=False))


@pytest.fixture
def values() -> NDArray[np.float16]:
    """Features whose value names image and view: image 2, view 9 is 2.09."""
    views = sum(VIEWS.values())
    table = np.arange(N)[:, None, None] + np.arange(views)[None, :, None] / 100.0 + np.zeros((1, 1, D))
    return table.astype(np.float16)


@pytest.fixture
def images(values: NDArray[np.float16]) -> ImageSet:
    hashes = tuple(f"{k:064d}" for k in range(N))
    source = Features(hashes, {}, ((9, 9),) * N, "network", tuple(range(N)), values)
    return ImageSet((source, k) for k in range(N))


def views_of(tensor: torch.Tensor) -> list[tuple[int, int]]:
    """(image, view) of each row."""
    return [(int(value), round((float(value) % 1) * 100)) for value in tensor[:, 0].tolist()]


def test_training_views_are_weak_ones_of_the_right_image(images: ImageSet) -> None:
    found = views_of(draw(images, [3, 1], View(32, 4), 0, "strong", 0))
    assert [image for image, _ in found] == [3] * 4 + [1] * 4
    for start in (0, 4):  # four different ones where four are known
        assert sorted(view for _, view in found[start : start + 4]) == list(range(VIEWS["weak"]))


def test_draws_depend_on_purpose_visit_and_image_alone(images: ImageSet) -> None:
    alone = [views_of(draw(images, [k], View(32, 1), 7, "strong", e))[0] for k in range(N) for e in range(8)]
    together = [draw(images, range(N), View(32, 1), 7, "strong", e) for e in range(8)]
    assert alone == [views_of(together[e])[k] for k in range(N) for e in range(8)]
    assert len({view for _, view in alone}) == VIEWS["weak"]
    again = [views_of(draw(images, [0], View(32, 1), 7, "strong", 0, visits=[v]))[0] for v in range(12)]
    assert len(set(again)) > 1


def test_test_views_are_fixed_and_crop_zero_is_the_whole_image(images: ImageSet) -> None:
    crops = views_of(evaluation_crops(images, [2], View(32, 3)))
    assert crops == [(2, FIRST["test"] + k) for k in range(3)]
    assert views_of(evaluation_crops(images, [2], View(0, 1))) == [(2, FIRST["whole"])]
    assert views_of(draw(images, [2], View(0, 1), 0)) == [(2, FIRST["whole"])]
    with pytest.raises(InputError, match="test_crops: got 6; frozen features hold 5"):
        evaluation_crops(images, [0], View(32, 6))


def test_the_first_strong_view_overlaps_the_weak_one(images: ImageSet) -> None:
    policy = Policy("quality_preserving", 32)
    weak, strong, second = policy.pairs(images, np.arange(N), 2, 5, "pairs")
    for a, b, c in zip(views_of(weak), views_of(strong), views_of(second), strict=True):
        assert a[0] == b[0] == c[0]
        assert b[1] - FIRST["strong"] == a[1] and (c[1] - b[1]) % VIEWS["strong"] == 1
    with pytest.raises(InputError, match="expected quality_preserving"):
        Policy("classic", 32).pairs(images, np.arange(N), 1, 5, "pairs")


def test_pixels_are_refused(images: ImageSet) -> None:
    with pytest.raises(DataError, match="looks at pixels"):
        images[0]


@pytest.mark.parametrize("width", [0, 7])
def test_the_head(width: int) -> None:
    torch.manual_seed(0)
    model = QualityModel(FrozenFeatures(D, width)).eval()
    vectors = torch.randn(40, D) * 3 + 1
    model.backbone.calibrate(vectors)
    quality, features = model(vectors)
    assert features.shape == (40, width or D) and quality.shape == (40,)
    if not width:
        root = vectors.sign() * vectors.abs() ** 0.5
        expected = (root - root.mean(0)) / root.std(0, correction=0) / D**0.5
        torch.testing.assert_close(features, expected)
    torch.testing.assert_close(model(vectors[1:2])[0], quality[1:2])  # nothing depends on the vectors beside it
    again = QualityModel(FrozenFeatures(D, width)).eval()
    again.load_state_dict(model.state_dict())  # what it was calibrated with is part of the model
    torch.testing.assert_close(again(vectors)[0], quality)
