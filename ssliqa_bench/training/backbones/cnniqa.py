"""A small patch network on locally normalised luminance, in the manner of CNNIQA.

Source: Kang, Ye, Li, Doermann, "Convolutional Neural Networks for No-Reference Image Quality Assessment",
CVPR 2014, sections 3.1 to 3.3. It learns from scratch on a CPU. Unlike the paper, the normalisation uses a
Gaussian window (7 x 7, standard deviation 7/6), as NIQE and BRISQUE do, and only whole windows: a crop of
38 pixels gives a normalised patch of 32.
"""

from __future__ import annotations

import torch
from torch import nn

from ssliqa_bench.training.backbones.base import Backbone

_WINDOW = 7
_SIGMA = 7 / 6
_LUMA = (0.299, 0.587, 0.114)


class CNNIQA(Backbone):
    """Convolution 7 x 7 to 50 maps, global maximum and minimum, two layers of 400 with ReLU.

    Args:
        stabiliser: what is added to the local deviation, in grey levels of 0 to 255.
    """

    dropout = 0.5

    def __init__(self, maps: int = 50, width: int = 400, stabiliser: float = 10.0) -> None:
        super().__init__()
        self.features = width
        self.stabiliser = stabiliser
        self.convolution = nn.Conv2d(1, maps, 7)
        self.hidden = nn.Sequential(nn.Linear(2 * maps, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        axis = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
        line = torch.exp(-(axis**2) / (2 * _SIGMA**2))
        self.register_buffer("_line", (line / line.sum()).float(), persistent=False)
        self.register_buffer("_luma", torch.tensor(_LUMA).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, width) of crops in [0, 1], shape (n, 3, h, w) with h, w ≥ 13."""
        with torch.autocast(crops.device.type, enabled=False):
            patches = self.normalise(crops.float())
        return self.hidden(torch.cat(self._extremes(patches), dim=1))

    def _extremes(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Largest and smallest value of every map, (n, maps) each.

        Only the window that attains an extreme has a gradient, so with gradients the extremes are located first
        and their windows alone convolved again: the same values and gradients at a quarter of the time.
        """
        if not torch.is_grad_enabled():
            maps = self.convolution(patches).flatten(2)
            return maps.amax(2), maps.amin(2)
        with torch.no_grad():
            maps = self.convolution(patches)
            flat = maps.flatten(2)
            places = _argmax(flat), _argmax(flat.neg_())
        size = self.convolution.kernel_size[0]
        windows = patches[:, 0].unfold(1, size, 1).unfold(2, size, 1)
        weight, bias = self.convolution.weight[:, 0], self.convolution.bias
        image = torch.arange(len(patches), device=patches.device)[:, None]
        largest, smallest = (
            torch.einsum("nmhw,mhw->nm", windows[image, at // maps.shape[3], at % maps.shape[3]], weight) + bias
            for at in places
        )
        return largest, smallest

    def normalise(self, crops: torch.Tensor) -> torch.Tensor:
        """Luminance less its local mean, divided by its local deviation plus `stabiliser`: (n, 1, h - 6, w - 6)."""
        luminance = (crops * self._luma).sum(1, keepdim=True) * 255.0
        edge = _WINDOW // 2
        centre = luminance[..., edge:-edge, edge:-edge]
        mean = self._blur(luminance)
        variance = (self._blur(luminance.square()) - mean.square()).clamp_min(0)
        return (centre - mean) / (variance.sqrt() + self.stabiliser)

    def _blur(self, values: torch.Tensor) -> torch.Tensor:
        """Gaussian blur by whole windows, as two products with band matrices: much faster on one channel than a
        convolution."""
        return self._bands(values.shape[-2]) @ values @ self._bands(values.shape[-1]).T

    def _bands(self, size: int) -> torch.Tensor:
        """(size - 6, size): row i holds the Gaussian window over i … i + 6."""
        rows = torch.arange(size - _WINDOW + 1, device=self._line.device)
        bands = torch.zeros(len(rows), size, device=self._line.device)
        bands[rows[:, None], rows[:, None] + torch.arange(_WINDOW, device=rows.device)] = self._line
        return bands


def _argmax(values: torch.Tensor) -> torch.Tensor:
    """Position of the first largest value along the last axis; on a CPU by numpy, which vectorises it."""
    if values.device.type == "cpu" and values.dtype != torch.bfloat16:
        return torch.from_numpy(values.numpy().argmax(-1))
    return values.argmax(-1)
