"""The student: a network that gives the standardised quality of one image, and how it judges whole images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.checkpoint import load_module
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.quality import build_backbone, check_start, read_views, start
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.training.standardisation import LabelScale
from ssliqa_bench.training.views import View, at_least, test_crops
from ssliqa_bench.types import Artifact, FloatArray, IntArray


class StudentNetwork(nn.Module):
    """The mean over the last feature map and one linear unit, in standardised scores whose scale it carries."""

    def __init__(self, model: QualityModel, scale: LabelScale) -> None:
        super().__init__()
        self.model = model
        self.scale: torch.Tensor
        self.register_buffer("scale", torch.tensor([scale.mean, scale.std], dtype=torch.float64))

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Standardised quality (n,), float32, of uint8 or float crops (n, 3, h, w)."""
        quality: torch.Tensor = self.model(crops)[0]
        return quality

    @property
    def label_scale(self) -> LabelScale:
        """How standardised quality becomes quality."""
        return LabelScale(*self.scale.tolist())


def make_student_model(params: Mapping[str, Any], weights: str | None = None) -> QualityModel:
    """The network of the parameter `backbone`, without what comes after its last feature map, and a linear unit."""
    return QualityModel(build_backbone(params["backbone"], weights, trunk=True))


def build_student_network(context: StageContext, scale: LabelScale) -> StudentNetwork:
    """The student before training, on the context's device: initial values depend on the seed alone.

    Raises:
        InputError: the backbone does not take crops of that size.
    """
    weights = context.weights.get("backbone")
    return start(
        context,
        lambda: StudentNetwork(make_student_model(context.params, weights), scale),
        lambda network: check_start(network, network.model.backbone, context),
    )


def stored_student_network(artifact: Artifact, params: Mapping[str, Any], device: torch.device) -> StudentNetwork:
    """The student that a stage left, in evaluation mode."""
    network = StudentNetwork(make_student_model(params), LabelScale(0.0, 1.0))
    load_module(network, artifact.tensors)
    return network.to(device).eval()


def centre_crops(images: ImageSet, positions: IntArray, crop: int) -> torch.Tensor:
    """The centre square of each of some images, uint8 (n, 3, crop, crop); a smaller image is enlarged first."""
    out = np.empty((len(positions), crop, crop, 3), dtype=np.uint8)
    for k, position in enumerate(positions):
        pixels = at_least(images[int(position)], crop)
        top, left = ((side - crop) // 2 for side in pixels.shape[:2])
        out[k] = pixels[top : top + crop, left : left + crop]
    return torch.from_numpy(np.ascontiguousarray(out.transpose(0, 3, 1, 2)))


class StudentPredictor:
    """Judges images by their centre crop, or by the mean over several fixed random crops.

    Args:
        crops: 1 for the centre crop, more for so many random ones, drawn from the image's content.
    """

    def __init__(self, network: StudentNetwork, crop: int, crops: int, device: torch.device) -> None:
        self._network, self._crop, self._crops, self._device = network, crop, crops, device
        self.n_parameters = sum(p.numel() for p in network.parameters())

    def predict(self, images: ImageSet) -> FloatArray:
        """Quality (n,), float64, on the learner's [0, 1] scale, higher is better."""
        standardised = read_views(
            self._network.model, images, lambda positions: self._crops_of(images, positions), self._device
        )[0]
        return self._network.label_scale.restore(standardised)

    def _crops_of(self, images: ImageSet, positions: IntArray) -> torch.Tensor:
        if self._crops == 1:
            return centre_crops(images, positions, self._crop)
        return test_crops(images, positions, View(self._crop, self._crops))
