"""What training costs on this machine, measured in a moment: a network's crops, and a learner's steps around them.

A step of a head on frozen features costs far more than its few products: drawing views, the optimiser, the learner's
own terms. So a learner is tried (`runner.trials`); that also shows how many steps and crops there are where it does not
say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ssliqa_bench.methods.base import Learner
from ssliqa_bench.pixels.features import VIEWS
from ssliqa_bench.runner.sets import LearnerSets
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.trials import Effort, NoiseFeatures, StandIn, Trial, TrialMachine, noise_sets
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.backbones.frozen import FrozenFeatures
from ssliqa_bench.training.quality import build_backbone, read_test_crops
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact

_BATCH, _VECTORS = 8, 64  # crops, or vectors of frozen features, of a measured step
_STEPS, _SHORT = 5, 0.1  # so many where one takes less than this, seconds: other work rarely slows all of them
_MOST = 1000  # images of a side in a trial, so that closed forms are quick
_CLOSED = 1.5  # power of the number of images with which these grow beyond: to read images 1, to solve at most 3


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs.

    Attributes:
        learned, read: seconds per crop: forward, backward and update; forward alone.
        head: arguments of the head on frozen features that stands in for it in a trial.
        alone: whether the network is that head itself, so that a trial holds all that learning from a crop costs.
    """

    learned: float
    read: float
    parameters: int
    head: Mapping[str, Any]
    alone: bool


@dataclass(frozen=True)
class Sides:
    """How many images a run has, and from how many datasets they come; `labels`: the unlabeled ones keep theirs."""

    labeled: int
    unlabeled: int
    datasets: int
    labels: bool = False


def network_cost(built: dict[str, Any], crop: int, settings: Settings) -> NetworkCost:
    """A step of a network with random weights, the fastest of some where it is short, after one to warm up."""
    machine = TrialMachine.ready(settings)
    kind, device = machine.device, torch.device(machine.device)
    with torch.random.fork_rng(devices=[]):
        model = QualityModel(build_backbone(built)).to(device)
        example = model.backbone.example(crop)
        batch = _BATCH if example.dim() == 4 else _VECTORS
        crops = torch.rand(batch, *example.shape[1:], device=device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0)

    def step(learn: bool) -> float:
        began = machine.now()
        with torch.set_grad_enabled(learn), torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
            loss = model(crops)[0].square().mean()
        if learn:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return machine.now() - began

    steps = _STEPS if step(True) < _SHORT else 1
    learned, read = (min(step(learn) for _ in range(steps)) / batch for learn in (True, False))
    if example.dim() != 4:  # to fetch a vector costs more than to pass it through a head
        read = max(read, _reading(model, example.shape[1], crop, machine))
    parameters = sum(p.numel() for p in model.parameters())
    alone = isinstance(model.backbone, FrozenFeatures)
    return NetworkCost(
        learned, read, parameters, built["arguments"] if alone else {"inputs": model.backbone.features}, alone
    )


def training_effort(
    learner: Learner, heads: Mapping[str, Mapping[str, Any]], sides: Sides, settings: Settings, *, alone: bool
) -> Effort:
    """What training takes, from a trial of the first stage, or of all stages of a learner that does not state its work.

    A learner that states it makes as many steps as its crops ask for, each as long as one of its first stage. What else
    depends on the number of images is taken to grow in proportion to it beyond those of a trial, closed forms faster.

    Args:
        heads: arguments of the head that stands in for a network, by parameter.
        alone: these heads are the networks themselves, so that seconds hold what is read in a trial too.
    """
    machine = TrialMachine.ready(settings)
    own = Sides(min(sides.labeled, _MOST), min(sides.unlabeled, _MOST), sides.datasets, sides.labels)
    tried = type(learner)({**learner.params, **{name: StandIn.entry(head) for name, head in heads.items()}})
    width = next(iter(heads.values()))["inputs"]
    sets = noise_sets(tried, width, own.labeled, own.unlabeled, own.datasets, labels_for_unlabeled=own.labels)
    work, small = (learner.work(a.labeled, a.unlabeled) for a in (sides, own))
    stages = tried.stages()
    with torch.random.fork_rng(devices=[]):
        if work is None or small is None:
            found = _all_stages(stages, tried.params, sets, sides, machine)
            return replace(found, read=0.0) if alone else found
        trial = Trial(stages[0], tried.params, sets, {}, machine)
    if not trial.steps:
        seconds = trial.before.seconds * _growth(stages[0], sides) ** _CLOSED
        return Effort(seconds, work.learned, 0.0 if alone else work.read)
    # Of one stage the number of steps is known; a learner may pass a crop several times where it counts one.
    crops = small.learned / trial.steps if len(stages) == 1 else trial.each.learned
    steps = work.learned / crops if crops else trial.steps
    return Effort(steps * trial.each.seconds, work.learned, work.read)


def _all_stages(
    stages: Sequence[Stage], params: Mapping[str, Any], sets: LearnerSets, sides: Sides, machine: TrialMachine
) -> Effort:
    """The sum over all stages; what a stage reads of earlier ones comes from short versions of these."""
    found = Effort()
    made: dict[str, Artifact] = {}
    for stage in stages:
        trial = Trial(stage, params, sets, {name: made[name] for name in stage.inputs}, machine)
        grown = _growth(stage, sides)
        steps = trial.steps * (1 if "epoch_steps" in stage.params else grown)
        found = found.plus(trial.before, grown).plus(trial.each, steps)
        if any(stage.name in later.inputs for later in stages):
            made[stage.name] = trial.shortened()
    return found


def _growth(stage: Stage, sides: Sides) -> float:
    """How many times as many images a stage has as in a trial."""
    counts = []
    if "labeled" in stage.sets:
        counts = [sides.labeled, *([sides.unlabeled] if sides.labels else [])]
    if "unlabeled" in stage.sets:
        counts.append(sides.unlabeled)
    return sum(counts) / max(1, sum(min(count, _MOST) for count in counts))


def _reading(model: QualityModel, width: int, crop: int, machine: TrialMachine) -> float:
    """Seconds per test view of frozen features, of which an image has several, or per image where crop is 0."""
    images, view = NoiseFeatures(width, _VECTORS).all(), View(crop, VIEWS["test"] if crop else 1)
    began = machine.now()
    read_test_crops(model, images, view, torch.device(machine.device))
    return (machine.now() - began) / (_VECTORS * view.crops)
