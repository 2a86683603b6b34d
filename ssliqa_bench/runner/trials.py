"""A stage tried for some steps on noise: how many steps and crops it asks for, and what a step takes.

Its sets are features of no image, and heads on frozen features stand in for its networks, so that a trial of any
learner takes a moment.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from ssliqa_bench.methods.base import Learner
from ssliqa_bench.pixels.features import VIEWS
from ssliqa_bench.runner.devices import device_kind, prepare_process
from ssliqa_bench.runner.sets import LearnerSets
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.stage_context import stage_context
from ssliqa_bench.training.backbones.frozen import FrozenFeatures
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact

_FIRST, _TIMED = 3, 10  # steps that set the optimiser up, and steps that are timed at least
_EPOCH = 60  # steps of an epoch that is timed whole, with its checkpoint; to one of more the checkpoint adds little
_PATIENCE = 2.0  # seconds after which fewer steps do
_FEW = 200  # steps of a stage that is run for its artifact alone, at most
_SHORT = 0.1  # seconds; what takes less is repeated, since the first time also sets libraries up
_ROWS = 1024  # different vectors of noise
_TEST_VIEWS = 100

Clock = Callable[[], float]


@dataclass(frozen=True)
class TrialMachine:
    """Where a trial runs, and the clock that measures it."""

    device: str
    clock: Clock

    @classmethod
    def ready(cls, settings: Settings) -> TrialMachine:
        """This process, made ready. Where one thread computes, processor time is taken: other work does not count."""
        kind = device_kind(settings.device)
        prepare_process(kind, settings.threads)
        alone = kind == "cpu" and settings.threads == 1
        return cls(kind, time.process_time if alone else time.perf_counter)

    def now(self) -> float:
        """Seconds, once the device has done what it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return self.clock()


@dataclass(frozen=True)
class Effort:
    """What training takes.

    Attributes:
        seconds: of everything but networks that heads stand in for.
        learned, read: crops that networks learn from, and crops that they only read.
    """

    seconds: float = 0.0
    learned: float = 0.0
    read: float = 0.0

    def plus(self, other: Effort, times: float) -> Effort:
        """Both, the other one so many times."""
        return Effort(
            self.seconds + times * other.seconds, self.learned + times * other.learned, self.read + times * other.read
        )


