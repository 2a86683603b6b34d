"""Networks of timm with random weights: features, input normalisation, unknown names."""

from __future__ import annotations

import pytest
import timm
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.backbones.timm import TimmBackbone


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet", "test_convnext"])
def test_features_are_what_enters_the_classifier(name: str) -> None:
    backbone = TimmBackbone(name).eval()
    side = backbone.network.pretrained_cfg["input_size"][-1]
    crops = torch.rand(2, 3, side, side)
    features = backbone(crops)
    assert features.shape == (2, backbone.features)
    reference = timm.create_model(name, pretrained=False).eval()
    reference.load_state_dict(backbone.network.state_dict(), strict=False)  # all but the classifier
    mean, std = (torch.tensor(reference.pretrained_cfg[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    expected = reference.forward_head(reference.forward_features((crops - mean) / std), pre_logits=True)
    torch.testing.assert_close(features, expected)


def test_it_starts_in_training_mode_and_is_trained_as_a_whole() -> None:
    model = QualityModel(TimmBackbone("test_vit"))
    assert model.backbone.network.training
    model(torch.randint(0, 256, (2, 3, 160, 160), dtype=torch.uint8))[0].sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_network_of_the_paper_has_its_feature() -> None:
    backbone = TimmBackbone("deit3_small_patch16_224.fb_in1k")
    assert backbone.features == 384
    assert backbone(torch.rand(1, 3, 224, 224)).shape == (1, 384)
    parameters = sum(p.numel() for p in QualityModel(backbone).parameters())
    assert 21e6 < parameters < 23e6


@pytest.mark.parametrize("name", ["resnet181", "test_vit.no_such_tag"])
def test_an_unknown_name_is_said(name: str) -> None:
    with pytest.raises(InputError, match=f'"timm:{name}": timm does not know it'):
        TimmBackbone(name)
