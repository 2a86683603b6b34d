"""The rate that falls on plateaus of the validation loss, and the network that remembers its best epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from ssliqa_bench.methods.noisy_student.network import StudentNetwork
from ssliqa_bench.training.loop import Schedule

PLATEAU_PARAMS = ("plateau_factor", "plateau_patience", "plateau_threshold", "plateau_floor")


class EpochQuality(NamedTuple):
    """An epoch on the validation images: loss, PLCC and SRCC, −1 where a correlation is undefined."""

    loss: float
    plcc: float
    srcc: float


@dataclass(frozen=True)
class Plateau:
    """After more than `patience` epochs without a loss below (1 − threshold) × the best, the rate is multiplied by
    `factor`, down to `floor`, and the count of epochs starts anew."""

    factor: float
    patience: int
    threshold: float
    floor: float

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Plateau:
        """As the parameters `PLATEAU_PARAMS` say."""
        factor, patience, threshold, floor = (params[name] for name in PLATEAU_PARAMS)
        return cls(float(factor), int(patience), float(threshold), float(floor))

    def rate(self, lr: float, losses: Sequence[float]) -> float:
        """The rate after epochs with these validation losses, from `lr` on; never raised by a floor above it."""
        best, waited = math.inf, 0
        for loss in losses:
            if loss < best * (1 - self.threshold):
                best, waited = loss, 0
            else:
                waited += 1
            if waited > self.patience:
                lr, waited = min(lr, max(lr * self.factor, self.floor)), 0
        return lr


class BestTrainee(nn.Module):
    """What a checkpoint holds: the network in training, and, where there is a validation part, how good it was after
    each epoch and its weights after the best one.

    Args:
        epochs: of the whole training.
        judge: how good the network is just now; None without a validation part.
    """

    def __init__(
        self, network: StudentNetwork, epochs: int, judge: Callable[[StudentNetwork], EpochQuality] | None
    ) -> None:
        super().__init__()
        self.network = network
        self.best = copy.deepcopy(network).requires_grad_(False) if judge else None
        self.judged: torch.Tensor
        judged = torch.full((epochs if judge else 0, len(EpochQuality._fields)), torch.nan)
        self.register_buffer("judged", judged.double())
        self._judge = judge

    def history(self) -> list[EpochQuality]:
        """How good it was after each finished epoch; empty without a validation part."""
        return [EpochQuality(*row) for row in self.judged.tolist() if not math.isnan(row[0])]

    @torch.no_grad()
    def finish_epoch(self) -> None:
        """Judge the network, and keep its weights if it is the best so far."""
        if self._judge is None or self.best is None:
            return
        done = len(self.history())
        self.judged[done] = self.judged.new_tensor(self._judge(self.network.eval()))
        self.network.train()
        if best_epoch(self.history()) == done:
            self.best.load_state_dict(self.network.state_dict())

    @property
    def final(self) -> StudentNetwork:
        """The network after its best epoch, or, without a validation part, as it is."""
        return self.network if self.best is None else self.best


def best_epoch(history: Sequence[EpochQuality]) -> int:
    """The first epoch, from 0, with the highest PLCC + SRCC."""
    return max(range(len(history)), key=lambda epoch: (history[epoch].plcc + history[epoch].srcc, -epoch))


@dataclass(frozen=True)
class PlateauSchedule(Schedule):
    """A rate that follows what a trainee's epochs were judged to be; constant where nothing judges them."""

    plateau: Plateau | None = None
    trainee: BestTrainee | None = None
    known: dict[int, float] = field(default_factory=dict)

    def rate(self, epoch: int, fraction: float) -> float:
        """The same for all steps of an epoch, so it is worked out once: to look at the history waits for the device."""
        assert self.plateau is not None and self.trainee is not None
        if epoch not in self.known:
            losses = [judged.loss for judged in self.trainee.history()[:epoch]]
            self.known[epoch] = self.plateau.rate(self.lr, losses)
        return self.known[epoch]
