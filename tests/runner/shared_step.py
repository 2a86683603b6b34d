"""One training step, by one process or shared by several: `torchrun … shared_step.py FOLDER ROWS` writes what it gives.

Every case gives tensors by name. Those that all processes must have in common come from one process's step on the
whole batch, too.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ssliqa_bench.methods.ssliqa.batch_consistency import batch_consistency
from ssliqa_bench.methods.ssliqa.branches import Branch, DualBranch
from ssliqa_bench.runner.launch import launched
from ssliqa_bench.runner.ranks import dividing, joined
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.training.backbones.base import Backbone, QualityModel
from ssliqa_bench.training.backbones.cnniqa import CNNIQA
from ssliqa_bench.training.losses import smooth_l1

Tensors = dict[str, torch.Tensor]


def crops(rows: int) -> torch.Tensor:
    """A batch, the same for all."""
    return torch.rand(rows, 3, 20, 20, generator=torch.Generator().manual_seed(rows))


def after_step(model: nn.Module, loss: torch.Tensor, **more: torch.Tensor) -> Tensors:
    """Loss, gradients at the time of the step and weights after it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss.backward()
    optimizer.step()
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    weights = {f"{name} after the step": p for name, p in model.named_parameters()}
    return {"loss": loss, **more, **gradients, **weights}


def supervised(rows: int) -> Tensors:
    """Smooth-L1 on scores, with dropout before the head."""
    model = QualityModel(CNNIQA(6, 10)).train()
    quality, features = model(crops(rows))
    return after_step(model, smooth_l1(quality, torch.linspace(0, 1, rows), 0.1), features=features)


def consistency(rows: int) -> Tensors:
    """The angles of the features of two branches, over all triples of the batch."""
    model = DualBranch(Branch(CNNIQA(6, 10), [], 5, 1.0), Branch(CNNIQA(5, 60), [8], 5, 1.0)).train()
    student, teacher = model(crops(rows))
    loss = batch_consistency(student.features, teacher.features)
    return after_step(model, loss, student=student.features, teacher=teacher.features)


class Normed(CNNIQA):
    """Ends in a batch norm."""

    def __init__(self) -> None:
        super().__init__(6, 10)
        self.norm = nn.BatchNorm1d(10)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, 10)."""
        return self.norm(super().forward(crops))


def mixed(rows: int) -> Tensors:
    """A network with frozen batch norm, called on a whole batch and on a single crop, a penalty on its weights, and
    something learned below it."""
    model = nn.ModuleDict({"below": nn.Conv2d(3, 3, 1), "network": QualityModel(Normed()).eval()})
    divided = model["network"](model["below"](crops(rows)))[0]
    whole = model["network"](crops(1))[0]
    with torch.no_grad():
        read = model["network"](crops(rows + 1))[0]
    penalty = sum(p.square().sum() for p in model["network"].parameters())
    return after_step(model, divided.square().mean() + whole.sum() + 0.1 * penalty, read=read)


class Dropping(Backbone):
    """Draws random numbers within."""

    features = 300

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Which of 300 places are kept, (n, 300)."""
        return nn.functional.dropout(torch.ones(len(crops), 300), 0.5)


def dropping(rows: int) -> Tensors:
    """Two calls in a row, and what is drawn after them."""
    network = Dropping()
    return {"first": network(crops(rows)), "second": network(crops(rows)), "drawn": torch.rand(3)}


def recovered(rows: int) -> Tensors:
    """A step after a call that failed, and what is drawn after it."""
    model = QualityModel(CNNIQA(6, 10)).train()
    with contextlib.suppress(RuntimeError):
        model(crops(rows)[..., :3, :3])  # smaller than a window
    return after_step(model, model(crops(rows))[0].square().mean(), drawn=torch.rand(3))


CASES = {case.__name__: case for case in (supervised, consistency, mixed, dropping, recovered)}


def made(case: str, rows: int) -> dict[str, np.ndarray]:
    """What a case gives, from the same seed everywhere."""
    torch.manual_seed(0)
    return {name: value.detach().numpy().copy() for name, value in CASES[case](rows).items()}


def main(folder: Path, rows: int) -> None:
    """Write what this process has of every case, and how many rows it sent through networks."""
    launch = launched()
    assert launch is not None
    with joined(launch, Settings(device="cpu")) as group:
        for case in CASES:
            with dividing(group) as divided:
                found = made(case, rows)
            np.savez(folder / f"{case}-{group.rank}.npz", __rows__=np.array(divided.rows), **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
