"""A small fixed filter bank: energies of derivatives at several scales, without weights and without a download."""

from __future__ import annotations

import torch
from torch.nn import functional

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.extractors.base import MapExtractor

# Opponent colours of RGB: luminance (ITU-R BT.601), red against green, blue against yellow.
_COLOURS = ((0.299, 0.587, 0.114), (0.5, -0.5, 0.0), (-0.25, -0.25, 0.5))
# Taps of derivatives along a line and of the smoothing across it (binomial, the discrete Gaussian).
_SMOOTH, _SLOPE, _BEND = (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0), (1.0, -2.0, 1.0)
_FLOOR = 1.0  # grey levels that count as no structure
_AT_ONCE = 4  # crops; on a CPU what they take stays near it, several times faster than a whole batch


class FilterBank(MapExtractor):
    """Logarithms of the mean size of first and second derivatives of Gaussians, per cell, colour and scale.

    Luminance is filtered along four directions for edges and along two for lines, halved in size and filtered again;
    two opponent colours likewise, from half the size on, where their detail is. A cell's feature is
    log(1 + mean |response|) in grey levels, so that the difference of two maps is a ratio of energies: what blur takes
    away, and noise adds, relative to what is there.

    Args:
        cell: side of a cell in pixels, a multiple of 2^(scales − 1).
        scales: how many sizes of the image are filtered.
    """

    def __init__(self, cell: int = 16, scales: int = 4) -> None:
        super().__init__()
        if cell % 2 ** (scales - 1):
            raise InputError(f"Filter bank: cells of {cell} pixels cannot be halved {scales - 1} times.")
        self._cell, self._scales = cell, scales
        filters = _filters()
        self.features = 3 + len(filters) * (3 * scales - 2)
        self.register_buffer("_colours", torch.tensor(_COLOURS).reshape(3, 3, 1, 1) * 255.0, persistent=False)
        self.register_buffer("_filters", filters[:, None], persistent=False)
        self.freeze()

    def compute(self, crops: torch.Tensor) -> torch.Tensor:
        """Maps (n, features, h // cell, w // cell) of crops in [0, 1]; pixels that fill no cell are left out."""
        height, width = crops.shape[-2:]
        rows, columns = height // self._cell, width // self._cell
        if not rows or not columns:
            raise InputError(f"Filter bank: crops of {width}×{height} pixels are smaller than a cell of {self._cell}.")
        inside = crops[..., : rows * self._cell, : columns * self._cell]
        return torch.cat([self._of_few(few, rows, columns) for few in inside.split(_AT_ONCE)])

    def _of_few(self, crops: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        image = functional.conv2d(crops, self._colours)
        found = [functional.adaptive_avg_pool2d(image, (rows, columns)) / 255.0]
        for scale in range(self._scales):
            seen = image[:, :1] if scale == 0 else image
            padded = functional.pad(seen.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
            size = functional.conv2d(padded, self._filters).abs_()
            side = self._cell >> scale
            mean = size.unflatten(2, (rows, side)).unflatten(4, (columns, side)).mean((3, 5))
            found.append(torch.log(_FLOOR + mean).reshape(len(crops), -1, rows, columns))
            image = functional.avg_pool2d(image, 2)
        return torch.cat(found, dim=1)


def _filters() -> torch.Tensor:
    """Six kernels (6, 3, 3): edges across, along and on both diagonals, lines across and along."""
    smooth, slope, bend = (torch.tensor(taps) for taps in (_SMOOTH, _SLOPE, _BEND))
    edge, line = torch.outer(smooth, slope) / 8.0, torch.outer(smooth, bend) / 8.0
    diagonal = (edge + edge.T) / 2**0.5
    return torch.stack([edge, edge.T, diagonal, diagonal.flip(1), line, line.T])
