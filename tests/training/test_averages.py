"""Averages of weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ssliqa_bench.training.averages import follow, rising_decay


def test_weights_are_averaged_and_buffers_copied() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = copy.deepcopy(network)
    before = {name: value.clone() for name, value in average.state_dict().items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))
    network[1].running_mean.fill_(3.0)
    follow(average, network, 0.9)
    for name, parameter in average.named_parameters():
        torch.testing.assert_close(parameter.data, 0.9 * before[name] + 0.1 * network.get_parameter(name).data)
    torch.testing.assert_close(average[1].running_mean, network[1].running_mean)


def test_the_distance_to_resting_weights_shrinks_by_the_decay() -> None:
    network, average = nn.Linear(2, 1), nn.Linear(2, 1)
    gap = float((network.weight - average.weight).norm())
    for step in range(1, 4):
        follow(average, network, 0.5)
        assert float((network.weight - average.weight).norm()) == pytest.approx(gap * 0.5**step, rel=1e-5)


def test_the_decay_rises_from_a_half_to_its_limit() -> None:
    assert [rising_decay(t, 0.999) for t in (1, 2, 9)] == pytest.approx([0.5, 2 / 3, 0.9])
    assert rising_decay(10**6, 0.999) == 0.999 and rising_decay(5, 0.6) == 0.6
