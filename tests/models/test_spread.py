"""Values by crop are those of the crops looked at one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ssliqa_bench.models.crop_spread import of_whole_images
from ssliqa_bench.models.spread import of_features, of_pixels
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.backbones.frozen import FrozenFeatures
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.quality import QualityPredictor
from ssliqa_bench.training.views import View
from ssliqa_bench.types import FloatArray

IMAGES, CROPS, WIDTH = 150, 5, 7


class Features:
    """Images that are known by made-up features of five test views alone."""

    def __init__(self) -> None:
        self.hashes = tuple(map(str, range(IMAGES)))
        self.values = np.random.default_rng(0).normal(size=(IMAGES, CROPS, WIDTH)).astype(np.float16)

    def image(self, row: int) -> NDArray[np.uint8]:
        raise AssertionError("no pixels are read")

    def views(self, row: int, kind: str) -> NDArray[np.float16]:
        assert kind == "test"
        return self.values[row]


@dataclass
class Hidden:
    """A model of which nothing but its predictions is known."""

    predictor: QualityPredictor
    n_parameters: int = 0

    def predict(self, images: ImageSet) -> FloatArray:
        return self.predictor.predict(images)


@pytest.fixture
def predictor() -> QualityPredictor:
    torch.manual_seed(0)
    return QualityPredictor(QualityModel(FrozenFeatures(WIDTH)), View(160, CROPS), torch.device("cpu"))


def test_all_ways_to_the_values_of_single_crops_agree(predictor: QualityPredictor) -> None:
    source = Features()
    images = ImageSet((source, row) for row in range(IMAGES))
    with torch.inference_mode():
        expected = np.array([
            [float(predictor.model(torch.from_numpy(crop[None].astype(np.float32)))[0]) for crop in own]
            for own in source.values
        ])  # fmt: skip
    for found in (of_features(predictor, CROPS)(images), of_features(Hidden(predictor), CROPS)(images),
                  of_pixels(predictor)(images)):  # fmt: skip
        assert found.shape == (IMAGES, CROPS) and found == pytest.approx(expected, abs=1e-6)
    assert predictor.predict(images) == pytest.approx(expected.mean(axis=1), abs=1e-6)


def test_a_model_of_whole_images_judges_every_crop_as_if_it_were_one() -> None:
    torch.manual_seed(0)
    whole = QualityPredictor(QualityModel(FrozenFeatures(WIDTH)), View(0, 1), torch.device("cpu"))
    source = Features()
    found = of_whole_images(whole)(ImageSet((source, row) for row in range(IMAGES)))
    assert found.shape == (IMAGES, CROPS)
    with torch.inference_mode():
        expected = [float(whole.model(torch.from_numpy(crop[None].astype(np.float32)))[0]) for crop in source.values[3]]
    assert found[3] == pytest.approx(expected, abs=1e-6)
