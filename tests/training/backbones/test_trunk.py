"""Feature maps: what a network is without all that follows its last map, and what has none."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.backbones.cnniqa import CNNIQA
from ssliqa_bench.training.backbones.timm import TimmBackbone
from ssliqa_bench.training.backbones.torchvision import TorchvisionBackbone


def counted(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# Counted on the libraries' models without classifier; timm and torchvision agree where both have the network.
@pytest.mark.parametrize(
    ("kind", "name", "parameters", "width"),
    [
        (TorchvisionBackbone, "alexnet", 2_469_696, 256),
        (TorchvisionBackbone, "mobilenet_v3_large", 2_971_952, 960),
        (TorchvisionBackbone, "mobilenet_v3_small", 927_008, 576),
        (TorchvisionBackbone, "efficientnet_b0", 4_007_548, 1280),
        (TorchvisionBackbone, "resnet101", 42_500_160, 2048),
        (TorchvisionBackbone, "densenet121", 6_953_856, 1024),
        (TorchvisionBackbone, "swin_t", 27_519_354, 768),
        (TimmBackbone, "resnet101", 42_500_160, 2048),
        (TimmBackbone, "densenet121", 6_953_856, 1024),
        (TimmBackbone, "inception_resnet_v2", 54_306_464, 1536),
        (TimmBackbone, "efficientnet_b0", 4_007_548, 1280),
        (TimmBackbone, "mobilenetv3_large_100", 2_971_952, 960),
        (TimmBackbone, "swin_tiny_patch4_window7_224", 27_519_354, 768),
    ],
)
def test_parameters_and_width(kind: type, name: str, parameters: int, width: int) -> None:
    with torch.device("meta"):
        trunk = kind(name).trunk()
        assert counted(trunk) == parameters and trunk.features == width
        assert trunk(torch.zeros(2, 3, 224, 224)).shape == (2, width)


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v3_small", "densenet121"])
def test_torchvisions_map_is_averaged_over_all_places(name: str) -> None:
    torch.manual_seed(0)
    trunk = TorchvisionBackbone(name).trunk().eval()
    whole = models.get_model(name, weights=None)
    whole.load_state_dict({**whole.state_dict(), **trunk.network.state_dict()})
    crops = torch.rand(2, 3, 96, 128)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    maps = whole.eval().features((crops - mean) / std)
    maps = maps.relu() if name == "densenet121" else maps
    assert maps.shape[-1] > 1
    torch.testing.assert_close(trunk(crops), maps.mean((2, 3)))


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_timms_map_is_averaged_over_all_places(name: str) -> None:
    torch.manual_seed(0)
    trunk = TimmBackbone(name).trunk().eval()
    whole = timm.create_model(name, pretrained=False).eval()
    whole.load_state_dict({**whole.state_dict(), **trunk.network.state_dict()})
    crops = torch.rand(2, 3, 160, 160)
    mean, std = (torch.tensor(whole.pretrained_cfg[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    torch.testing.assert_close(trunk(crops), whole.forward_features((crops - mean) / std).mean((2, 3)))


@pytest.mark.parametrize("trunk", [TimmBackbone("test_resnet"), TorchvisionBackbone("mobilenet_v3_small")])
def test_all_that_is_left_is_trained(trunk: TimmBackbone | TorchvisionBackbone) -> None:
    trunk.trunk().train()
    trunk(torch.rand(2, 3, 160, 160)).sum().backward()
    assert all(p.grad is not None for p in trunk.parameters())


def test_a_network_that_pools_otherwise_stays_as_it_is() -> None:
    backbone = CNNIQA(maps=3, width=4)
    assert backbone.trunk() is backbone and backbone.features == 4


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        (TimmBackbone, "test_vit", r'"timm:test_vit": its last features have the shape \(101, 64\), without height'),
        (TorchvisionBackbone, "vit_b_16", '"torchvision:vit_b_16": it has no feature map with height and width'),
    ],
)
def test_features_without_places_are_said(kind: type, name: str, said: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=said):
        kind(name).trunk()
