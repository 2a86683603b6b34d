"""The frozen network behind a head on features: named by the head's backbone entry, known without importing torch."""

from __future__ import annotations

import functools
from typing import Any

from ssliqa_bench.models.weights import WeightsFile, usable_file
from ssliqa_bench.pixels.features import CROP, WHOLE, Extract, Network
from ssliqa_bench.registry.lookup import ResolvedBackbone
from ssliqa_bench.store.provenance import library_versions

# Libraries whose version may change a feature.
_LIBRARIES = ("torch", "timm", "numpy")


def feature_network(backbone: ResolvedBackbone, weights: WeightsFile, features: int) -> Network:
    """The network whose features a head is trained on.

    Args:
        weights: its pretrained weights.
        features: length of its vectors.
    """
    spec: dict[str, Any] = {"class": backbone.class_path, "arguments": dict(backbone.arguments)}
    identity = {
        "backbone": spec,
        "weights": {"sha256": weights.sha256},
        "crop": CROP,
        "whole": WHOLE,
        "versions": library_versions(_LIBRARIES),
    }
    return Network(backbone.name, identity, features, functools.partial(_extractor, spec, weights))


def _extractor(spec: dict[str, Any], weights: WeightsFile) -> Extract:
    from ssliqa_bench.runner.feature_views import extractor

    return extractor(spec, usable_file(weights))
