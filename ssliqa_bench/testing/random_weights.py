"""Random numbers in place of pretrained weights, for tests on a machine that cannot download any."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlparse

import torch
from safetensors.torch import save_file
from torch import nn

from ssliqa_bench.files import sha256_file
from ssliqa_bench.models.weights import Published, WeightsFile
from ssliqa_bench.registry.lookup import ResolvedBackbone

_SEED = 20130505


class _Anything(dict[str, Any]):
    """A state dict that any network accepts: it stays as it was made."""


@contextlib.contextmanager
def random_weights() -> Iterator[None]:
    """While it holds, whoever asks timm, torchvision or pyiqa for pretrained weights gets random ones.

    This package's own search for weights files finds, instead of looking on this machine and in the network, a file
    of random weights, which then takes the ordinary way: hashed, keyed and read. The values are the same at every
    call. Parameter files that are no network's (NIQE's, BRISQUE's) are not replaced.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="random-weights-")))
        stack.enter_context(mock.patch.object(Published, "local", lambda published: _file(published, folder)))
        stack.enter_context(
            mock.patch("ssliqa_bench.models.weights.packaged_weights", lambda backbone, *_: _packaged(backbone, folder))
        )
        stack.enter_context(mock.patch("timm.models._builder.load_pretrained", _leave))
        stack.enter_context(
            mock.patch("torchvision.models._api.WeightsEnum.get_state_dict", lambda *_, **__: _Anything())
        )
        stack.enter_context(mock.patch.object(nn.Module, "load_state_dict", _accepting(nn.Module.load_state_dict)))
        for name in [name for name in sys.modules if name.startswith("pyiqa.")]:
            if hasattr(sys.modules[name], "load_pretrained_network"):
                stack.enter_context(mock.patch.object(sys.modules[name], "load_pretrained_network", _leave))
        yield


def _leave(*_: Any, **__: Any) -> None:
    """Load nothing."""


def _accepting(load: Any) -> Any:
    def load_state_dict(network: nn.Module, state: Mapping[str, Any], *options: Any, **named: Any) -> Any:
        return None if isinstance(state, _Anything) else load(network, state, *options, **named)

    return load_state_dict


def _file(published: Published, folder: Path) -> Path | None:
    """A file of random weights as the library that publishes the real one would lay it out."""
    if not published.of_network:
        return None
    path = folder / f"{abs(hash(published.address))}.safetensors"
    if not path.exists():
        _write(lambda: _network(published), path)
    return path


def _packaged(backbone: ResolvedBackbone, folder: Path) -> WeightsFile:
    """What a package would give for a network of timm, under the network's own names."""
    import timm

    path = folder / f"{abs(hash(backbone.name))}.safetensors"
    if not path.exists():
        _write(lambda: timm.create_model(backbone.name.partition(":")[2], pretrained=False), path)
    return WeightsFile(str(path), sha256_file(path))


def _write(make: Callable[[], nn.Module], path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        save_file({name: value.contiguous() for name, value in make().state_dict().items()}, path)


def _network(published: Published) -> nn.Module:
    if urlparse(published.address).hostname == "huggingface.co":
        import timm

        network: nn.Module = timm.create_model(published.repository.split("/")[1], pretrained=False)
        return network
    from torchvision import models

    name = published.what.partition("torchvision:")[2]
    network = models.get_model(name, weights=None)
    return network
