"""Learners on features in memory, small enough to train in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.methods.base import Learner
from ssliqa_bench.pixels.features import VIEWS, Features
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.types import Artifact
from tests.training import made_images

REGISTRY = load_registry()
WIDTH = 6
# A head without dropout, so that passes of unlabeled images leave the random numbers of labeled ones alone.
HEAD = {
    "class": "ssliqa_bench.training.backbones.frozen:FrozenFeatures",
    "arguments": {"inputs": WIDTH, "width": 5},
}
SMALL = {"backbone": HEAD, "crop": 16, "test_crops": 2, "batch_size": 4, "epochs": 3, "epoch_steps": 4, "lr": 0.02}


def frozen_images(n: int, seed: int, shift: float = 0.0) -> ImageSet:
    """Images known by random features of their views, those of one image alike."""
    random = np.random.default_rng(seed)
    views = sum(VIEWS.values())
    values: NDArray[Any] = random.normal(shift, 1, (n, 1, WIDTH)) + random.normal(0, 0.2, (n, views, WIDTH))
    hashes = tuple(f"{seed:032d}{k:032d}" for k in range(n))
    source = Features(hashes, {}, ((9, 9),) * n, "network", tuple(range(n)), values.astype(np.float16))
    return ImageSet((source, k) for k in range(n))


def frozen_labeled(n: int, seed: int = 0) -> LabeledSet:
    """Such images with scores that follow their first feature."""
    images = frozen_images(n, seed)
    first = np.array([float(images.views(k, "whole")[0, 0]) for k in range(n)])
    return LabeledSet(images, 0.5 + 0.15 * np.tanh(first))


def make_learner(name: str, **params: Any) -> Learner:
    """A learner with its recipe `check`, small, on frozen features unless another backbone is given."""
    resolved = REGISTRY.resolve_method(name, "check")
    known = {key: value for key, value in {**SMALL, **params}.items() if key in resolved.params}
    learner: Learner = load_object(resolved.class_path)({**resolved.params, **known})
    return learner


def run(learner: Learner, **fields: Any) -> dict[str, Artifact]:
    """All stages of a learner and their artifacts; each stage is handed what it declares.

    `checkpoints` holds them by the name of the stage.
    """
    kept = fields.pop("checkpoints", {})
    given = {"labeled": frozen_labeled(9), "unlabeled": frozen_images(14, 5), "sides": 2, **fields}
    counts = {"labeled": 9, "unlabeled": 14, "sides": given.pop("sides")}
    others = {name: value for name, value in given.items() if name not in ("labeled", "unlabeled")}
    found: dict[str, Artifact] = {}
    for stage in learner.stages():
        context = made_images.context(
            stage.name,
            **{name: given[name] for name in ("labeled", "unlabeled") if name in stage.sets},
            counts={name: counts[name] for name in stage.counts},
            inputs={name: found[name] for name in stage.inputs},
            settings=stage.settings,
            checkpoints=kept.get(stage.name) or made_images.Checkpoints(),
            **others,
        )
        found[stage.name] = stage.run(replace(context, params=stage.declared(learner.params)))
    return found
