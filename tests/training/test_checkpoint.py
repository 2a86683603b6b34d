"""Modules and optimisers as arrays and JSON, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.training.checkpoint import load_module, module_tensors, restore_training_state, training_state
from ssliqa_bench.types import Artifact


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 1))


def trained(optimizer_of: type[torch.optim.Optimizer], **arguments: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = network()
    optimizer = optimizer_of(model.parameters(), lr=0.01, **arguments)
    for _ in range(3):
        _step(model, optimizer)
    return model, optimizer


def _step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.linspace(-1, 1, 6 * 48).reshape(6, 3, 4, 4)).square().mean().backward()
    optimizer.step()


def test_a_module_comes_back_bit_for_bit() -> None:
    model, _ = trained(torch.optim.Adam)
    tensors = module_tensors(model)
    assert set(tensors) == {f"model.{name}" for name in model.state_dict()}
    other = network()
    load_module(other, {**tensors, "labels.0": np.zeros(3)})  # what else stands in an artifact is not its business
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value) and other.state_dict()[name].dtype == value.dtype


def test_arrays_are_copies() -> None:
    model, optimizer = trained(torch.optim.Adam)
    state = training_state(model, optimizer, {})
    before = {name: value.copy() for name, value in state.tensors.items()}
    _step(model, optimizer)
    for name, value in before.items():
        np.testing.assert_array_equal(state.tensors[name], value)


@pytest.mark.parametrize("damage", ["shape", "missing", "surplus"])
def test_weights_that_do_not_fit_are_said(damage: str) -> None:
    tensors = module_tensors(network())
    if damage == "shape":
        tensors["model.3.weight"] = np.zeros((1, 15), dtype=np.float32)
    elif damage == "missing":
        del tensors["model.3.weight"]
    else:
        tensors["model.4.weight"] = np.zeros(1, dtype=np.float32)
    with pytest.raises(CorruptFileError, match=r"(?s)do not fit.*\d\.weight"):
        load_module(network(), tensors)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(torch.optim.Adam, {}), (torch.optim.AdamW, {}), (torch.optim.SGD, {"momentum": 0.9}), (torch.optim.SGD, {})],
)
def test_an_optimiser_goes_on_as_if_nothing_was(kind: type[torch.optim.Optimizer], arguments: dict[str, float]) -> None:
    model, optimizer = trained(kind, **arguments)
    state = training_state(model, optimizer, {"epoch": 3, "log": [{"loss": 0.5}]})
    meta = json.loads(json.dumps(state.meta))
    assert meta["epoch"] == 3 and meta["log"] == [{"loss": 0.5}]

    other = network()
    again = kind(other.parameters(), lr=0.02, **arguments)
    # Files keep no scalars apart from arrays of one number.
    restore_training_state(Artifact({n: np.ascontiguousarray(v) for n, v in state.tensors.items()}, meta), other, again)
    assert again.param_groups[0]["lr"] == 0.02
    again.param_groups[0]["lr"] = 0.01
    for _ in range(2):
        _step(model, optimizer)
        _step(other, again)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
