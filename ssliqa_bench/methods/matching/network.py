"""The network of levels, the heads that some algorithms add, and what is trained: network, average and state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ssliqa_bench.methods.matching.parts import Rule, State
from ssliqa_bench.training.averages import Trainee, follow
from ssliqa_bench.training.backbones.base import Backbone, network_input
from ssliqa_bench.training.checkpoint import load_module
from ssliqa_bench.training.quality import build_backbone, check_start, start
from ssliqa_bench.training.stages import StageContext

TURNS = 4
_TINY = 1e-12


class LevelModel(nn.Module):
    """A backbone with one linear output per level."""

    def __init__(self, backbone: Backbone, levels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(backbone.dropout)
        self.head = nn.Linear(backbone.features, levels)

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, P) and features (n, d) of uint8 or float crops (n, 3, h, w)."""
        features = self.backbone(network_input(crops))
        return self.head(self.dropout(features)), features


class Projection(nn.Module):
    """Linear, ReLU, linear, unit length; of several projectors the outputs are averaged before."""

    def __init__(self, features: int, dimensions: int, projectors: int = 1) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, dimensions))
            for _ in range(projectors)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, dimensions), float32."""
        mean = torch.stack([part(features) for part in self.parts]).mean(0)
        return functional.normalize(mean.float(), eps=_TINY)


class HeadedModel(nn.Module):
    """The network of levels with the further heads that an algorithm asks for."""

    def __init__(self, model: LevelModel, rule: Rule | None, dimensions: int = 0, projectors: int = 1) -> None:
        super().__init__()
        self.model = model
        width = model.backbone.features
        self.heads = nn.ModuleDict()
        if rule is not None and rule.embeds:
            self.heads["projection"] = Projection(width, dimensions, projectors)
        if rule is not None and rule.distances:
            self.heads["distance"] = nn.Linear(width, width)
        if rule is not None and rule.rotates:
            self.heads["rotation"] = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, TURNS))

    def forward(self, crops: torch.Tensor) -> LevelOutputs:
        """Everything but the turns."""
        logits, features = self.model(crops)
        projection = self.heads["projection"](features) if "projection" in self.heads else None
        distance = self.heads["distance"](features) if "distance" in self.heads else None
        return LevelOutputs(logits, features, projection, distance)

    def turns(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (n, 4) of the turn of an image."""
        logits: torch.Tensor = self.heads["rotation"](features)
        return logits


@dataclass(frozen=True)
class LevelOutputs:
    """Outputs for some crops."""

    logits: torch.Tensor
    features: torch.Tensor
    embeddings: torch.Tensor | None
    distances: torch.Tensor | None

    def split(self, *sizes: int) -> list[LevelOutputs]:
        """The outputs of consecutive groups of crops."""
        columns = (self.logits, self.features, self.embeddings, self.distances)
        parts = [[None] * len(sizes) if column is None else column.split(sizes) for column in columns]
        return [LevelOutputs(*group) for group in zip(*parts, strict=True)]


class Held(nn.Module):
    """The state of a rule as buffers, so that it is stored and restored with the network."""

    def __init__(self, state: State) -> None:
        super().__init__()
        for name, value in state.items():
            self.register_buffer(name, value)

    def get(self) -> State:
        """The state."""
        return dict(self.named_buffers())

    def put(self, state: Mapping[str, torch.Tensor]) -> None:
        """Replace it; names, shapes and types stay."""
        for name, value in state.items():
            setattr(self, name, value.detach().to(getattr(self, name).dtype))


class LevelTrainee(Trainee[HeadedModel]):
    """A network in training, the average of its weights, and the state of the rule.

    Args:
        decay: m of θ̄ ← m θ̄ + (1 − m) θ; 0 keeps no average.
        unlabeled: number of unlabeled images, for each of which is kept whether it was ever selected.
    """

    def __init__(self, network: HeadedModel, decay: float, state: State, unlabeled: int) -> None:
        super().__init__(network, averages=bool(decay))
        self.decay = decay
        self.held = Held(state)
        self.ever: torch.Tensor
        self.register_buffer("ever", torch.zeros(unlabeled, dtype=torch.bool))

    def follow(self) -> None:
        """Move the average towards the weights after an optimiser step."""
        if self.averaged is not None:
            follow(self.averaged, self.network, self.decay)

    def select(self, rows: torch.Tensor, mask: torch.Tensor) -> None:
        """Remember which of some unlabeled images a step selected; no value is fetched from the device."""
        hits = torch.zeros(len(self.ever), device=self.ever.device).index_add(0, rows, (mask > 0).float())
        self.ever |= hits > 0


class TokenDrop(nn.Module):
    """Leaves a fraction of an image's patches out, never the class token; set for the strong views alone."""

    def __init__(self, prefix: int) -> None:
        super().__init__()
        self.prefix = prefix
        self.fraction = 0.0

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (n, prefix + patches, d), fewer of them where the fraction is not 0."""
        patches = tokens.shape[1] - self.prefix
        kept = patches - int(self.fraction * patches)
        if not self.training or kept == patches:
            return tokens
        order = torch.rand(len(tokens), patches, device=tokens.device).argsort(1)[:, :kept].sort(1).values
        chosen = tokens[:, self.prefix :].gather(1, order[..., None].expand(-1, -1, tokens.shape[2]))
        return torch.cat((tokens[:, : self.prefix], chosen), dim=1)


def add_token_drop(backbone: Backbone) -> TokenDrop | None:
    """Put a TokenDrop where a ViT of timm has its own; None for a network that is not one."""
    network = getattr(backbone, "network", None)
    if not isinstance(getattr(network, "patch_drop", None), nn.Module):
        return None
    network.patch_drop = TokenDrop(int(network.num_prefix_tokens))
    return network.patch_drop


def build_level_network(context: StageContext, rule: Rule | None) -> HeadedModel:
    """The network before training, on the context's device: initial values depend on the seed alone, and those of
    the backbone and of the levels not on the algorithm.

    Raises:
        InputError: the backbone does not take crops of that size.
    """
    p = context.params
    embeds = rule is not None and rule.embeds

    def build() -> HeadedModel:
        model = LevelModel(build_backbone(p["backbone"], context.weights.get("backbone")), int(p["levels"]))
        return HeadedModel(model, rule, *(int(p[name]) for name in ("dimensions", "projectors") if embeds))

    return start(context, build, lambda headed: check_start(headed.model, headed.model.backbone, context))


def stored_level_network(tensors: Mapping[str, Any], backbone: Mapping[str, Any], levels: int) -> LevelModel:
    """The network of levels that a stage left, in evaluation mode."""
    model = LevelModel(build_backbone(backbone), levels)
    load_module(model, tensors)
    return model.eval()
