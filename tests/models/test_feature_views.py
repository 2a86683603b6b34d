"""The fourteen views that frozen features are made of: where they are cut, and that their version moves with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from ssliqa_bench.models import feature_views
from ssliqa_bench.pixels.features import VIEWS_VERSION

# Mean levels of red in the weak, strong and test views and the whole image of `picture()`, by version of the views. A
# change of the views needs a new version, since features are kept under it: raise VIEWS_VERSION and add its numbers.
LEVELS = {
    1: [82.65, 126.14, 119.32, 184.14, 120.17, 138.09, 144.06, 148.32, 174.77, 177.32, 101.41, 75.83, 153.44, 127.00],
}


class MeanLevels(nn.Module):
    """In place of a network: the mean of each channel and the sides of what it sees."""

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        sides = torch.tensor(crops.shape[2:]).expand(len(crops), 2)
        return torch.cat((255 * crops.mean((2, 3)), sides), dim=1)


def picture() -> NDArray[np.uint8]:
    """Red rises to the right, green downwards, blue is a fine pattern; 200 rows, 300 columns."""
    y, x = np.mgrid[:200, :300]
    return np.stack((x * 255 // 299, y * 255 // 199, (x * 7 + y * 13) % 256), axis=2).astype(np.uint8)


@pytest.fixture
def features(monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float32]:
    monkeypatch.setattr(feature_views, "build_backbone", lambda backbone, weights: MeanLevels())
    extract = feature_views.extractor({}, "")
    one, other = (extract(picture(), content) for content in ("aa", "aa"))
    np.testing.assert_array_equal(one, other)  # drawn from the content, not from a state
    return one


def test_sizes_of_views(features: NDArray[np.float32]) -> None:
    assert features.shape == (14, 5)
    assert (features[:13, 3:] == 160).all()
    assert features[13, 3:].tolist() == [384, 576]  # the short side, its ratio kept


def test_test_crops_are_crops_of_the_picture(features: NDArray[np.float32]) -> None:
    """Red tells how far to the right a crop was cut, green how far down, and blue then has to fit."""
    pixels, places = picture().astype(float), set()
    for red, green, blue in features[8:13, :3].tolist():
        left, top = round(red * 299 / 255 - 79.1), round(green * 199 / 255 - 79.1)
        cut = pixels[top : top + 160, left : left + 160]
        assert cut.shape == (160, 160, 3)
        np.testing.assert_allclose(cut.mean((0, 1)), (red, green, blue), atol=1e-3)
        places.add((top, left))
    assert len(places) == 5


def test_the_whole_image_is_the_resized_picture(features: NDArray[np.float32]) -> None:
    resized = Image.fromarray(picture()).resize((576, 384), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(features[13, :3], np.asarray(resized, dtype=float).mean((0, 1)), atol=0.3)


def test_views_of_a_version_stay_as_they_are(features: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(features[:, 0], LEVELS[VIEWS_VERSION], atol=0.01)
