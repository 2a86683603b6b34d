"""Each module against its formula, written out in float64 with numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from scipy.special import expit, softmax
from torch import nn

from ssliqa_bench.methods.full_reference.blocks import Attention, Convolution, FeedForward, Head

WIDTH, HEADS, GRID = 8, 2, 3


def array(module: nn.Linear | nn.LayerNorm | nn.Conv2d | nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias in float64."""
    assert module.bias is not None
    return module.weight.detach().double().numpy(), module.bias.detach().double().numpy()


def linear(module: nn.Linear, x: np.ndarray) -> np.ndarray:
    weight, bias = array(module)
    return x @ weight.T + bias


def norm(module: nn.LayerNorm, x: np.ndarray) -> np.ndarray:
    gain, shift = array(module)
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + shift


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def places(n: int = 2) -> torch.Tensor:
    return torch.randn(n, GRID, GRID, WIDTH)


def other_norms(module: nn.Module) -> None:
    """Gains and shifts away from 1 and 0, so that a norm left out shows."""
    for own in module.modules():
        if isinstance(own, nn.LayerNorm | nn.BatchNorm2d):
            nn.init.uniform_(own.weight, 0.5, 1.5)
            nn.init.uniform_(own.bias, -0.5, 0.5)
        if isinstance(own, nn.BatchNorm2d):
            own.running_mean.uniform_(-0.2, 0.2)
            own.running_var.uniform_(0.5, 2.0)


@pytest.mark.parametrize("swish", [True, False])
def test_feed_forward(swish: bool) -> None:
    module = FeedForward(WIDTH, 20, 0.1, swish=swish).eval()
    other_norms(module)
    x = places()
    hidden = linear(module.first, norm(module.norm, x.double().numpy()))
    hidden = hidden * expit(hidden) if swish else np.maximum(hidden, 0)
    np.testing.assert_allclose(module(x).detach(), linear(module.second, hidden), atol=1e-5)


def heads(x: np.ndarray, k: int) -> np.ndarray:
    size = WIDTH // HEADS
    return x[..., k * size : (k + 1) * size]  # contiguous channels


@pytest.mark.parametrize("crossed", [False, True])
def test_attention(crossed: bool) -> None:
    module = Attention(WIDTH, HEADS, 0.1).eval()
    other_norms(module)
    x, memory = places(), places() * 3
    for k in range(len(x)):
        own = norm(module.norm, x[k].double().numpy()).reshape(-1, WIDTH)
        other = memory[k].double().numpy().reshape(-1, WIDTH) if crossed else own  # no norm upon a memory
        query, key, value = linear(module.query, own), linear(module.key, other), linear(module.value, other)
        scaled = [heads(query, h) @ heads(key, h).T / np.sqrt(WIDTH // HEADS) for h in range(HEADS)]
        mixed = [softmax(scaled[h], axis=-1) @ heads(value, h) for h in range(HEADS)]
        expected = linear(module.output, np.concatenate(mixed, axis=-1)).reshape(GRID, GRID, WIDTH)
        found = module(x, memory if crossed else None)[k]
        np.testing.assert_allclose(found.detach(), expected, atol=1e-5)


def test_attention_takes_a_row_of_tokens_too() -> None:
    module = Attention(WIDTH, HEADS, 0.0).eval()
    x = places()
    torch.testing.assert_close(module(x).flatten(1, 2), module(x.flatten(1, 2)))


def test_convolution() -> None:
    module = Convolution(WIDTH, 0.1).eval()
    other_norms(module)
    x = places()
    kernel, bias = array(module.depthwise)
    gain, shift = array(module.batch_norm)
    mean, variance = (v.double().numpy() for v in (module.batch_norm.running_mean, module.batch_norm.running_var))
    for k in range(len(x)):
        wide = linear(module.expand, norm(module.norm, x[k].double().numpy()))
        gated = wide[..., :WIDTH] * expit(wide[..., WIDTH:])
        mixed = np.stack(
            [correlate2d(gated[..., c], kernel[c, 0], mode="same") + bias[c] for c in range(WIDTH)], axis=-1
        )  # fmt: skip
        normed = (mixed - mean) / np.sqrt(variance + 1e-5) * gain + shift
        expected = linear(module.project, normed * expit(normed))
        np.testing.assert_allclose(module(x)[k].detach(), expected, atol=1e-5)


def test_head() -> None:
    module = Head(WIDTH, 5)
    x = torch.randn(4, WIDTH)
    expected = linear(module.second, np.maximum(linear(module.first, x.double().numpy()), 0))[:, 0]
    np.testing.assert_allclose(module(x).detach(), expected, atol=1e-6)


def test_counts_of_the_paper() -> None:
    """Section by section, each with its norm: 128 wide, feed-forward 512 and 1024."""
    made = {
        131_968: FeedForward(128, 512, 0.1, swish=True),
        263_552: FeedForward(128, 1024, 0.1, swish=False),
        66_304: Attention(128, 4, 0.1),
        56_448: Convolution(128, 0.1),
        16_641: Head(128, 128),
    }
    assert {sum(p.numel() for p in module.parameters()): module for module in made.values()} == made


def test_initial_values_are_the_frameworks() -> None:
    """Uniform in ±1/√(fan in), weights and biases, with 49 values behind an output of the depthwise convolution."""
    module = Convolution(256, 0.1)
    bounds = [(module.expand, 256), (module.project, 256), (module.depthwise, 49)]
    for layer, fan_in in bounds:
        for values in (layer.weight, layer.bias):
            largest = float(values.detach().abs().max()) * fan_in**0.5
            assert 0.95 < largest <= 1.0
    assert bool((module.norm.weight == 1).all() and (module.batch_norm.bias == 0).all())
    assert (module.batch_norm.eps, module.batch_norm.momentum, module.norm.eps) == (1e-5, 0.1, 1e-5)
