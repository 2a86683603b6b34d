"""IQA Conformer and IQA Transformer: two streams, the reference's features and their difference from the image's.

Source: as `blocks`. The encoder reads the difference, the decoder reads the reference and attends to the encoded
difference; one projection and one table of positions serve both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.full_reference.blocks import Attention, Convolution, FeedForward, Head
from ssliqa_bench.training.extractors.base import MapExtractor
from ssliqa_bench.training.quality import build_backbone
from ssliqa_bench.training.standardisation import LabelScale

# What every full-reference network is made of.
PAIR_NETWORK_PARAMS = ("extractor_backbone", "width", "heads", "head_width", "fr_dropout", "grid")


@dataclass(frozen=True)
class NetworkSizes:
    """channels: of the maps; width: d of all tokens; hidden: of the feed-forward layers; head: of the head's layer;
    grid: places along a side of the maps."""

    channels: int
    width: int
    heads: int
    hidden: int
    head: int
    dropout: float
    grid: int


class PairNetwork(nn.Module, ABC):
    """From the maps of a reference and of a distorted crop to a standardised score."""

    # The parameter that says how wide its feed-forward layers are.
    hidden_param: ClassVar[str]
    tokens: ClassVar[int]  # in front of the places

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.grid = sizes.grid
        self.projection = nn.Linear(sizes.channels, sizes.width)
        self.positions = nn.Parameter(torch.randn(self.tokens + sizes.grid**2, sizes.width))
        self.dropout = nn.Dropout(sizes.dropout)

    @abstractmethod
    def read(self, reference: torch.Tensor) -> torch.Tensor:
        """The decoder's state before it looks at the difference, of the reference's maps (n, c, g, g): what a
        reference gives, whatever image it is compared with."""

    @abstractmethod
    def compare(self, read: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
        """Standardised scores (n,), of what `read` gave and the maps of the reference less those of the image."""

    def forward(self, reference: torch.Tensor, distorted: torch.Tensor) -> torch.Tensor:
        """Standardised scores (n,), higher is better, of two maps (n, c, g, g)."""
        return self.compare(self.read(reference), reference - distorted)

    def project(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps as tokens (n, g, g, d), positions not yet added.

        Raises:
            InputError: the maps do not have the network's grid.
        """
        if maps.shape[-2:] != (self.grid, self.grid):
            found = "×".join(str(side) for side in maps.shape[-2:])
            raise InputError(
                f"Parameter grid: the extractor's maps have {found} places; expected {self.grid}×{self.grid}, which "
                f"learned positions need. Change fr_crop, or grid, with --set."
            )
        return self.projection(maps.permute(0, 2, 3, 1))


