"""The learner of a plan, its class loaded by name. Imports torch."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner, Model, Predictor
from ssliqa_bench.models.description import Description
from ssliqa_bench.models.origins import described, network_of
from ssliqa_bench.models.weights import usable_file
from ssliqa_bench.registry.lookup import ResolvedBackbone, ResolvedMethod, load_object
from ssliqa_bench.runner.model_context import built
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.resolve import learner_params
from ssliqa_bench.runner.tree import is_ours
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact


def make_learner(plan: Plan) -> Learner:
    """The learner of a plan, its class loaded by name.

    Raises:
        InputError: as `learner_of`, or the pair or the entry does not give what the learner needs.
    """
    learner = learner_of(plan.method, plan.backbones, plan.search_folders)
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


def learner_of(
    method: ResolvedMethod, backbones: Mapping[str, ResolvedBackbone], folders: Sequence[Path] = ()
) -> Learner:
    """The learner of a resolved method, before any data is looked at.

    Args:
        backbones: those that its parameters name, by parameter.
        folders: of users' registry files.

    Raises:
        InputError: the class is no learner, its parameters do not go together, or a stage or the model declares one
            that there is not.
    """
    own = (path for path in method.named("class").values() if not is_ours(path.partition(":")[0]))
    # Classes beside a registry file are found here, later by their name alone.
    for path in (*(backbone.class_path for backbone in backbones.values()), *own):
        load_object(path, folders)
    made = load_object(method.class_path, folders)
    if inspect.isabstract(made):
        lacks = ", ".join(sorted(made.__abstractmethods__))
        raise InputError(f'Method "{method.name}": {method.class_path} lacks {lacks}.')
    if not (isinstance(made, type) and issubclass(made, Learner)):
        raise InputError(
            f'Method "{method.name}": {method.class_path} is not a subclass of ssliqa_bench.methods.base.Learner.'
        )
    if not isinstance(getattr(made, "model", None), Model):
        raise InputError(
            f'Method "{method.name}": {method.class_path} does not say how its model is built. Add '
            f'"model = Model(build, params=(…))" to the class, with a function build(context) of its module.'
        )
    params = learner_params(method, backbones)
    learner: Learner = made(params)
    learner.check()
    declaring: tuple[Stage | Model, ...] = (*learner.stages(), learner.model)
    for declares in declaring:
        declares.declared(params)
    return learner


def ready_learner(plan: Plan) -> tuple[Learner, Predictor | None]:
    """The learner of a plan, and the model of one that nothing trains: it is made now, so that weights that are not on
    this machine are missed before any image is read. None of a learner that trains."""
    learner = make_learner(plan)
    return learner, None if learner.stages() else model_of(plan, learner, None)


def model_of(plan: Plan, learner: Learner, artifact: Artifact | None) -> Predictor:
    """The model that a stage of a plan left, or, for a method without stages (artifact None), the method itself."""
    weights = {name: partial(usable_file, own) for name, own in plan.weights.items()}
    return built(learner.model, plan.params, artifact, plan.device, weights)


def describe_model(plan: Plan, learner: Learner) -> Description:
    """How the model of a plan is built and what its values mean, as its record states it."""
    model, weights, features = learner.model, {}, None
    if not learner.stages():
        for name, own in plan.weights.items():
            if name == "method":
                weights[name] = described(own.sha256, plan.method.weights)
            elif name in model.params:
                network = plan.backbones[name]
                weights[name] = described(own.sha256, network.weights, network)
    frozen = next((own.features_of for own in plan.backbones.values() if own.features_of is not None), None)
    if plan.features is not None and frozen is not None:
        features = network_of(frozen)
        weights["features"] = described(plan.features.identity["weights"]["sha256"], frozen.weights, frozen)
    labeled = plan.entries[plan.spec.pair.labeled]
    return Description(
        builder=model.path,
        params=dict(model.declared(plan.params)),
        scale=labeled.native_scale if learner.needs.labels else None,
        short_side=labeled.short_side,
        references=learner.needs.references is True,
        weights=weights,
        features=features,
    )
