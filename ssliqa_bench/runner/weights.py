"""Pretrained weights, found before any data is read: a local file, the local cache, one short probe, a message."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import sha256_file
from ssliqa_bench.registry.lookup import ResolvedBackbone

_PROBE_SECONDS = 5.0


@dataclass(frozen=True)
class WeightsFile:
    """A file of pretrained weights; `path` is None where only its hash is known (from a record)."""

    path: str | None
    sha256: str


def file_param(param: str, params: Mapping[str, Any]) -> str:
    """The parameter that names a local weights file for the backbone of a parameter: `teacher_weights_file` for
    `teacher_backbone` where a method has it, else `weights_file`."""
    own = param.removesuffix("backbone") + "weights_file"
    return own if own in params else "weights_file"


def resolve_weights(
    backbone: ResolvedBackbone, params: Mapping[str, Any], param: str = "backbone"
) -> WeightsFile | None:
    """The weights that a backbone starts from; None where random values were asked for.

    Args:
        params: of the method; `pretrained` false means random values, `weights_file` names a local file to be
            taken instead of the published ones ("sha256:…" as a record states it: known by its hash alone).
        param: which of them names the backbone; its weights file goes by `file_param`.

    Raises:
        InputError: the file is missing; the message names it, its address and where to put it.
    """
    if not params.get("pretrained"):
        return None
    option = file_param(param, params)
    if (given := params.get(option)) is not None:
        if str(given).startswith("sha256:"):
            return WeightsFile(None, str(given).removeprefix("sha256:"))
        path = Path(str(given)).expanduser()
        if not path.is_file():
            raise InputError(f"--set {option}={given}: there is no such file.")
        return WeightsFile(str(path), sha256_file(path))
    library, _, model = (backbone.weights_of or backbone.name).partition(":")
    if library == "timm":
        path = _timm_weights(model, option)
    elif library == "torchvision":
        path = _torchvision_weights(model)
    else:
        raise InputError(
            f'Backbone "{backbone.name}" has no published weights: use --set pretrained=false for random '
            f"initial weights, or --set {option}=FILE."
        )
    return WeightsFile(str(path), sha256_file(path))


def _timm_weights(model: str, option: str) -> Path:
    import timm
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from timm.models import get_pretrained_cfg

    settings = get_pretrained_cfg(model) if timm.is_model(model) else None
    repository = getattr(settings, "hf_hub_id", None)
    if repository is None:
        raise InputError(
            f'Backbone "timm:{model}": timm publishes no weights for it. '
            f"Use --set {option}=FILE, or --set pretrained=false for random initial weights."
        )
    repository = f"timm/{model}" if repository == "timm/" else repository
    for name in ("model.safetensors", "pytorch_model.bin"):
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    address = f"https://huggingface.co/{repository}/resolve/main/model.safetensors"
    _probe(f"timm:{model}", address, f"any path, named with --set {option}=FILE")
    return Path(hf_hub_download(repository, "model.safetensors"))


def _torchvision_weights(model: str) -> Path:
    import torch
    from torchvision import models

    try:
        address = models.get_model_weights(model).DEFAULT.url  # type: ignore[attr-defined]
    except ValueError as error:
        raise InputError(f'Backbone "torchvision:{model}": torchvision does not know it.') from error
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(address).path).name
    if not path.is_file():
        _probe(f"torchvision:{model}", address, str(path))
        torch.hub.load_state_dict_from_url(address, progress=False)
    return path


def _probe(backbone: str, address: str, place: str) -> None:
    """One short attempt to reach the host of an address, so that no library retries for minutes without a network."""
    host = urlparse(address).hostname or ""
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    try:
        if offline:
            raise OSError("offline mode")
        socket.create_connection((host, 443), timeout=_PROBE_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"Pretrained weights of {backbone} are not on this machine and {host} cannot be reached. Fetch {address} "
            f"elsewhere and put it at: {place}. For random initial weights, say so: --set pretrained=false."
        ) from error
