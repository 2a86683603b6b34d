"""How the views of a frozen network are cut and run. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.pixels.decode import resize_short
from ssliqa_bench.pixels.features import CROP, VIEWS, WHOLE, Extract
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.quality import build_backbone
from ssliqa_bench.training.views import View, test_crops

_PURPOSE = "frozen views"
_AT_ONCE = 4  # crops per forward pass: their maps stay in the cache of one core


class _One:
    """A single decoded image as a pixel source."""

    def __init__(self, pixels: NDArray[np.uint8], content: str) -> None:
        self.hashes = (content,)
        self._pixels = pixels

    def image(self, row: int) -> NDArray[np.uint8]:
        return self._pixels


def extractor(backbone: Mapping[str, Any], weights: str) -> Extract:
    """What turns a decoded image into features of its views.

    Args:
        backbone: resolved entry of the network, {"class", "arguments"}.
        weights: file of its pretrained weights.
    """
    network = build_backbone(backbone, weights).eval()
    policy = Policy("quality_preserving", CROP)

    def extract(pixels: NDArray[np.uint8], content: str) -> NDArray[np.float32]:
        images, first = ImageSet([(_One(pixels, content), 0)]), np.zeros(1, dtype=np.int64)
        pairs = [policy.pairs(images, first, 1, _PURPOSE, visits=first + k) for k in range(VIEWS["weak"])]
        weak, strong = (torch.cat(views) for views in zip(*pairs, strict=True))
        crops = torch.cat((weak, strong, test_crops(images, first, View(CROP, VIEWS["test"]))))
        whole = torch.from_numpy(resize_short(pixels, WHOLE)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            found = [_run(network, part) for part in (*crops.split(_AT_ONCE), whole)]  # type: ignore[no-untyped-call]
        return torch.cat(found).numpy()

    return extract


def _run(network: torch.nn.Module, crops: torch.Tensor) -> torch.Tensor:
    return network(crops.float().div(255.0)).float()  # type: ignore[no-any-return]
