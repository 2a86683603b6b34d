"""The rate on plateaus against PyTorch's, and the best epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.methods.noisy_student.plateau import BestTrainee, EpochQuality, Plateau, PlateauSchedule, best_epoch

LOSSES = {
    "falling": np.linspace(2, 1, 20),
    "flat": np.ones(40),
    "noisy": 1 + np.random.default_rng(0).normal(0, 0.1, 60),
    "just too little": 1 - 0.9e-4 * np.arange(20) / 20,
    "up and down": np.tile([1.0, 0.9, 0.95, 0.8, 1.2, 1.3, 0.8], 8),
    "infinite at first": np.concatenate(([math.inf], np.ones(10))),
}


@pytest.mark.parametrize("patience", [0, 2, 5])
@pytest.mark.parametrize("name", LOSSES)
def test_the_rate_is_that_of_pytorch_after_every_epoch(name: str, patience: int) -> None:
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1e-4)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience, threshold=1e-4, threshold_mode="rel", min_lr=1e-6
    )
    ours = Plateau(0.5, patience, 1e-4, 1e-6)
    losses = LOSSES[name].tolist()
    for epoch in range(len(losses) + 1):
        assert ours.rate(1e-4, losses[:epoch]) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        if epoch < len(losses):
            other.step(losses[epoch])


def test_the_rate_ends_at_the_floor_and_is_never_raised_to_it() -> None:
    assert Plateau(0.5, 2, 1e-4, 1e-6).rate(1e-4, [1.0] * 100) == 1e-6
    assert Plateau(0.5, 2, 1e-4, 1e-2).rate(1e-4, [1.0] * 100) == 1e-4


def test_the_best_epoch_is_the_first_of_the_highest() -> None:
    rows = [(1.0, 0.2, 0.1), (3.0, 0.4, 0.5), (0.5, 0.5, 0.4), (0.1, -1.0, -1.0)]
    history = [EpochQuality(*row) for row in rows]
    assert best_epoch(history) == 1  # whatever the loss
    assert best_epoch([EpochQuality(1.0, -1.0, -1.0)] * 3) == 0


class Network(torch.nn.Module):
    """One weight, which says how many epochs were finished."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.norm = torch.nn.BatchNorm1d(1)


def trained(values: list[float], stop: int | None = None, state: Any = None) -> BestTrainee:
    """A trainee whose epochs are judged to be such PLCCs and SRCCs; from a state on, if one is given."""

    def judge(network: Any) -> EpochQuality:
        return EpochQuality(1.0, *[values[int(network.weight.detach())]] * 2)

    trainee = BestTrainee(Network(), len(values), judge)  # type: ignore[arg-type]
    if state is not None:
        trainee.load_state_dict(state)
    for _ in range(len(trainee.history()), len(values) if stop is None else stop):
        trainee.finish_epoch()
        assert trainee.network.training
        with torch.no_grad():
            trainee.network.weight += 1
            trainee.network.norm.num_batches_tracked += 1
    return trainee


@pytest.mark.parametrize(("values", "best"), [([0.1, 0.3, 0.2], 1), ([0.3, 0.1, 0.3], 0), ([-1.0, -0.5, 0.9], 2)])
def test_weights_and_buffers_of_the_best_epoch_are_kept(values: list[float], best: int) -> None:
    trainee = trained(values)
    assert [judged.plcc for judged in trainee.history()] == values
    assert trainee.final.weight.item() == best == int(trainee.final.norm.num_batches_tracked)  # type: ignore[attr-defined]
    assert trainee.final is not trainee.network and trainee.network.weight.item() == len(values)
    assert {p for p in trainee.parameters() if p.requires_grad} == set(trainee.network.parameters())
    for stop in range(1, len(values)):
        resumed = trained(values, state=trained(values, stop).state_dict())
        states = zip(resumed.state_dict().values(), trainee.state_dict().values(), strict=True)
        assert all(torch.equal(one, other) for one, other in states)


def test_without_a_validation_part_the_network_is_final_and_the_rate_constant() -> None:
    trainee = BestTrainee(Network(), 5, None)  # type: ignore[arg-type]
    trainee.finish_epoch()
    assert trainee.history() == [] and trainee.final is trainee.network
    schedule = PlateauSchedule(5, 0.1, plateau=Plateau(0.5, 0, 0.0, 0.0), trainee=trainee)
    assert [schedule.rate(epoch, 1.0) for epoch in range(5)] == [0.1] * 5


def test_the_schedule_follows_what_was_judged_before_the_epoch() -> None:
    trainee = BestTrainee(Network(), 5, lambda network: EpochQuality(1.0, 0.5, 0.5))  # type: ignore[arg-type]
    schedule = PlateauSchedule(5, 0.1, plateau=Plateau(0.5, 1, 0.0, 0.0), trainee=trainee)
    rates = []
    for epoch in range(5):
        rates += [schedule.rate(epoch, 0.5)]
        trainee.finish_epoch()
        rates += [schedule.rate(epoch, 1.0)]
    assert rates == [0.1] * 6 + [0.05] * 4
