"""The learner of a plan, its class loaded by name. Imports torch."""

from __future__ import annotations

import inspect

import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.models.weights import usable_file
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.runner.plan import Plan


def make_learner(plan: Plan) -> Learner:
    """The learner of a plan, its class loaded by name.

    Raises:
        InputError: the class is no learner, or the pair does not give what it needs.
    """
    # Classes that lie beside a registry file are found here, later by their name alone.
    for path in (*(backbone.class_path for backbone in plan.backbones.values()), *plan.own_classes):
        load_object(path, plan.search_folders)
    made = load_object(plan.method.class_path, plan.search_folders)
    if inspect.isabstract(made):
        lacks = ", ".join(sorted(made.__abstractmethods__))
        raise InputError(f'Method "{plan.method.name}": {plan.method.class_path} lacks {lacks}.')
    if not (isinstance(made, type) and issubclass(made, Learner)):
        raise InputError(
            f'Method "{plan.method.name}": {plan.method.class_path} is not a subclass of '
            f"ssliqa_bench.methods.base.Learner."
        )
    params = plan.params
    if "method" in plan.weights:
        params["weights_file"] = usable_file(plan.weights["method"])
    learner = made(params)
    if learner.needs.references and not plan.method.references:
        raise InputError(
            f'Method "{plan.method.name}": its class needs reference images; write "references: true" in its entry, '
            f"so that they are part of the key of its runs."
        )
    if learner.needs.unlabeled and plan.spec.pair.unlabeled is None:
        raise InputError(
            f'Method "{plan.method.name}" learns from unlabeled images: name a pair A:B, for example '
            f"--pair {plan.spec.pair.labeled}:DATASET."
        )
    return learner


def ready_learner(plan: Plan) -> Learner:
    """The learner of a plan. One that nothing trains makes its model now, so that weights that are not on this machine
    are missed before any image is read."""
    learner = make_learner(plan)
    if not learner.stages():
        learner.predictor(None, torch.device(plan.device))
    return learner
