"""How many parameters the networks of a method have. Imports torch."""

from __future__ import annotations

import torch

from ssliqa_bench.methods.base import Learner
from ssliqa_bench.registry.lookup import Registry, load_object
from ssliqa_bench.runner.resolve import learner_params


def parameter_counts(name: str, recipe: str, registry: Registry) -> dict[str, int]:
    """Trained parameters of each network that a method builds, exact; empty where it builds none.

    The networks are made without memory for their values, so that large ones are counted at once. What training adds
    to them (running statistics, optimiser) is not counted.

    Raises:
        InputError: unknown names, a class that cannot be imported, or a network that cannot be built.
    """
    method = registry.resolve_method(name, recipe)
    learner: Learner = load_object(method.class_path, registry.search_folders)(
        learner_params(method, registry.backbones_of(method))
    )
    try:
        with torch.device("meta"):
            networks = learner.networks()
    except RuntimeError:  # a network that looks at its values, or at its device, while it is made
        networks = learner.networks()
    return {part: sum(p.numel() for p in network.parameters()) for part, network in networks.items()}