class ConformerNetwork(PairNetwork):
    """Conformer blocks on the grid, mean over all places, two-layer head."""

    hidden_param: ClassVar[str] = "feedforward"
    tokens: ClassVar[int] = 0

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__(sizes)
        self.encoder = _ConformerBlock(sizes, decodes=False)
        self.decoder = _ConformerBlock(sizes, decodes=True)
        self.head = Head(sizes.width, sizes.head)

    def _placed(self, maps: torch.Tensor) -> torch.Tensor:
        tokens = self.project(maps)
        return self.dropout(tokens + self.positions.view(self.grid, self.grid, -1))

    def read(self, reference: torch.Tensor) -> torch.Tensor:
        """As declared; (n, g, g, d)."""
        return self.decoder.begin(self._placed(reference))

    def compare(self, read: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
        """As declared."""
        memory = self.encoder.end(self.encoder.begin(self._placed(difference)))
        return self.head(self.decoder.end(read, memory).mean((1, 2)))


class _ConformerBlock(nn.Module):
    """x + ½ FF, + self-attention, (+ cross-attention,) + convolution, + ½ FF, then a layer norm."""

    def __init__(self, sizes: NetworkSizes, *, decodes: bool) -> None:
        super().__init__()
        width, dropout = sizes.width, sizes.dropout
        self.first = FeedForward(width, sizes.hidden, dropout, swish=True)
        self.attention = Attention(width, sizes.heads, dropout)
        self.cross = Attention(width, sizes.heads, dropout) if decodes else None
        self.convolution = Convolution(width, dropout)
        self.second = FeedForward(width, sizes.hidden, dropout, swish=True)
        self.norm = nn.LayerNorm(width)

    def begin(self, x: torch.Tensor) -> torch.Tensor:
        """Up to the self-attention."""
        x = x + 0.5 * self.first(x)
        return x + self.attention(x)

    def end(self, x: torch.Tensor, memory: torch.Tensor | None = None) -> torch.Tensor:
        """From there to the closing norm."""
        if self.cross is not None:
            x = x + self.cross(x, memory)
        x = x + self.convolution(x)
        return self.norm(x + 0.5 * self.second(x))


class TransformerNetwork(PairNetwork):
    """Transformer blocks on a row of tokens, the first of which is learned and judged by the head."""

    hidden_param: ClassVar[str] = "transformer_feedforward"
    tokens: ClassVar[int] = 1

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__(sizes)
        self.quality = nn.Parameter(torch.randn(2, sizes.width))  # of the decoder's stream, of the encoder's
        self.encoder = _TransformerBlock(sizes, decodes=False)
        self.decoder = _TransformerBlock(sizes, decodes=True)
        self.head = Head(sizes.width, sizes.head)

    def _placed(self, maps: torch.Tensor, stream: int) -> torch.Tensor:
        tokens = self.project(maps).flatten(1, 2)
        first = self.quality[stream].to(tokens.dtype).expand(len(tokens), 1, -1)
        return self.dropout(torch.cat((first, tokens), dim=1) + self.positions)

    def read(self, reference: torch.Tensor) -> torch.Tensor:
        """As declared; (n, 1 + g², d)."""
        return self.decoder.begin(self._placed(reference, 0))

    def compare(self, read: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
        """As declared."""
        memory = self.encoder.end(self.encoder.begin(self._placed(difference, 1)))
        return self.head(self.decoder.end(read, memory)[:, 0])


class _TransformerBlock(nn.Module):
    """x + self-attention, (+ cross-attention,) + FF, then a layer norm."""

    def __init__(self, sizes: NetworkSizes, *, decodes: bool) -> None:
        super().__init__()
        width, dropout = sizes.width, sizes.dropout
        self.attention = Attention(width, sizes.heads, dropout)
        self.cross = Attention(width, sizes.heads, dropout) if decodes else None
        self.feedforward = FeedForward(width, sizes.hidden, dropout, swish=False)
        self.norm = nn.LayerNorm(width)

    def begin(self, x: torch.Tensor) -> torch.Tensor:
        """The self-attention."""
        return x + self.attention(x)

    def end(self, x: torch.Tensor, memory: torch.Tensor | None = None) -> torch.Tensor:
        """From there to the closing norm."""
        if self.cross is not None:
            x = x + self.cross(x, memory)
        return self.norm(x + self.feedforward(x))


NETWORKS: Mapping[str, type[PairNetwork]] = {"conformer": ConformerNetwork, "transformer": TransformerNetwork}


class FullReferenceModel(nn.Module):
    """A frozen extractor and a network that compares its maps, and the scale by which its scores are standardised."""

    def __init__(self, extractor: MapExtractor, network: PairNetwork) -> None:
        super().__init__()
        self.extractor = extractor
        self.network = network
        self.scale: torch.Tensor
        self.register_buffer("scale", torch.tensor([0.0, 1.0], dtype=torch.float64))

    @property
    def label_scale(self) -> LabelScale:
        """That of the labels it learned from."""
        return LabelScale(*self.scale.tolist())

    def rescale(self, scale: LabelScale) -> None:
        """Take another scale."""
        self.scale.copy_(torch.tensor([scale.mean, scale.std], dtype=torch.float64))

    def forward(self, reference: torch.Tensor, distorted: torch.Tensor) -> torch.Tensor:
        """Standardised scores (n,) in float32, of crops in [0, 1], (n, 3, h, w) each."""
        first, second = self.extractor.maps(torch.cat((reference, distorted))).chunk(2)
        return self.network(first, second).float()


def make_pair_model(name: str, params: Mapping[str, Any], weights: str | None = None) -> FullReferenceModel:
    """The model of a network's name, "conformer" or "transformer", with initial values.

    Args:
        params: `PAIR_NETWORK_PARAMS` and the network's own `hidden_param`.
        weights: file of the extractor's weights; None keeps random ones.

    Raises:
        InputError: the backbone gives no maps, or the heads do not share the width.
    """
    extractor = build_backbone(params["extractor_backbone"], weights)
    if not isinstance(extractor, MapExtractor):
        raise InputError(
            "Parameter extractor_backbone: gives vectors; expected a backbone of feature maps, such as maps-irv2 or "
            'maps-filterbank. "ssliqa-bench list backbones" shows all.'
        )
    width, heads = int(params["width"]), int(params["heads"])
    if width % heads:
        raise InputError(f"Parameter heads: got {heads}; expected a number that divides width, {width}.")
    made = NETWORKS[name]
    sizes = NetworkSizes(
        channels=extractor.features,
        width=width,
        heads=heads,
        hidden=int(params[made.hidden_param]),
        head=int(params["head_width"]),
        dropout=float(params["fr_dropout"]),
        grid=int(params["grid"]),
    )
    return FullReferenceModel(extractor, made(sizes))
