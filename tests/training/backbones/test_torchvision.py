"""Networks of torchvision with random weights: features, input normalisation, unknown names."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.backbones.torchvision import TorchvisionBackbone

LENGTHS = {"resnet18": 512, "mobilenet_v3_small": 1024, "shufflenet_v2_x0_5": 1024}


@pytest.mark.parametrize("name", LENGTHS)
def test_features_are_what_enters_the_last_linear_layer(name: str) -> None:
    torch.manual_seed(0)
    backbone = TorchvisionBackbone(name).eval()
    crops = torch.rand(2, 3, 64, 64)
    seen: list[torch.Tensor] = []
    reference = models.get_model(name, weights=None).eval()
    reference.load_state_dict(backbone.network.state_dict(), strict=False)
    last = [module for module in reference.modules() if isinstance(module, nn.Linear)][-1]
    last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    reference((crops - mean[None, :, None, None]) / std[None, :, None, None])
    features = backbone(crops)
    assert features.shape == (2, LENGTHS[name]) and backbone.features == LENGTHS[name]
    torch.testing.assert_close(features, seen[0])


@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet")
def test_networks_with_further_outputs_give_the_main_one_in_training() -> None:
    backbone = TorchvisionBackbone("googlenet").train()
    assert backbone(torch.rand(2, 3, 96, 96)).shape == (2, backbone.features)


@pytest.mark.parametrize("name", ["resnet19", "fasterrcnn_resnet50_fpn", "fcn_resnet50"])
def test_only_classification_networks_are_known(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*words: object, **named: object) -> None:
        raise AssertionError("weights were fetched")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    with pytest.raises(InputError, match=f'"torchvision:{name}": torchvision has no classification network'):
        TorchvisionBackbone(name)


def test_a_network_without_linear_output_has_no_feature() -> None:
    with pytest.raises(InputError, match="squeezenet1_1.*no linear output layer"):
        TorchvisionBackbone("squeezenet1_1")
