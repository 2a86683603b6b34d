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

_FEATURES_AT_ONCE = 64  # images per forward pass; bounds memory, changes nothing else

# Values (n, k) of n images, one for each of their k test crops.
CropValues = Callable[[ImageSet], FloatArray]


def crops_of(params: Mapping[str, Any]) -> int:
    """How many crops of one image a model with these parameters judges it by; 0 for the whole image."""
    return int(params.get("test_crops") or 0) if params.get("crop") else 0


def of_features(predictor: Predictor, crops: int) -> CropValues:
    """Values by crop of a model that reads features of frozen views.

    Any but a network of quality is shown one crop at a time, since its predictions alone are known.
    """
    if isinstance(predictor, QualityPredictor):
        return _of_quality(predictor, _FEATURES_AT_ONCE)

    def values(images: ImageSet) -> FloatArray:
        found = []
        for k in range(crops):
            one = _OneCrop(images, k, crops)
            shown = ImageSet((one, row) for row in range(len(images)))
            found.append(np.asarray(predictor.predict(shown), dtype=np.float64))
        return np.stack(found, axis=1)

    return values


def of_pixels(predictor: QualityPredictor) -> CropValues:
    """Values by crop of a network of quality; their mean is what it predicts."""
    return _of_quality(predictor, 1)


def _of_quality(predictor: QualityPredictor, images_at_once: int) -> CropValues:
    def values(images: ImageSet) -> FloatArray:
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), images_at_once):
                rows = np.arange(start, min(start + images_at_once, len(images)))
                crops = test_crops(images, rows, predictor.view).to(predictor.device)
                found.append(predictor.model(crops)[0].double().cpu().numpy().reshape(len(rows), -1))
        return np.concatenate(found)

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
