"""What a stage receives, put together. Its code is part of every stage key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch

from ssliqa_bench.runner.sets import HeldOut, LearnerSets
from ssliqa_bench.training.declarations import DeclaredParams
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.stages import Checkpoints, Reporter, SetName, Stage, StageContext
from ssliqa_bench.types import Artifact, derive_seed


def stage_context(
    stage: Stage,
    sets: LearnerSets,
    inputs: Mapping[str, Artifact],
    params: DeclaredParams,
    weights: Mapping[str, str],
    *,
    seed: int,
    device: str,
    precision: str,
    checkpoints: Checkpoints,
    report: Reporter,
) -> StageContext:
    """What a stage declares, and nothing else.

    Args:
        inputs: artifacts of the earlier stages that it names.
        params: the parameters that it declares.
        weights: files of pretrained weights, by parameter.
        seed: of the run.
        device, precision: where and how it computes.
    """
    return StageContext(
        name=stage.name,
        labeled=_shown(stage, "labeled", sets.labeled),
        unlabeled=_shown(stage, "unlabeled", sets.unlabeled),
        validation=_shown(stage, "validation", sets.validation),
        counts={name: sets.counts[name] for name in stage.counts},
        inputs=inputs,
        params=params,
        settings=stage.settings,
        seed=derive_seed(seed, "training"),
        device=torch.device(device),
        precision=precision,
        checkpoints=checkpoints,
        report=report,
        weights=weights,
    )


_Set = TypeVar("_Set", LabeledSet, ImageSet, HeldOut)


def _shown(stage: Stage, name: SetName, images: _Set | None) -> _Set | None:
    """A set as the stage may see it."""
    if name not in stage.sets or images is None:
        return None
    return images if stage.references else images.without_references()
