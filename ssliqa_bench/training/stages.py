"""Stages: the named steps of a learner, each leaving one artifact.

A stage is a plain function of what it declares. It receives the sets, inputs, parameters and counts that it
names and nothing else, so that its artifact can be found again under a key of exactly those, by whatever
learner declares the same stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import torch

from ssliqa_bench.training.declarations import DeclaredParams, check_top_level
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.types import Artifact, FloatArray

SetName = Literal["labeled", "unlabeled", "validation"]
CountName = Literal["labeled", "unlabeled", "sides"]


class Validation(Protocol):
    """Images held out of the labeled ones, whose scores stay with the runner."""

    images: ImageSet

    def srcc(self, predictions: FloatArray) -> float | None:
        """SRCC of predictions for `images`, in their order; None where it is undefined."""

    def plcc(self, predictions: FloatArray) -> float | None:
        """As `srcc`, Pearson's correlation."""

    def rmse(self, predictions: FloatArray) -> float | None:
        """Root mean squared error on the learner's scale."""

    def without_references(self) -> Validation:
        """The same with the images alone."""


class Checkpoints(Protocol):
    """The last finished epoch of a stage, kept until the stage is done."""

    def save(self, state: Artifact) -> None:
        """Replace the checkpoint; whole or not at all."""

    def load(self) -> Artifact | None:
        """The checkpoint, or None where there is none (or a damaged one, which is set aside and said)."""


class Reporter(Protocol):
    """Where a stage says how far it is."""

    def start(self, stage: str, epochs: int, steps_per_epoch: int, done: int) -> None:
        """A phase of training begins, `done` epochs of it already behind."""

    def step(self, images: int, loss: float | None) -> None:
        """One optimiser step over so many images; the loss where it was looked at."""

    def say(self, text: str) -> None:
        """One line for the person who waits."""

    def note(self, text: str) -> None:
        """One sentence that belongs to the result: said to the person who waits, and kept in the record."""


@dataclass(frozen=True)
class StageContext:
    """What a stage receives.

    Attributes:
        name: the stage's own name.
        labeled, unlabeled, validation: the sets that it declares, else None.
        counts: numbers of images the pair's sides give: {"labeled": n, "unlabeled": m}, and of the datasets that
            these come from ("sides"), as far as declared.
        inputs: artifacts of the earlier stages that it declares, by name.
        params: the parameters that it declares.
        settings: what its learner fixed when it made the stage, for example the number of the block.
        seed: of training.
        device, precision: where and how it computes; precision is "float32" or "bfloat16".
        weights: files of pretrained weights by parameter name, empty for random initial weights.
    """

    name: str
    labeled: LabeledSet | None
    unlabeled: ImageSet | None
    validation: Validation | None
    counts: Mapping[str, int]
    inputs: Mapping[str, Artifact]
    params: Mapping[str, Any]
    settings: Mapping[str, Any]
    seed: int
    device: torch.device
    precision: str
    checkpoints: Checkpoints
    report: Reporter
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One step of a learner.

    Attributes:
        name: unique within the learner: `initial`, `phase-1`, `teacher`, `student`.
        run: a function at the top level of a module; that module's code is part of the stage's key.
        sets, inputs, params, counts: what it reads; it gets nothing else, and to read another parameter is an error.
        settings: constants of this stage, part of its key.
        references: whether its sets come with the pristine image of each image; else with the images alone.
        predicts: whether its artifact is a model whose predictions are worth recording.

    Raises:
        InputError: `run` is a lambda, a partial, a method or a nested function.
    """

    name: str
    run: Callable[[StageContext], Artifact]
    sets: tuple[SetName, ...] = ()
    inputs: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    counts: tuple[CountName, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    predicts: bool = True
    references: bool = False

    def __post_init__(self) -> None:
        check_top_level(self.run, f'Stage "{self.name}", run')

    def labels_only(
        self, run: Callable[[StageContext], Artifact], params: tuple[str, ...], counts: tuple[CountName, ...] = ()
    ) -> Stage:
        """The stage of a comparator: the same name, inputs and settings, so that both draw alike, without the unlabeled
        side.

        Args:
            run, params, counts: its own.
        """
        sets = tuple(name for name in self.sets if name != "unlabeled")
        return replace(self, run=run, sets=sets, params=params, counts=counts)

    @property
    def path(self) -> str:
        """Its function as "module:name"."""
        return f"{self.run.__module__}:{self.run.__name__}"

    def declared(self, params: Mapping[str, Any]) -> DeclaredParams:
        """The parameters that it declares, of all those of its method.

        Raises:
            InputError: it declares one that the method does not have.
        """
        return DeclaredParams(params, self.params, f'Stage "{self.name}" ({self.path})', f'Stage("{self.name}", …)')
