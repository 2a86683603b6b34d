"""Grad-CAM of the models of a record, by pytorch-grad-cam (extra `[cam]`): what in an image raises the prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.record import Record
from ssliqa_bench.training.backbones.base import QualityModel, network_input
from ssliqa_bench.training.backbones.cnniqa import CNNIQA
from ssliqa_bench.training.quality import stored_model
from ssliqa_bench.types import ByteImage, FloatArray

BUILDER = "ssliqa_bench.methods.supervised:build_quality"


def stage_models(store: Any, record: Record) -> dict[str, QualityModel]:
    """The networks of a record by stage, in evaluation mode on the CPU; stages without kept weights are left out.

    Raises:
        InputError: nothing was trained, the learner takes features in place of pixels or is no single network, or no
            weights are in the store.
    """
    name, told = f"Record {record.key[:12]}", record.facts.model
    if told is None or not record.facts.stages:
        raise InputError(f"{name} ({record.cell.method}) trained no network, so there is no activation map.")
    if told.features is not None:
        raise InputError(
            f"{name} ({record.cell.method}) learned on features of the frozen network {told.features.get('name')}: its "
            f"own layers see no pixels. plot cam draws learners of pixels; the recipe without frozen features is one."
        )
    if told.builder != BUILDER:
        raise InputError(f"{name} ({record.cell.method}): its model is not one network with one output; plot cam "
                         f"draws those.")  # fmt: skip
    found = {}
    artifacts = ArtifactStore(store)
    for stage in record.facts.stages:
        loaded = artifacts.load(stage.key)
        if loaded is not None:
            found[stage.name] = stored_model(loaded[0], told.params["backbone"], torch.device("cpu"))
    if not found:
        raise InputError(f"{name}: no weights of its stages are in {store}. Run it again with --no-cache --keep "
                         f"phases.")  # fmt: skip
    return found


def activation_map(model: QualityModel, image: ByteImage, crop: int) -> tuple[ByteImage, FloatArray]:
    """Where an image raises a model's prediction: the pixels that were looked at, and values (h, w) in [0, 1].

    A network with feature maps looks at the whole image, a transformer at the middle of the size of its crops.

    Args:
        crop: side of the crops that the model learned from.

    Source: Selvaraju et al., "Grad-CAM", ICCV 2017; layer and shape as pytorch-grad-cam advises for either kind.
    """
    from pytorch_grad_cam import GradCAM

    tokens = _blocks(model)
    pixels = _middle(image, crop) if tokens is not None else image
    inputs = network_input(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None])
    if isinstance(model.backbone, CNNIQA):
        _see_all_windows(model.backbone)
    layer = _last_map(model, inputs) if tokens is None else tokens[-1].norm1
    reshape = None if tokens is None else _to_map(model.backbone.network)  # type: ignore[arg-type]
    with GradCAM(model=_Quality(model), target_layers=[layer], reshape_transform=reshape) as cam:
        found = cam(input_tensor=inputs, targets=[lambda output: output.sum()])[0]
    return pixels, np.asarray(found, dtype=np.float64)


class _Quality(nn.Module):
    """A model whose only output is the quality, (n, 1)."""

    def __init__(self, model: QualityModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        quality: torch.Tensor = self.model(crops)[0]
        return quality[:, None]


def _blocks(model: QualityModel) -> Sequence[nn.Module] | None:
    """The blocks of a transformer over tokens; None for other networks."""
    network = getattr(model.backbone, "network", None)
    blocks = getattr(network, "blocks", None)
    return blocks if hasattr(network, "num_prefix_tokens") and hasattr(network, "patch_embed") and blocks else None


def _middle(image: ByteImage, side: int) -> ByteImage:
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise InputError(f"An image has {width}×{height} pixels; this network takes {side}×{side}.")
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _last_map(model: QualityModel, inputs: torch.Tensor) -> nn.Module:
    """The last layer that gives a feature map."""
    found: list[nn.Module] = []

    def look(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            found.append(module)

    hooks = [own.register_forward_hook(look) for own in model.modules() if not list(own.children())]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise InputError("This network gives no feature map with height and width, so there is no activation map.")
    return found[-1]


def _see_all_windows(backbone: CNNIQA) -> None:
    """The plain form of the network's extremes; the fast one computes no feature map while there are gradients."""

    def extremes(patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = backbone.convolution(patches).flatten(2)
        return maps.amax(2), maps.amin(2)

    backbone._extremes = extremes  # type: ignore[method-assign]


def _to_map(network: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Tokens (n, t, d) as a map (n, d, h, w), without those that are no patch."""
    prefix, grid = int(network.num_prefix_tokens), network.patch_embed.grid_size  # type: ignore[union-attr, arg-type]

    def reshape(tokens: torch.Tensor) -> torch.Tensor:
        patches = tokens[:, prefix:]
        return patches.reshape(len(patches), grid[0], grid[1], -1).permute(0, 3, 1, 2)  # type: ignore[index]

    return reshape
