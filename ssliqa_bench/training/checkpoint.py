"""Between PyTorch modules and optimisers on one side and artifacts (named arrays and JSON) on the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.types import Artifact

Tensors = dict[str, NDArray[Any]]


def module_tensors(module: nn.Module, prefix: str = "model.") -> Tensors:
    """Parameters and buffers as arrays on the CPU, copied, named with a prefix."""
    return {prefix + name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}


def load_module(module: nn.Module, tensors: Mapping[str, NDArray[Any]], prefix: str = "model.") -> None:
    """Fill a module from arrays of `module_tensors`.

    Raises:
        CorruptFileError: names or shapes do not fit the module.
    """
    own = {name[len(prefix) :]: torch.from_numpy(np.array(v)) for name, v in tensors.items() if name.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        raise CorruptFileError(f"Stored weights do not fit the network they are loaded into: {error}") from error


def training_state(model: nn.Module, optimizer: torch.optim.Optimizer, meta: Mapping[str, Any]) -> Artifact:
    """Model and optimiser after an epoch, with whatever JSON the caller adds (epoch, log, steps)."""
    tensors = module_tensors(model)
    scalars: dict[str, Any] = {}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            key = f"optimizer.{index}.{name}"
            if isinstance(value, torch.Tensor):
                tensors[key] = value.detach().cpu().numpy().copy()
            else:
                scalars[key] = value
    return Artifact(tensors, {**meta, "optimizer": scalars})


def restore_training_state(state: Artifact, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put `training_state` back; parameter groups (rates, decay) stay as the optimiser was made."""
    load_module(model, state.tensors)
    entries: dict[int, dict[str, Any]] = {}
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.tensors.items()}
    for key, value in {**tensors, **state.meta["optimizer"]}.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            entries.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
