"""Heads, dropped tokens, groups of parameters and rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ssliqa_bench.methods.matching.crmatch import CRMatchRule
from ssliqa_bench.methods.matching.network import HeadedModel, LevelModel, Projection, TokenDrop, add_token_drop
from ssliqa_bench.training.backbones.cnniqa import CNNIQA
from ssliqa_bench.training.backbones.timm import TimmBackbone
from ssliqa_bench.training.schedule import CosineSchedule


@pytest.fixture(scope="module")
def vit() -> TimmBackbone:
    torch.manual_seed(0)
    return TimmBackbone("vit_tiny_patch16_224", depth=2, embed_dim=24, num_heads=2)


def test_embeddings_are_unit_vectors_and_projectors_are_averaged() -> None:
    head = Projection(6, 3, projectors=2)
    features = torch.randn(5, 6)
    mean = (head.parts[0](features) + head.parts[1](features)) / 2
    torch.testing.assert_close(head(features), mean / mean.norm(dim=1, keepdim=True))


def test_turns_are_recognised_by_a_head_of_their_own() -> None:
    model = HeadedModel(LevelModel(CNNIQA(3, 6), 5), CRMatchRule())
    seen = model(torch.rand(4, 3, 13, 13))
    assert set(model.heads) == {"distance", "rotation"} and seen.embeddings is None
    assert seen.logits.shape == (4, 5) and seen.distances.shape == (4, 6)
    assert model.turns(seen.features).shape == (4, 4)
    parts = seen.split(1, 3)
    assert torch.equal(parts[1].distances, seen.distances[1:]) and parts[0].embeddings is None


@pytest.mark.parametrize("kind", ["vit", "cnniqa"])
def test_one_pass_equals_a_pass_per_group_without_batch_statistics(kind: str, vit: TimmBackbone) -> None:
    """Outputs and gradients of labeled, weak and strong crops, that pass together in training."""
    torch.manual_seed(1)
    model = HeadedModel(LevelModel(vit if kind == "vit" else CNNIQA(3, 6), 5), CRMatchRule()).train()
    model.model.dropout.p = 0.0
    side = 224 if kind == "vit" else 20
    groups = [torch.rand(n, 3, side, side) for n in (2, 3, 3)]
    found = []
    for together in (True, False):
        model.zero_grad()
        seen = model(torch.cat(groups)).split(2, 3, 3) if together else [model(group) for group in groups]
        sum(one.logits.square().sum() for one in seen).backward()
        outputs = torch.cat([one.logits for one in seen])
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        found.append((outputs.detach(), gradients))
    (first, gradients), (second, others) = found
    torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-6)
    assert gradients.keys() == others.keys() and len(gradients) > 3
    for name, gradient in gradients.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(gradient, others[name], rtol=0, atol=1e-5 * max(scale, 1.0), msg=name)


def test_dropped_tokens_are_patches_in_their_order() -> None:
    drop = TokenDrop(prefix=1)
    tokens = torch.arange(11.0).repeat(3, 1)[..., None]
    assert torch.equal(drop(tokens), tokens)
    drop.fraction = 0.45
    kept = drop(tokens)[..., 0]
    assert kept.shape == (3, 7) and (kept[:, 0] == 0).all() and (kept.diff(dim=1) > 0).all()
    assert len({tuple(row.tolist()) for row in kept}) > 1
    assert torch.equal(drop.eval()(tokens), tokens)


def test_only_a_vit_drops_tokens(vit: TimmBackbone) -> None:
    assert add_token_drop(CNNIQA()) is None
    before = {name for name, _ in vit.named_parameters()}
    drop = add_token_drop(vit)
    assert drop is not None and {name for name, _ in vit.named_parameters()} == before
    crops = torch.rand(2, 3, 224, 224)
    plain = vit(crops)
    drop.fraction = 0.5
    assert not torch.equal(vit(crops), plain)
    drop.fraction = 0.0
    torch.testing.assert_close(vit(crops), plain)


def test_rates_rise_in_the_warm_up_and_follow_a_cosine() -> None:
    schedule = CosineSchedule(epochs=4, lr=0.3, epoch_steps=5, warmup_steps=7)
    found = [schedule.rate(epoch, step / 5) for epoch in range(4) for step in range(1, 6)]
    expected = [
        0.3 * t / 7 if t < 7 else 0.3 * math.cos(7 * math.pi / 16 * (t - 7) / (20 - 7)) for t in range(20)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert CosineSchedule(epochs=1, lr=0.3, epoch_steps=3).rate(0, 1 / 3) == 0.3


def test_layers_of_a_vit_have_shares_of_the_rate(vit: TimmBackbone) -> None:
    network = HeadedModel(LevelModel(vit, 5), None)
    schedule = CosineSchedule(epochs=1, lr=0.1, weight_decay=0.5, optimizer="adamw").over(network, 0.5)
    optimizer = schedule.make_optimizer(network.parameters())
    place = {id(p): (g["scale"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    named = dict(network.named_parameters())
    assert set(place) == {id(p) for p in named.values()}
    shares = {
        "model.head.weight": (1.0, 0.5), "model.head.bias": (1.0, 0.0),
        "model.backbone.network.norm.weight": (1.0, 0.0),
        "model.backbone.network.blocks.1.attn.qkv.weight": (0.5, 0.5),
        "model.backbone.network.blocks.0.mlp.fc1.bias": (0.25, 0.0),
        "model.backbone.network.patch_embed.proj.weight": (0.125, 0.5),
        "model.backbone.network.pos_embed": (0.125, 0.0),
        "model.backbone.network.cls_token": (0.125, 0.0),
    }  # fmt: skip
    assert {name: place[id(named[name])] for name in shares} == shares
    assert optimizer.param_groups[0]["scale"] == 1.0


def test_other_networks_have_one_rate() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2))
    groups = CosineSchedule(epochs=1, lr=0.1).over(network, 0.5).groups
    assert {group["scale"] for group in groups} == {1.0} and len(groups) == 2
