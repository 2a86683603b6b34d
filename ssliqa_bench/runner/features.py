"""The frozen network behind a head on features: named by the head's backbone entry, known without importing torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssliqa_bench.errors import InputError
from ssliqa_bench.models.weights import WeightsFile, resolve_weights, usable_file
from ssliqa_bench.registry.lookup import ResolvedBackbone, locate_module
from ssliqa_bench.runner.code import Code
from ssliqa_bench.runner.keys import DECODER_CODE, FEATURES_CODE, Behind
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.provenance import library_versions

if TYPE_CHECKING:
    from ssliqa_bench.pixels.features import Extract, Network

# Libraries whose version may change a feature.
_LIBRARIES = ("torch", "timm", "numpy")


def frozen_network(
    method: str, backbones: Mapping[str, ResolvedBackbone], settings: Settings, folders: Sequence[Path] = ()
) -> Network | None:
    """The frozen network whose features a method learns from; None for a method that learns from pixels.

    Args:
        backbones: the networks that its parameters name, by parameter.
        folders: where modules outside this package are looked for first.

    Raises:
        InputError: they are heads on different networks, or one of them takes pixels; or weights are missing.
    """
    heads = {name: own.features_of for name, own in backbones.items() if own.features_of is not None}
    if not heads:
        return None
    frozen = {own.name: own for own in heads.values()}
    if len(frozen) > 1 or len(heads) < len(backbones):
        named = ", ".join(f"{name}={own.name}" for name, own in backbones.items())
        raise InputError(
            f'Method "{method}": {named}. All of its networks must be heads on features of one frozen network, or all '
            f"take pixels."
        )
    (network,) = frozen.values()
    weights = resolve_weights(network, {"pretrained": True}, settings.cache_root, download=settings.download)
    assert weights is not None  # asked for
    width = int(next(iter(backbones.values())).arguments["inputs"])
    return feature_network(network, weights, width, folders)


def feature_network(
    backbone: ResolvedBackbone, weights: WeightsFile, features: int, folders: Sequence[Path] = ()
) -> Network:
    """The network whose features a head is trained on.

    Args:
        weights: its pretrained weights.
        features: length of its vectors.
        folders: where modules outside this package are looked for first.
    """
    from ssliqa_bench.pixels.features import CROP, WHOLE, Network  # brings a decoder, which no other plan needs

    convert = {} if weights.convert is None else {"convert": weights.convert}
    behind = Behind({"entry": backbone.class_path, **convert}, (*FEATURES_CODE, *DECODER_CODE))
    code = behind.part(Code(lambda module: locate_module(module, folders)))
    spec: dict[str, Any] = {"class": backbone.class_path, "arguments": dict(backbone.arguments)}
    identity = {
        "backbone": spec,
        "weights": {"sha256": weights.sha256},
        "crop": CROP,
        "whole": WHOLE,
        "versions": library_versions(_LIBRARIES),
    }
    return Network(backbone.name, identity, code, features, functools.partial(_extractor, spec, weights))


def _extractor(spec: dict[str, Any], weights: WeightsFile) -> Extract:
    from ssliqa_bench.models.feature_views import extractor

    return extractor(spec, usable_file(weights))
