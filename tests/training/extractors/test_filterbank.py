"""The fixed filter bank against a plain computation, and what its features say of distortions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.extractors.filterbank import FilterBank


def plain(crop: np.ndarray, cell: int, scales: int) -> np.ndarray:
    """Features of one crop (h, w, 3) in [0, 1], by scipy, in the order mean, then scale, colour, filter."""
    smooth, slope, bend = (np.array(taps, dtype=float) for taps in ((1, 2, 1), (-1, 0, 1), (1, -2, 1)))
    edge, line = np.outer(smooth, slope) / 8, np.outer(smooth, bend) / 8
    diagonal = (edge + edge.T) / np.sqrt(2)
    filters = [edge, edge.T, diagonal, np.fliplr(diagonal), line, line.T]
    r, g, b = (255 * crop[..., k].astype(float) for k in range(3))
    colours = [0.299 * r + 0.587 * g + 0.114 * b, (r - g) / 2, (2 * b - r - g) / 4]

    def cells(values: np.ndarray, side: int) -> np.ndarray:
        rows, columns = (size // side for size in values.shape)
        return values.reshape(rows, side, columns, side).mean((1, 3))

    found = [cells(colour, cell) / 255 for colour in colours]
    for scale in range(scales):
        for colour in colours if scale else colours[:1]:
            for kernel in filters:
                found.append(
                    np.log(1 + cells(np.abs(ndimage.correlate(colour, kernel, mode="nearest")), cell >> scale))
                )
        colours = [cells(colour, 2) for colour in colours]
    return np.stack(found)


def test_it_equals_a_plain_computation() -> None:
    crops = np.random.default_rng(0).random((5, 48, 32, 3), dtype=np.float32)
    bank = FilterBank(cell=16, scales=3)
    maps = bank.maps(torch.from_numpy(crops.transpose(0, 3, 1, 2).copy()))
    assert maps.shape == (5, bank.features, 3, 2)
    for crop, found in zip(crops, maps.numpy(), strict=True):
        np.testing.assert_allclose(found, plain(crop, 16, 3), atol=1e-4)


def test_blur_lowers_and_noise_raises_what_it_sees() -> None:
    rng = np.random.default_rng(1)
    sharp = ndimage.gaussian_filter(rng.normal(0, 0.5, (3, 64, 64)), (0, 1.5, 1.5)) + 0.5
    blurred = ndimage.gaussian_filter(sharp, (0, 2, 2))
    noisy = sharp + rng.normal(0, 0.05, sharp.shape)
    maps = [FilterBank().maps(torch.from_numpy(image[None]).float())[0, 3:9] for image in (blurred, sharp, noisy)]
    assert bool((maps[0] < maps[1]).all() and (maps[1] < maps[2]).all())


def test_it_has_no_weights_and_needs_whole_cells() -> None:
    bank = FilterBank(cell=8, scales=2)
    assert not bank.state_dict() and not list(bank.parameters())
    crops = torch.rand(1, 3, 20, 23)
    torch.testing.assert_close(bank.maps(crops), bank.maps(crops[..., :16, :16]))  # what fills no cell is left out
    with pytest.raises(InputError, match="crops of 23×7 pixels are smaller than a cell of 8"):
        bank.maps(torch.rand(1, 3, 7, 23))
    with pytest.raises(InputError, match="cells of 6 pixels cannot be halved 2 times"):
        FilterBank(cell=6, scales=3)


def test_its_mean_over_places_is_its_vector() -> None:
    bank = FilterBank()
    crops = torch.rand(2, 3, 32, 48)
    torch.testing.assert_close(bank(crops), bank.maps(crops).flatten(2).mean(2))
