"""The quality model: a backbone and one linear output, crop by crop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ssliqa_bench.training.backbones.base import Backbone, QualityModel, network_input
from ssliqa_bench.training.backbones.cnniqa import CNNIQA
from ssliqa_bench.training.backbones.timm import TimmBackbone
from ssliqa_bench.training.backbones.torchvision import TorchvisionBackbone


class Colours(Backbone):
    """Mean, largest and smallest value of a crop."""

    features = 3

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        flat = crops.flatten(1)
        return torch.stack([flat.mean(1), flat.amax(1), flat.amin(1)], dim=1)


class Dropping(Colours):
    dropout = 0.5


CROPS = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 3, 5, 5), dtype=np.uint8))


def test_quality_is_linear_in_the_features() -> None:
    model = QualityModel(Colours())
    quality, features = model(CROPS)
    scaled = CROPS.double().numpy().reshape(6, -1) / 255
    expected = np.stack([scaled.mean(1), scaled.max(1), scaled.min(1)], axis=1)
    np.testing.assert_allclose(features.numpy(), expected, rtol=1e-6)
    weight, bias = model.head.weight.detach().numpy()[0], model.head.bias.item()
    np.testing.assert_allclose(quality.detach().numpy(), expected @ weight + bias, rtol=1e-5)
    assert quality.shape == (6,) and quality.dtype == features.dtype == torch.float32


def test_bytes_and_numbers_between_0_and_1_are_the_same_crop() -> None:
    model = QualityModel(Colours())
    assert torch.equal(model(CROPS)[0], model(CROPS.float() / 255)[0])


def test_crops_are_judged_one_by_one() -> None:
    model = QualityModel(Colours())
    alone = torch.cat([model(crop[None])[0] for crop in CROPS])
    torch.testing.assert_close(model(CROPS)[0], alone)


def test_features_are_dropped_in_training_only_and_never_handed_out_dropped() -> None:
    model = QualityModel(Dropping())
    plain = model.eval()(CROPS)
    assert torch.equal(plain[0], model(CROPS)[0])
    torch.manual_seed(0)
    dropped = model.train()(CROPS)
    assert not torch.equal(dropped[0], plain[0]) and torch.equal(dropped[1], plain[1])
    without = QualityModel(Colours()).train()
    assert torch.equal(without(CROPS)[0], without(CROPS)[0])


def test_networks_take_bytes_as_shares_and_numbers_as_they_are() -> None:
    assert torch.equal(network_input(CROPS), CROPS.float() / 255)
    vectors = torch.rand(2, 5)
    assert network_input(vectors) is vectors


@pytest.mark.parametrize(
    "backbone",
    [
        lambda: CNNIQA(),
        lambda: TimmBackbone("mobilenetv3_small_050"),
        lambda: TimmBackbone("vit_tiny_patch16_224"),
        lambda: TimmBackbone("resnet10t").trunk(),
        lambda: TorchvisionBackbone("alexnet"),
        lambda: TorchvisionBackbone("resnet18").trunk(),
    ],
)
def test_channels_may_lie_last_in_memory(backbone: Callable[[], Backbone]) -> None:
    """As they do on CUDA."""
    torch.manual_seed(0)
    network, crops = backbone().eval(), torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        plain, last = network(crops), network(crops.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-5)