class StandIn(FrozenFeatures):
    """The head of a trial; it counts the crops that pass, by whether they are learned from."""

    passed: ClassVar[Counter[bool]] = Counter()

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """As the head itself."""
        StandIn.passed[torch.is_grad_enabled()] += len(crops)
        return super().forward(crops)

    @classmethod
    def entry(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """As parameters name a network."""
        return {"class": f"{cls.__module__}:{cls.__name__}", "arguments": dict(arguments)}


class _Enough(RuntimeError):
    """A trial has seen what it looks for."""


class Trial:
    """A stage, run until it has made some steps; one that trains in no loop is run to its end.

    Attributes:
        steps: of the stage in all; 0 where it has none.
        before: what is done before the first step; where there is none, all that is done.
        each: what a step takes.
    """

    def __init__(
        self, stage: Stage, params: Mapping[str, Any], sets: LearnerSets, inputs: Mapping[str, Artifact],
        machine: TrialMachine,
    ) -> None:  # fmt: skip
        self._stage, self._params, self._sets, self._inputs = stage, params, sets, inputs
        self._machine = machine
        self.steps = self._made = self._most = 0
        self._patience = _PATIENCE
        self.before = self.each = Effort()
        self._whole()
        if not self.steps and self.before.seconds < _SHORT:
            self._whole()

    def shortened(self) -> Artifact:
        """What the stage leaves after as few steps as its parameters allow."""
        short = {name: 1 for name in self._stage.params if name == "epoch_steps" or name.endswith("epochs")}
        self._most, self._patience = _FEW, math.inf
        return self._run({**self._params, **short})

    def start(self, stage: str, epochs: int, steps_per_epoch: int, done: int) -> None:
        """A training begins."""
        if not self.steps:
            self.steps = epochs * steps_per_epoch
            self.before = self._since()
            if steps_per_epoch <= _EPOCH:
                self._most = max(self._most, _FIRST + math.ceil(_TIMED / steps_per_epoch) * steps_per_epoch)
            self._mark()

    def step(self, images: int, loss: float | None) -> None:
        """A step is made."""
        self._made += 1
        first = min(_FIRST, self.steps // 2)
        if self._made == first:
            self._mark()
        elif self._made > first:
            self.each = Effort().plus(self._since(), 1 / (self._made - first))
            if self._made == self._most or self._machine.clock() - self._began > self._patience:
                raise _Enough

    def say(self, text: str) -> None:
        """Nobody waits for a trial."""

    def note(self, text: str) -> None:
        """Nothing comes of a trial."""

    def save(self, state: Artifact) -> None:
        """Nothing is kept; a checkpoint costs what it does elsewhere, but for the disk."""
        hashlib.sha256(save({name: np.asarray(value, order="C") for name, value in state.tensors.items()})).digest()

    def load(self) -> None:
        """There is nothing to resume."""

    def _whole(self) -> None:
        try:
            self._most = _FIRST + _TIMED
            self._run(self._params)
        except _Enough:
            return
        if not self.steps:
            self.before = self._since()

    def _run(self, params: Mapping[str, Any]) -> Artifact:
        self._made = 0
        device = self._machine.device
        context = stage_context(
            self._stage, self._sets, self._inputs, self._stage.declared(params), {}, seed=0, device=device,
            precision="bfloat16" if device == "cuda" else "float32", checkpoints=self, report=self,
        )  # fmt: skip
        self._mark()
        return self._stage.run(context)

    def _mark(self) -> None:
        self._began, self._passed = self._machine.now(), StandIn.passed.copy()

    def _since(self) -> Effort:
        learned, read = (StandIn.passed[learn] - self._passed[learn] for learn in (True, False))
        return Effort(self._machine.now() - self._began, learned, read)


class NoiseFeatures:
    """Features of no image, a source of image sets.

    Args:
        width: of a vector.
        count: of images.
        first: number of the first one among all noise.
    """

    def __init__(self, width: int, count: int, first: int = 0) -> None:
        self.hashes = tuple(f"{first + row:064x}" for row in range(count))
        self._first = first
        self._values = np.random.default_rng(0).random((_ROWS, width), dtype=np.float32).astype(np.float16)

    def image(self, row: int) -> NDArray[np.uint8]:
        """Refused: nothing is tried on pixels."""
        raise ValueError("Noise has features alone.")

    def views(self, row: int, kind: str) -> NDArray[np.float16]:
        """As many views as are kept of a real image; of test views more, as a learner on pixels may ask for them."""
        count = _TEST_VIEWS if kind == "test" else VIEWS[kind]
        first = (self._first + row) % (_ROWS - count)
        return self._values[first : first + count]

    def all(self) -> ImageSet:
        """All of its images."""
        return ImageSet((self, row) for row in range(len(self.hashes)))


def noise_sets(
    learner: Learner, width: int, labeled: int, unlabeled: int, datasets: int, *, labels_for_unlabeled: bool
) -> LearnerSets:
    """Sets of a run with noise in the place of images, scores and ratings.

    Args:
        width: of a vector of features.
        datasets: number of those that the images come from.
        labels_for_unlabeled: as for `build_sets`.
    """
    count = labeled + (unlabeled if labels_for_unlabeled else 0)
    random = np.random.default_rng(0)
    told = {}
    if learner.needs.distribution:
        told["distribution"] = random.dirichlet(np.ones(int(learner.params.get("levels", 5))), count)
    if learner.needs.rating_std:
        told["rating_std"] = np.full(count, 0.1)
    counts = {"labeled": labeled, "unlabeled": unlabeled, "sides": datasets}
    images = LabeledSet(NoiseFeatures(width, count).all(), random.random(count), **told)
    return LearnerSets(images, NoiseFeatures(width, unlabeled, count).all(), None, counts)
