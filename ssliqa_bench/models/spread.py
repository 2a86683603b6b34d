"""How far a model's values differ between the fixed crops of one image. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssliqa_bench.methods.base import Predictor
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.quality import QualityPredictor
from ssliqa_bench.training.views import test_crops
from ssliqa_bench.types import FloatArray

# Values (n, k) of n images, one for each of their k test crops.
CropValues = Callable[[ImageSet], FloatArray]


def crops_of(params: Mapping[str, Any]) -> int:
    """How many crops of one image a model with these parameters judges it by; 0 for the whole image."""
    return int(params.get("test_crops") or 0) if params.get("crop") else 0


def of_features(predictor: Predictor, crops: int) -> CropValues:
    """Values by crop of a model that reads features of frozen views: it is shown one crop at a time."""

    def values(images: ImageSet) -> FloatArray:
        rows = range(len(images))
        shown = (ImageSet((_OneCrop(images, k, crops), row) for row in rows) for k in range(crops))
        return np.stack([np.asarray(predictor.predict(one), dtype=np.float64) for one in shown], axis=1)

    return values


def of_pixels(predictor: QualityPredictor) -> CropValues:
    """Values by crop of a network of quality; their mean is what it predicts."""

    def values(images: ImageSet) -> FloatArray:
        found = []
        with torch.inference_mode():
            for row in range(len(images)):
                crops = test_crops(images, np.array([row]), predictor.view).to(predictor.device)
                found.append(predictor.model(crops)[0].double().cpu().numpy())
        return np.stack(found)

    return values


class _OneCrop:
    """Images with one test crop's features in the place of all of them."""

    def __init__(self, images: ImageSet, crop: int, crops: int) -> None:
        self.hashes = ("",) * len(images)
        self._images, self._crop, self._crops = images, crop, crops

    def image(self, row: int) -> NDArray[np.uint8]:
        """As the images have it."""
        return self._images[row]

    def views(self, row: int, kind: str) -> NDArray[np.float16]:
        """The one crop's features, as often as there are crops; other kinds as they are."""
        found = self._images.views(row, kind)
        return np.repeat(found[self._crop : self._crop + 1], self._crops, axis=0) if kind == "test" else found
