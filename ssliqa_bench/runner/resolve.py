"""From the names of a run to what they stand for: entries, canonical names, files of weights. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ssliqa_bench.evaluation.names import extra_metrics
from ssliqa_bench.models.weights import WeightsFile, backbone_weights, own_weights
from ssliqa_bench.registry.lookup import Registry, ResolvedBackbone, ResolvedMethod
from ssliqa_bench.registry.schema import DatasetEntry, ProtocolEntry
from ssliqa_bench.runner.features import frozen_network
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec

if TYPE_CHECKING:
    from ssliqa_bench.pixels.features import Network


@dataclass(frozen=True)
class Resolved:
    """A run with every name resolved, no image looked at: canonical names, entries, and files of weights.

    `features` is the frozen network whose features the learner receives in place of pixels, None for pixels.
    """

    spec: RunSpec
    method: ResolvedMethod
    protocol: ProtocolEntry
    entries: Mapping[str, DatasetEntry]
    backbones: Mapping[str, ResolvedBackbone]
    weights: Mapping[str, WeightsFile]
    features: Network | None


def resolve(spec: RunSpec, registry: Registry, settings: Settings) -> Resolved:
    """Resolve every name and look for weights; no data is read.

    Raises:
        InputError: an unknown name or parameter, or weights that are missing.
    """
    pair = registry.pair(str(spec.pair))
    protocol = registry.protocol(spec.protocol)
    extra_of(protocol)
    tests = tuple(dict.fromkeys(registry.dataset(name).name for name in (*protocol.tests, *spec.tests)))
    tests = tuple(name for name in tests if name not in pair.datasets)
    method = registry.resolve_method(
        spec.method, spec.recipe, dict(spec.overrides), registry.dataset(pair.labeled).recipe
    )
    backbones = registry.backbones_of(method)
    weights = _weights(method, backbones, settings)
    method = _canonical(method, backbones, weights)
    spec = replace(
        spec,
        method=method.name,
        pair=pair,
        protocol=protocol.name,
        recipe=method.recipe,
        tests=tests,
        overrides=tuple(sorted(method.overrides.items())),
    )
    entries = registry.datasets_of(pair, protocol, tests)
    features = frozen_network(method.name, backbones, settings, registry.search_folders)
    return Resolved(spec, method, protocol, entries, backbones, weights, features)


def extra_of(protocol: ProtocolEntry) -> tuple[str, ...]:
    """The metrics that a protocol asks for beyond those that are always computed."""
    return extra_metrics(protocol.metrics, protocol=protocol.name, classes=protocol.classes is not None)


def learner_params(method: ResolvedMethod, backbones: Mapping[str, ResolvedBackbone]) -> dict[str, Any]:
    """Parameters as a learner gets them: names of backbones replaced by what they stand for."""
    resolved = {
        name: {"class": backbone.class_path, "arguments": dict(backbone.arguments)}
        for name, backbone in backbones.items()
    }
    return {**method.params, **resolved}


def _weights(
    method: ResolvedMethod, backbones: Mapping[str, ResolvedBackbone], settings: Settings
) -> dict[str, WeightsFile]:
    """The files of weights that a method starts from, by parameter."""
    weights = {
        name: found
        for name, backbone in backbones.items()
        if (found := backbone_weights(method, name, backbone, settings.cache_root, download=settings.download))
        is not None
    }
    if (own := own_weights(method, settings.cache_root, download=settings.download)) is not None:
        weights["method"] = own
    return weights


def _canonical(
    method: ResolvedMethod, backbones: Mapping[str, ResolvedBackbone], weights: Mapping[str, WeightsFile]
) -> ResolvedMethod:
    """One value for what is the same: a backbone's canonical name, and a weights file by what it holds."""
    told: dict[str, Any] = {name: backbone.name for name, backbone in backbones.items()}
    files = {name: chosen.file for name, chosen in method.weights_params.items()}
    if method.own_file is not None:
        files["method"] = method.own_file
    for name, option in files.items():
        if method.params.get(option) is not None:
            told[option] = f"sha256:{weights[name].sha256}"
    overrides = {name: told.get(name, value) for name, value in method.overrides.items()}
    return replace(method, params={**method.params, **told}, overrides=overrides)
