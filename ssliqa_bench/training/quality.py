"""Score regression shared by learners: build a quality model, train it on scores, read it through views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from ssliqa_bench.training.averages import AnyNetwork
from ssliqa_bench.training.backbones.base import Backbone, QualityModel, check_crop
from ssliqa_bench.training.backbones.weights import load_weights
from ssliqa_bench.training.batches import in_batches
from ssliqa_bench.training.checkpoint import load_module
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.imports import named
from ssliqa_bench.training.loop import EpochPlan, Schedule, split_batches, train
from ssliqa_bench.training.losses import smooth_l1
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.training.views import View, draw, fixed_features, test_crops
from ssliqa_bench.types import Artifact, FloatArray, IntArray, derive_seed

_IMAGES_AT_ONCE = 16  # images per forward pass outside training; bounds memory, changes nothing else


def build_backbone(spec: Mapping[str, Any], weights: str | None = None, *, trunk: bool = False) -> Backbone:
    """A feature network from its resolved entry: {"class": "module:Class", "arguments": {...}}.

    Args:
        weights: a file of pretrained weights; None keeps the random initial values.
        trunk: without what comes after its last feature map, see `Backbone.trunk`.
    """
    backbone: Backbone = named(str(spec["class"]))(**spec["arguments"])
    if trunk:
        backbone = backbone.trunk()
    if weights is not None:
        load_weights(backbone, weights)
    return backbone


def build_model(context: StageContext) -> QualityModel:
    """The model Θ before training, on the context's device: initial values depend on the seed alone.

    Raises:
        InputError: the network does not take crops of that size.
    """

    def build() -> QualityModel:
        return QualityModel(build_backbone(context.params["backbone"], context.weights.get("backbone")))

    return start(context, build, lambda model: check_start(model, model.backbone, context))


def start(
    context: StageContext, build: Callable[[], AnyNetwork], check: Callable[[AnyNetwork], None], *role: str
) -> AnyNetwork:
    """A network before training, on the context's device: initial values depend on the seed and its role alone.

    Args:
        build: makes it; check: raises where it does not take its input.
    """
    torch.manual_seed(derive_seed(context.seed, "initial weights", *role))
    network = build()
    check(network)
    return network.train().to(context.device)


def check_start(network: nn.Module, backbone: Backbone, context: StageContext, whose: str = "the backbone") -> None:
    """Look whether a network that is about to be trained takes its input, and calibrate a head on frozen features.

    Args:
        backbone: lies in the network.
        whose: names it in the message.

    Raises:
        InputError: it does not take crops of the size that the parameters state.
    """
    check_crop(network, backbone, int(context.params["crop"]), whose)
    labeled = context.labeled
    if labeled is not None and labeled.images.frozen:
        kind = "weak" if context.params["crop"] else "whole"
        backbone.calibrate(fixed_features(labeled.images, range(len(labeled)), kind, None))


def stored_model(artifact: Artifact, backbone: Mapping[str, Any], device: torch.device) -> QualityModel:
    """The model that a stage left, in evaluation mode."""
    model = QualityModel(build_backbone(backbone))
    load_module(model, artifact.tensors)
    return model.to(device).eval()


def train_on_scores(
    model: QualityModel,
    images: ImageSet,
    scores: FloatArray,
    rows: Callable[[int], IntArray],
    items: int,
    schedule: Schedule,
    view: View,
    context: StageContext,
) -> dict[str, Any]:
    """Train a model in place on images and scores, smooth-L1 on every crop.

    Args:
        scores: targets (n,) on the learner's scale.
        rows: positions of an epoch, `items` of them; they are taken in that order.

    Returns:
        Steps and log of `training.loop.train`.
    """
    plan = EpochPlan(items, int(context.params["batch_size"]))
    targets = torch.from_numpy(np.asarray(scores, dtype=np.float32))
    beta = float(context.params["smooth_l1_beta"])

    def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for positions, visits in in_batches(rows(epoch), plan.batch_size):
            crops = draw(images, positions, view, context.seed, context.name, "strong", epoch, visits=visits)
            target = targets[positions].repeat_interleave(view.crops)
            yield crops, target

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"loss": smooth_l1(model(batch[0])[0], batch[1], beta)}

    return train(model, schedule, plan, batches, loss, context)


@torch.no_grad()
def read_views(
    model: QualityModel,
    images: ImageSet,
    crops_of: Callable[[IntArray], torch.Tensor],
    device: torch.device,
    precision: str = "float32",
) -> tuple[FloatArray, FloatArray]:
    """Quality (n,) and features (n, d) of images, each the mean over an image's crops, float64.

    `crops_of` gives the crops of some positions, equally many for each, those of one image together.
    """
    model.eval()
    quality, features = [], []
    for positions in split_batches(np.arange(len(images)), _IMAGES_AT_ONCE):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = model(crops_of(positions).to(device))
        for values, sink in zip(outputs, (quality, features), strict=True):
            per_image = values.double().reshape(len(positions), -1, *values.shape[1:])
            sink.append(per_image.mean(1).cpu().numpy())
    return np.concatenate(quality), np.concatenate(features)


def read_test_crops(
    model: QualityModel, images: ImageSet, view: View, device: torch.device, precision: str = "float32"
) -> tuple[FloatArray, FloatArray]:
    """Quality (n,) and features (n, d) of images, each the mean over an image's fixed test crops, float64."""
    return read_views(model, images, lambda rows: test_crops(images, rows, view), device, precision)


class QualityPredictor:
    """Judges images by the mean quality over their fixed test crops.

    Attributes:
        model, view, device: the network, which crops it sees of an image, and where it computes.
    """

    def __init__(self, model: QualityModel, view: View, device: torch.device) -> None:
        self.model = model.eval()
        self.view = view
        self.device = device
        self.n_parameters = sum(p.numel() for p in model.parameters())

    def predict(self, images: ImageSet) -> FloatArray:
        """Quality (n,), float64, on the learner's scale, higher is better."""
        return read_test_crops(self.model, images, self.view, self.device)[0]
