"""Maps from inside timm networks: equal to those of the whole network, frozen for good, read from its weights file."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.models.weights import resolve_weights
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.testing.random_weights import random_weights
from ssliqa_bench.training.extractors.base import MapExtractor
from ssliqa_bench.training.extractors.timm_maps import TimmMaps
from ssliqa_bench.training.quality import build_backbone

REGISTRY = load_registry()
IRV2 = ["mixed_5b", "repeat.1", "repeat.3", "repeat.5", "repeat.7", "repeat.9"]
# Channels, places along a side for a crop of 192 pixels, parameters.
EXPECTED = {
    "maps-irv2": (1920, 21, 1_672_672),
    "maps-convnext": (672, 24, 12_348_000),
    "maps-vgg19": (1408, 24, 20_024_384),
}


def moved_statistics(network: nn.Module) -> None:
    """Batch norms with statistics of their own, as trained networks have them."""
    random = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2, generator=random)
            module.running_var.uniform_(0.5, 2.0, generator=random)


def resolved(name: str, weights: Path | None = None) -> MapExtractor:
    """An extractor of the registry with the weights that the ordinary search finds."""
    backbone = REGISTRY.resolve_backbone(name)
    params = {"extractor_pretrained": True, "extractor_weights_file": weights and str(weights)}
    cache = Path(torch.hub.get_dir()) if weights is None else weights.parent
    found = resolve_weights(backbone, params, cache, "extractor_weights_file", "extractor_pretrained")
    assert found is not None
    built = build_backbone({"class": backbone.class_path, "arguments": backbone.arguments}, found.path)
    assert isinstance(built, MapExtractor)
    return built


@pytest.mark.parametrize("name", EXPECTED)
def test_maps_are_those_of_the_whole_network(name: str, tmp_path: Path) -> None:
    arguments = REGISTRY.resolve_backbone(name).arguments
    whole = timm.create_model(arguments["name"], pretrained=False).eval()
    moved_statistics(whole)
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    seen: dict[str, torch.Tensor] = {}

    def keep(place: str):  # type: ignore[no-untyped-def]
        def hook(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
            seen[place] = output.clone()  # a later activation may work in place

        return hook

    for place in arguments["places"]:
        whole.get_submodule(place).register_forward_hook(keep(place))
    crops = torch.rand(2, 3, 192, 192, generator=torch.Generator().manual_seed(2))
    mean, std = (torch.tensor(whole.pretrained_cfg[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        whole((crops - mean) / std)
    channels, side, _ = EXPECTED[name]
    maps = resolved(name, tmp_path / "whole.safetensors").maps(crops)
    assert maps.shape == (2, channels, side, side)
    start = 0
    for place in arguments["places"]:
        expected = seen[place]
        if (size := expected.shape[-1]) > side:  # cells averaged, written out
            k = size // side
            expected = expected.reshape(2, -1, side, k, side, k).mean((3, 5))
        elif size < side:
            expected = expected.repeat_interleave(side // size, 2).repeat_interleave(side // size, 3)
        found = maps[:, start : start + expected.shape[1]]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        start += expected.shape[1]
    assert start == channels


def test_the_paper_extractor_has_six_maps_and_a_mean_of_one_half() -> None:
    backbone = REGISTRY.resolve_backbone("maps-irv2")
    assert backbone.arguments["places"] == IRV2
    assert backbone.weights_of == "timm:inception_resnet_v2.tf_in1k"
    settings = timm.models.get_pretrained_cfg("inception_resnet_v2.tf_in1k")
    assert settings.mean == settings.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", EXPECTED)
def test_published_weights_are_looked_for_as_those_of_the_whole_network(name: str) -> None:
    with random_weights():
        extractor = resolved(name)
    assert sum(p.numel() for p in extractor.parameters()) == EXPECTED[name][2]
    assert not any(p.requires_grad for p in extractor.parameters())


def test_its_parts_have_the_published_counts() -> None:
    network = TimmMaps("inception_resnet_v2.tf_in1k", IRV2).network
    counts = {name: sum(p.numel() for p in child.parameters()) for name, child in network.named_children()}
    assert sum(counts.values()) == 1_672_672
    assert counts.pop("mixed_5b") == 268_320
    assert counts.pop("repeat") == 10 * 123_168
    assert sum(counts.values()) == 172_672  # the stem
    assert [sum(p.numel() for p in block.parameters()) for block in network.repeat] == [123_168] * 10


def test_training_mode_and_learning_leave_it_alone() -> None:
    extractor = TimmMaps("inception_resnet_v2.tf_in1k", IRV2[:2])
    model = nn.Sequential(extractor, nn.Linear(extractor.features, 1))
    before = {name: value.clone() for name, value in extractor.state_dict().items()}
    model.train()
    assert model.training and not any(module.training for module in extractor.modules())
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)
    for _ in range(2):
        loss = model(torch.rand(3, 3, 96, 96)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in extractor.state_dict().items())
    assert not extractor.maps(torch.rand(1, 3, 96, 96, requires_grad=True)).requires_grad


def test_it_computes_in_float32_under_mixed_precision() -> None:
    extractor = TimmMaps("test_convnext", ["stages.0", "stages.1"], "stages.1")
    crops = torch.rand(1, 3, 64, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = extractor.maps(crops)
    torch.testing.assert_close(mixed, extractor.maps(crops), rtol=0, atol=0)


def test_an_unknown_place_is_said() -> None:
    with pytest.raises(
        InputError, match=r"timm:test_convnext.* has no module stages\.9 .*: stem\.0, stem\.1, stages\.0"
    ):
        TimmMaps("test_convnext", ["stages.0", "stages.9"])
