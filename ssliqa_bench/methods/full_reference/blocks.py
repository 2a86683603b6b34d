"""The modules of the full-reference networks. Tensors are channels-last: (n, …places, d).

Source: Conde, Burchi, Timofte, "Conformer and Blind Noisy Students for Improved Image Quality Assessment", CVPRW
2022, and, where the paper says nothing, the defaults of its published code. All residual branches begin with a layer
norm; weights start from PyTorch's defaults, position and token tables from the standard normal distribution.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_KERNEL = 7  # side of the depthwise convolution


class FeedForward(nn.Module):
    """drop(W₂ drop'(f(W₁ LN(x) + b₁)) + b₂).

    Args:
        width: d. hidden: rows of W₁.
        swish: f is u·σ(u), and drop' drops; else f is ReLU, and drop' does nothing.
    """

    def __init__(self, width: int, hidden: int, dropout: float, *, swish: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, hidden)
        self.activation = nn.SiLU() if swish else nn.ReLU()
        self.inner_dropout = nn.Dropout(dropout if swish else 0.0)
        self.second = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The branch, without the residual; shape of x."""
        hidden = self.inner_dropout(self.activation(self.first(self.norm(x))))
        return self.dropout(self.second(hidden))


class Attention(nn.Module):
    """drop(MHA(q = LN(x), k = v = LN(x) or a memory m)): absolute attention over all places, no mask.

    A memory is used as it is: it is the output of an encoder, which ends in a layer norm.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, memory: torch.Tensor | None = None) -> torch.Tensor:
        """The branch, without the residual; shape of x. The places of x and memory (n, …, d) are flattened inside."""
        own = self.norm(x).flatten(1, -2)
        other = own if memory is None else memory.flatten(1, -2)
        query, key, value = (
            layer(values).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, values in ((self.query, own), (self.key, other), (self.value, other))
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)  # scales by 1/√(d / heads)
        return self.dropout(self.output(mixed.transpose(1, 2).flatten(2)).view_as(x))


class Convolution(nn.Module):
    """Layer norm, 1×1 to 2d, gated linear unit, depthwise 7×7, batch norm, Swish, 1×1, drop; on a grid of places."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv2d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.batch_norm = nn.BatchNorm2d(width)
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The branch, without the residual, of x (n, g, g, d)."""
        gated = functional.glu(self.expand(self.norm(x)), dim=-1)
        mixed = self.batch_norm(self.depthwise(gated.permute(0, 3, 1, 2)))
        return self.dropout(self.project(functional.silu(mixed.permute(0, 2, 3, 1))))


class Head(nn.Module):
    """w₂ᵀ ReLU(W₁ g + b₁) + b₂."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values (n,) of vectors (n, d)."""
        return self.second(functional.relu(self.first(x))).squeeze(-1)
