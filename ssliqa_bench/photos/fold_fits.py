"""Training a learner on chosen rows of one's own photographs, without a store: what cross-validation repeats.

The firewall of runs holds here too: a learner receives image sets in the order of their content, scores of the rows
that it trains on, and nothing of the rows that are held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner, Predictor
from ssliqa_bench.models.description import Description
from ssliqa_bench.models.origins import described, network_of
from ssliqa_bench.models.predict import judge
from ssliqa_bench.models.weights import WeightsFile, backbone_weights, usable_file
from ssliqa_bench.pixels.features import Network
from ssliqa_bench.registry.lookup import Registry, ResolvedBackbone, ResolvedMethod
from ssliqa_bench.runner.features import frozen_network
from ssliqa_bench.runner.learners import learner_of
from ssliqa_bench.runner.resolve import learner_params
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.training.images import ImageSet, LabeledSet, PixelSource
from ssliqa_bench.types import Artifact, FloatArray, IntArray, Scale, derive_seed


@dataclass(frozen=True)
class Photographs:
    """One's own photographs, ready to learn from.

    Attributes:
        labeled: where the pixels or features of the images with a score come from.
        score01: their scores (n,) on [0, 1], higher is better.
        groups: what belongs together, n names; never torn between training and test.
        scale: of the native scores.
        unlabeled: the images without a score; None where there are none.
        names: n names of the images with a score, for tables.
    """

    labeled: PixelSource
    score01: FloatArray
    groups: Sequence[str]
    scale: Scale
    unlabeled: PixelSource | None = None
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.score01)


@dataclass(frozen=True)
class Candidate:
    """A learner that may be chosen, with everything that its name stands for.

    Attributes:
        network: the frozen network whose features it takes in place of pixels; None for pixels.
        weights: files of pretrained weights by parameter.
    """

    method: ResolvedMethod
    learner: Learner
    params: Mapping[str, Any]
    backbones: Mapping[str, ResolvedBackbone]
    weights: Mapping[str, WeightsFile] = field(default_factory=dict)
    network: Network | None = None

    @property
    def name(self) -> str:
        """Of the method."""
        return self.method.name

    @property
    def learns_from_unlabeled(self) -> bool:
        """Whether it takes unlabeled images."""
        return self.learner.needs.unlabeled

    @classmethod
    def of(
        cls, name: str, registry: Registry, settings: Settings, recipe: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Candidate:  # fmt: skip
        """Resolve a method by name; weights that it starts from are looked for, and fetched where that is allowed.

        Raises:
            InputError: an unknown name, weights that are missing, or a method that one's own photographs do not serve.
        """
        _require_labels_alone(name, registry)
        method = registry.resolve_method(name, recipe, overrides)
        backbones = registry.backbones_of(method)
        learner = learner_of(method, backbones, registry.search_folders)
        weights = {
            own: found
            for own, backbone in backbones.items()
            if (found := backbone_weights(method, own, backbone, settings.cache_root)) is not None
        }
        network = frozen_network(name, backbones, settings, registry.search_folders)
        return cls(method, learner, learner_params(method, backbones), backbones, weights, network)

    def description(self, scale: Scale, short_side: int | None) -> Description:
        """How its finished model is built, for a model folder."""
        model = self.learner.model
        features, weights = None, {}
        frozen = next((own.features_of for own in self.backbones.values() if own.features_of is not None), None)
        if self.network is not None and frozen is not None:
            features = network_of(frozen)
            weights["features"] = described(self.network.identity["weights"]["sha256"], frozen.weights, frozen)
        return Description(
            builder=model.path,
            params=dict(model.declared(self.params)),
            scale=scale,
            short_side=short_side,
            weights=weights,
            features=features,
        )


def _require_labels_alone(name: str, registry: Registry) -> None:
    """Refuse a method by what it needs, before its recipe is asked for, which metrics do not have."""
    method = registry.resolve_method(name)
    needs = learner_of(method, registry.backbones_of(method), registry.search_folders).needs
    if not needs.labels:
        raise InputError(f"--method {name}: learns nothing; score photographs with it as it is: ssliqa-bench score "
                         f"--model {name} PHOTOS. To train, take auto, or a method of the family "
                         f"regression.")  # fmt: skip
    if needs.references or needs.distribution is True:
        raise InputError(f"--method {name}: needs references or rating distributions, which labels of one's own "
                         f"photographs do not give. Take auto, or a method of the family regression.")  # fmt: skip


def fit(candidate: Candidate, photos: Photographs, rows: IntArray, seed: int, device: str = "cpu") -> Artifact:
    """What a learner's last stage leaves, trained on some rows of the images with a score.

    Unlabeled images with the content of an image that is held out are left out: they would show the test.

    Args:
        rows: of the images that are trained on.
    """
    images, order = ImageSet.by_content([(photos.labeled, int(row)) for row in rows])
    labeled = LabeledSet(images, photos.score01[rows][order])
    unlabeled = _unlabeled(photos, rows) if candidate.learns_from_unlabeled else None
    counts = {"labeled": len(labeled), "unlabeled": 0 if unlabeled is None else len(unlabeled), "sides": 2}
    done: dict[str, Artifact] = {}
    artifact = None
    for stage in candidate.learner.stages():
        artifact = stage.run(
            _context(stage, candidate, labeled, unlabeled, counts, done, derive_seed(seed, "training"), device)
        )
        done[stage.name] = artifact
    assert artifact is not None  # every candidate learns
    return artifact


def predictor(candidate: Candidate, artifact: Artifact, device: str = "cpu") -> Predictor:
    """The model of what `fit` left."""
    return candidate.learner.model.made(candidate.params, artifact, torch.device(device))


def predicted(model: Predictor, source: PixelSource, rows: Sequence[int] | IntArray) -> FloatArray:
    """Predictions (m,) for some rows of a source, on the scale of `score01`."""
    return judge(model, ImageSet([(source, int(row)) for row in rows])).quality


def _unlabeled(photos: Photographs, rows: IntArray) -> ImageSet:
    source = photos.unlabeled
    assert source is not None  # asked for only where there are some
    held_out = set(photos.labeled.hashes) - {photos.labeled.hashes[int(row)] for row in rows}
    kept = [k for k, content in enumerate(source.hashes) if content and content not in held_out]
    if not kept:
        raise InputError("--unlabeled: every image there is also one with a score; expected other photographs.")
    return ImageSet.by_content([(source, k) for k in kept])[0]


def _context(
    stage: Any, candidate: Candidate, labeled: LabeledSet, unlabeled: ImageSet | None, counts: Mapping[str, int],
    done: Mapping[str, Artifact], seed: int, device: str,
) -> Any:  # fmt: skip
    from ssliqa_bench.training.stages import StageContext

    return StageContext(
        name=stage.name,
        labeled=labeled if "labeled" in stage.sets else None,
        unlabeled=unlabeled if "unlabeled" in stage.sets else None,
        validation=None,
        counts={name: counts[name] for name in stage.counts},
        inputs={name: done[name] for name in stage.inputs},
        params=stage.declared(candidate.params),
        settings=stage.settings,
        seed=seed,
        device=torch.device(device),
        precision="float32",
        checkpoints=_NoCheckpoints(),
        report=_Silent(),
        weights={name: usable_file(own) for name, own in candidate.weights.items() if name in stage.params},
    )


class _NoCheckpoints:
    """A fit of seconds keeps nothing on the way."""

    def save(self, state: Artifact) -> None:
        """Nothing."""

    def load(self) -> Artifact | None:
        """Nothing was saved."""
        return None


class _Silent:
    """Many fits in a row: their progress is counted by who repeats them."""

    def start(self, stage: str, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Nothing."""

    def step(self, images: int, loss: float | None) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
