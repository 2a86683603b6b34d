"""Pretrained weights of a backbone, read from a file that is already on this machine."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.backbones.base import Backbone

# A pickle can run code when it is opened, so that none is.
NOT_TENSORS = (
    "is a pickle of more than tensors, and is not opened, because a pickle can run code. If you trust where it comes "
    "from, write its tensors to a new file: python -c \"import torch; c = torch.load('OLD', map_location='cpu', "
    "weights_only=False); c = c.state_dict() if hasattr(c, 'state_dict') else c.get('state_dict', c); "
    "torch.save({k: v for k, v in c.items() if torch.is_tensor(v)}, 'NEW.pth')\""
)
_WRAPPERS = ("state_dict", "model", "model_state_dict")


def load_weights(backbone: Backbone, path: str) -> None:
    """Fill a backbone's network from a .safetensors or .pth file; a classifier in the file is left out.

    Raises:
        InputError: the file is not readable, or does not fit the network (says what is missing).
    """
    network = getattr(backbone, "network", backbone)
    own = network.state_dict()
    stored = backbone.adapt(read_tensors(Path(path)))
    # Files older than the batch counter of batch normalisation lack it; nothing is computed from it.
    counters = {name: own[name] for name in own if name.endswith("num_batches_tracked")}
    stored = {**counters, **stored}
    missing = sorted(name for name in own if name not in stored)
    wrong = sorted(name for name in own if name in stored and stored[name].shape != own[name].shape)
    if missing or wrong:
        problem = (
            f"lacks {len(missing)} of {len(own)} tensors (first: {missing[0]})"
            if missing
            else f"has another shape for {wrong[0]}: {tuple(stored[wrong[0]].shape)}, "
            f"expected {tuple(own[wrong[0]].shape)}"
        )
        raise InputError(
            f"Weights file {path} {problem}. Name the file made for this backbone with "
            f"--set weights_file=FILE, or ask for random weights with --set pretrained=false."
        )
    network.load_state_dict({name: stored[name] for name in own})


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a .safetensors file, or of a PyTorch file read with `weights_only=True`.

    Raises:
        InputError: the file is not readable, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about pickles that are refused below
                content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"Weights file {path}: {NOT_TENSORS}") from error
    except Exception as error:  # pickle, zip and safetensors each raise their own kinds
        raise InputError(
            f"Weights file {path}: not readable as safetensors or a PyTorch state dict ({error})."
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if isinstance(content, nn.Module) or not isinstance(content, dict):
        raise InputError(f"Weights file {path}: expected a dictionary of tensors.")
    return {name.removeprefix("module."): value for name, value in content.items() if isinstance(value, torch.Tensor)}
