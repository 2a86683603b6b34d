"""Grad-CAM of the models of a record, by pytorch-grad-cam (extra `[cam]`): what in an image raises the prediction."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.methods.base import Model
from ssliqa_bench.methods.matching.base import LevelPredictor
from ssliqa_bench.methods.matching.network import LevelModel
from ssliqa_bench.methods.noisy_student.network import StudentNetwork, StudentPredictor
from ssliqa_bench.methods.regression.ensembles import Ensemble
from ssliqa_bench.methods.regression.ucvme import RestoredPredictor
from ssliqa_bench.methods.ssliqa.branches import BranchQuality
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.record import ModelFacts, Record
from ssliqa_bench.training.backbones.base import Backbone, QualityModel, network_input
from ssliqa_bench.training.backbones.cnniqa import CNNIQA
from ssliqa_bench.training.quality import QualityPredictor, stored_model
from ssliqa_bench.types import Artifact, ByteImage, FloatArray

_OWN = "ssliqa_bench."  # a record may name any module; none but those of this package is imported to draw it
_NETWORKS = (QualityModel, LevelModel, BranchQuality)
_PREDICTORS = (QualityPredictor, RestoredPredictor, LevelPredictor, StudentPredictor)
Network = QualityModel | LevelModel | BranchQuality


def stage_networks(store: Any, record: Record) -> dict[str, Network]:
    """The networks of a record on the CPU, in evaluation mode, by what a row of the figure is called: the stage, and
    which network of it where a stage holds several. Stages without kept weights are left out, and so are those whose
    weights belong to another kind of network.

    Raises:
        InputError: nothing was trained, the learner takes features in place of pixels or another kind of network, or
            no weights are in the store.
    """
    name, told = f"Record {record.key[:12]}", record.facts.model
    if told is None or not record.facts.stages:
        raise InputError(f"{name} ({record.cell.method}) trained no network, so there is no activation map.")
    if told.features is not None:
        raise InputError(
            f"{name} ({record.cell.method}) learned on features of the frozen network {told.features.get('name')}: its "
            f"own layers see no pixels. plot cam draws learners of pixels; the recipe without frozen features is one."
        )
    found: dict[str, Network] = {}
    kept, finished = 0, False
    artifacts = ArtifactStore(store)
    for stage in record.facts.stages:
        loaded = artifacts.load(stage.key)
        if loaded is None:
            continue
        kept += 1
        networks = _finished(told, loaded[0])
        finished = finished or bool(networks)
        networks = networks if networks is not None else _single(told, loaded[0])
        several = [f", network {k}" for k in range(1, len(networks) + 1)] if len(networks) > 1 else [""]
        found.update({f"{stage.name}{which}": own for which, own in zip(several, networks, strict=False)})
    if not kept:
        raise InputError(f"{name}: no weights of its stages are in {store}. Run it again with --no-cache --keep "
                         f"phases.")  # fmt: skip
    if not finished:
        raise InputError(f"{name} ({record.cell.method}): its model is none that plot cam draws: networks of this "
                         f"package that turn the pixels of a crop into a quality or levels.")  # fmt: skip
    return found


def _finished(told: ModelFacts, artifact: Artifact) -> list[Network] | None:
    """The networks of the finished model with the weights of a stage; None where they are those of another network."""
    if not told.builder.startswith(_OWN):
        return []
    # A record may name a function that builds no model.
    with contextlib.suppress(CorruptFileError, InputError, LookupError, ValueError, TypeError, AttributeError):
        model = Model(load_object(told.builder), tuple(told.params))
        return _inside(model.made(told.params, artifact, torch.device("cpu")))
    return None


def _single(told: ModelFacts, artifact: Artifact) -> list[Network]:
    """A stage on the way, as a network that gives the quality: a member of an ensemble; none where it is no such."""
    with contextlib.suppress(CorruptFileError, LookupError):
        return [stored_model(artifact, told.params["backbone"], torch.device("cpu"))]
    return []


def _inside(part: object) -> list[Network]:
    """The networks whose output a predictor reports, in evaluation mode, each member of an ensemble on its own."""
    if isinstance(part, _NETWORKS):
        return [part.eval()]
    if isinstance(part, Ensemble):
        return [own for member in part.members for own in _inside(member)]
    if isinstance(part, StudentNetwork):
        return _inside(part.model)
    if isinstance(part, _PREDICTORS):
        return [own for value in vars(part).values() for own in _inside(value)]
    return []  # a regression on a network's features, for one, whose own output means nothing


def activation_map(model: Network, image: ByteImage, crop: int) -> tuple[ByteImage, FloatArray]:
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
    backbone = _backbone(model)
    if isinstance(backbone, CNNIQA):
        _see_all_windows(backbone)
    layer = _last_map(model, inputs) if tokens is None else tokens[-1].norm1
    reshape = None if tokens is None else _to_map(backbone.network)  # type: ignore[arg-type]
    with GradCAM(model=_Quality(model), target_layers=[layer], reshape_transform=reshape) as cam:
        found = cam(input_tensor=inputs, targets=[lambda output: output.sum()])[0]
    return pixels, np.asarray(found, dtype=np.float64)


class _Quality(nn.Module):
    """A network whose only output is the quality, (n, 1): of levels, the expected one."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model(crops)[0]
        if found.ndim == 1:
            return found[:, None]
        levels = torch.arange(found.shape[1], dtype=found.dtype)
        return (found.softmax(1) * levels).sum(1, keepdim=True)


def _backbone(model: Network) -> Backbone:
    return model.branch.backbone if isinstance(model, BranchQuality) else model.backbone


def _blocks(model: Network) -> Sequence[nn.Module] | None:
    """The blocks of a transformer over tokens; None for other networks."""
    network = getattr(_backbone(model), "network", None)
    blocks = getattr(network, "blocks", None)
    return blocks if hasattr(network, "num_prefix_tokens") and hasattr(network, "patch_embed") and blocks else None


def _middle(image: ByteImage, side: int) -> ByteImage:
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise InputError(f"An image has {width}×{height} pixels; this network takes {side}×{side}.")
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _last_map(model: Network, inputs: torch.Tensor) -> nn.Module:
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
    prefix = int(network.num_prefix_tokens)  # type: ignore[arg-type]
    height, width = (int(side) for side in network.patch_embed.grid_size)  # type: ignore[union-attr]

    def reshape(tokens: torch.Tensor) -> torch.Tensor:
        patches = tokens[:, prefix:]
        return patches.reshape(len(patches), height, width, -1).permute(0, 3, 1, 2)

    return reshape
