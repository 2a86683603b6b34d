"""Published EfficientNet-Lite files under the names that timm has for their tensors."""

from __future__ import annotations

import re

import torch

from ssliqa_bench.errors import InputError

_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")
_AROUND = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# A block that does not widen its input first has one convolution and one normalisation less.
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip


def timm_names(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a file of EfficientNet's PyTorch port under the names of timm's `tf_efficientnet_lite`.

    The port numbers the blocks through; timm counts them within stages. A stage begins where a block changes the
    number of channels, which holds for all EfficientNets.

    Raises:
        InputError: a tensor that the port does not have.
    """
    places = _places(stored)
    renamed = {}
    for name, value in stored.items():
        block = _BLOCK.fullmatch(name)
        part, _, kind = name.rpartition(".")
        if block is not None:
            prefix, part, kind = f"blocks.{places[int(block[1])]}.", block[2], block[3]
            widens = f"_blocks.{block[1]}._expand_conv.weight" in stored
            names = _INVERTED if widens else _SEPARABLE
        else:
            prefix, names = "", _AROUND
        if part not in names:
            raise InputError(f"Tensor {name}: not one of an EfficientNet-Lite in the naming of the PyTorch port.")
        renamed[f"{prefix}{names[part]}.{kind}"] = value
    return renamed


def _places(stored: dict[str, torch.Tensor]) -> dict[int, str]:
    """Number of a block → "stage.place", by the channels that it takes and gives."""
    places: dict[int, str] = {}
    stage, place = -1, 0
    numbers = sorted({int(found[1]) for name in stored if (found := _BLOCK.fullmatch(name))})
    for number in numbers:
        gives = len(stored[f"_blocks.{number}._project_conv.weight"])
        first = stored.get(f"_blocks.{number}._expand_conv.weight")
        takes = len(stored[f"_blocks.{number}._depthwise_conv.weight"]) if first is None else first.shape[1]
        stage, place = (stage, place + 1) if takes == gives and stage >= 0 else (stage + 1, 0)
        places[number] = f"{stage}.{place}"
    return places
