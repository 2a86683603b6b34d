"""Files that a finished model is built from beside its own tensors: described in its record, found again from that.

Such a file is never copied: a metric's parameters and the weights of a frozen network are published, under terms of
their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import sha256_file
from ssliqa_bench.models.weights import WeightsFile, resolve_method_weights, resolve_weights, usable_file
from ssliqa_bench.registry.lookup import ResolvedBackbone
from ssliqa_bench.registry.schema import About, WeightsFacts


def described(sha256: str, facts: WeightsFacts | None, network: ResolvedBackbone | None = None) -> dict[str, Any]:
    """What a description says of a file of weights.

    Args:
        facts: where it is published, as far as the registry states it.
        network: whose weights they are; None for the parameters of a metric.
    """
    named = None if network is None else network_of(network)
    return {"sha256": sha256, "facts": facts and facts.model_dump(mode="json", exclude_none=True), "network": named}


def network_of(backbone: ResolvedBackbone) -> dict[str, Any]:
    """What a description says of a network: name, class and arguments."""
    return {"name": backbone.name, "class": backbone.class_path, "arguments": dict(backbone.arguments)}


def located(name: str, told: Mapping[str, Any], given: Path | None, cache_root: Path) -> str:
    """The path of a described file: one that is given, else where its library or package keeps it, else fetched.

    Raises:
        InputError: it is nowhere, or is another file.
    """
    found = _given(given) if given is not None else _published(name, told, cache_root)
    if found.sha256 != told["sha256"]:
        raise InputError(
            f"{found.path}: has the SHA-256 {found.sha256[:16]}…; this model was built with {told['sha256'][:16]}…. "
            f"Name that file: load_model(…, weights_file=FILE)."
        )
    return usable_file(found)


def _given(path: Path) -> WeightsFile:
    if not path.is_file():
        raise InputError(f"weights_file: {path}: there is no such file.")
    return WeightsFile(str(path), sha256_file(path))


def _published(name: str, told: Mapping[str, Any], cache_root: Path) -> WeightsFile:
    facts = told["facts"] and WeightsFacts(**told["facts"])
    network = told["network"]
    try:
        if network is not None:
            about = About(title=network["name"])
            backbone = ResolvedBackbone(network["name"], network["class"], network["arguments"], about, None, facts)
            found = resolve_weights(backbone, {"pretrained": True}, cache_root)
            assert found is not None  # asked for
            return found
        if facts is not None:
            return resolve_method_weights(name, facts, {}, cache_root)
    except InputError as error:
        raise InputError(f"{error} Or name the file: load_model(…, weights_file=FILE).") from error
    raise InputError(
        f"This model is built from a file of parameters with SHA-256 {told['sha256']}, which is published nowhere that "
        f"is known. Name it: load_model(…, weights_file=FILE)."
    )
