"""How far the values of a model that judges whole images by frozen features differ between crops. Imports torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.methods.base import Predictor
from ssliqa_bench.models.spread import CropValues
from ssliqa_bench.pixels.features import VIEWS
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import FloatArray


def of_whole_images(predictor: Predictor) -> CropValues:
    """Values (n, 5) of n images, one for each test crop, which is judged as if it were the whole image.

    Every extraction of frozen features holds these crops, so that they cost no further pass through the network.
    """

    def values(images: ImageSet) -> FloatArray:
        found = []
        for crop in range(VIEWS["test"]):
            shown = _CropAsWhole(images, crop)
            one = ImageSet((shown, row) for row in range(len(images)))
            found.append(np.asarray(predictor.predict(one), dtype=np.float64))
        return np.stack(found, axis=1)

    return values


class _CropAsWhole:
    """Images with the features of one test crop in the place of those of the whole image."""

    def __init__(self, images: ImageSet, crop: int) -> None:
        self.hashes = ("",) * len(images)
        self._images, self._crop = images, crop

    def image(self, row: int) -> NDArray[np.uint8]:
        """As the images have it."""
        return self._images[row]

    def views(self, row: int, kind: str) -> NDArray[np.float16]:
        """The one crop's features for the whole image; other kinds as they are."""
        if kind != "whole":
            return self._images.views(row, kind)
        return self._images.views(row, "test")[self._crop : self._crop + 1]
