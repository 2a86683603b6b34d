"""The patch network: normalisation against scipy, extremes against autograd, sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.backbones.cnniqa import CNNIQA


def gaussian() -> np.ndarray:
    """The 7 × 7 window of standard deviation 7/6."""
    rows, columns = np.mgrid[-3:4, -3:4]
    window = np.exp(-(rows**2 + columns**2) / (2 * (7 / 6) ** 2))
    return window / window.sum()


@pytest.mark.parametrize("stabiliser", [1.0, 10.0])
def test_normalisation_is_that_of_whole_windows(stabiliser: float) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 3, 17, 22)).astype(np.float64)
    luminance = 0.299 * crops[:, 0] + 0.587 * crops[:, 1] + 0.114 * crops[:, 2]
    found = CNNIQA(stabiliser=stabiliser).normalise(torch.tensor(crops / 255, dtype=torch.float32)).numpy()
    assert found.shape == (3, 1, 11, 16)
    for image, normalised in zip(luminance, found[:, 0], strict=True):
        mean = correlate(image, gaussian(), mode="constant")
        variance = correlate(image**2, gaussian(), mode="constant") - mean**2
        expected = (image - mean) / (np.sqrt(np.maximum(variance, 0)) + stabiliser)
        np.testing.assert_allclose(normalised, expected[3:-3, 3:-3], rtol=1e-3, atol=1e-4)


def test_an_even_image_normalises_to_nothing() -> None:
    patches = CNNIQA().normalise(torch.full((1, 3, 15, 15), 0.7))
    assert float(patches.abs().max()) < 1e-3


def test_extremes_and_their_gradients_are_those_of_the_maps() -> None:
    torch.manual_seed(0)
    network = CNNIQA(maps=5, width=4).double()
    patches = torch.randn(4, 1, 12, 14, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 4, 5, dtype=torch.float64)

    def gradients(largest: torch.Tensor, smallest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        loss = (weights[0] * largest).sum() + (weights[1] * smallest.square()).sum()
        return torch.autograd.grad(loss, [patches, *network.convolution.parameters()])

    maps = network.convolution(patches).flatten(2)
    expected = maps.amax(2), maps.amin(2)
    found = network._extremes(patches)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(gradients(*found), gradients(*expected), strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        for one, other in zip(network._extremes(patches), expected, strict=True):
            torch.testing.assert_close(one, other)


def test_features_are_those_of_the_layers_one_by_one() -> None:
    torch.manual_seed(0)
    network = CNNIQA(maps=5, width=4).eval()
    crops = torch.rand(3, 3, 20, 20)
    maps = network.convolution(network.normalise(crops))
    first, second = network.hidden[0], network.hidden[2]
    extremes = torch.cat([maps.amax((2, 3)), maps.amin((2, 3))], dim=1)
    expected = torch.relu(second(torch.relu(first(extremes))))
    torch.testing.assert_close(network(crops), expected)
    assert network(crops).shape == (3, network.features) == (3, 4)


def test_sizes_are_those_of_the_paper() -> None:
    model = QualityModel(CNNIQA())
    convolution, hidden, head = 50 * 49 + 50, 100 * 400 + 400 + 400 * 400 + 400, 401
    assert sum(p.numel() for p in model.parameters()) == convolution + hidden + head
    assert model.dropout.p == 0.5 and model.backbone.features == 400
    assert model.backbone.normalise(torch.rand(1, 3, 38, 38)).shape == (1, 1, 32, 32)


def test_windows_of_the_normalisation_are_not_stored() -> None:
    assert {name.partition(".")[0] for name in CNNIQA().state_dict()} == {"convolution", "hidden"}
