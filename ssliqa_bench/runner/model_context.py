"""What the builder of a model receives, put together. Its code is part of every prediction key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ssliqa_bench.methods.base import Model, Predictor
from ssliqa_bench.types import Artifact


def built(
    model: Model,
    params: Mapping[str, Any],
    artifact: Artifact | None,
    device: str,
    weights: Mapping[str, Callable[[], str]],
) -> Predictor:
    """The model that a stage left, or, where artifact is None, that of a method which nothing trains.

    Args:
        params: all those of the method.
        weights: by parameter, "method" for those of the entry itself, what finds the file of pretrained weights. A
            model that was trained has its values in its artifact; any other receives what it declares.
    """
    declared = ("method", *model.params) if artifact is None else ()
    files = {name: find() for name, find in weights.items() if name in declared}
    return model.made(params, artifact, torch.device(device), files)
