"""What a learner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.declarations import DeclaredParams, check_top_level
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact, FloatArray, Judgement


@dataclass(frozen=True)
class Needs:
    """What a learner must be given; the runner withholds everything that is not asked for here.

    `labels`: labeled images; without, the method learns nothing. `unlabeled`: an unlabeled side.
    `distribution`, `rating_std`: rating statistics of the labeled images; "where known" is for a learner that does
    without them on a dataset that has none.
    `references`: the pristine image of each image; "training" for a learner that compares images with them while it
    learns and judges images alone. The registry entry says `references` too, so that a run is known by its key.
    """

    labels: bool = True
    unlabeled: bool = False
    distribution: bool | Literal["where known"] = False
    rating_std: bool | Literal["where known"] = False
    references: bool | Literal["training"] = False


@dataclass(frozen=True)
class Work:
    """What training asks of the backbone, in crops: learned from (forward and backward), and only read."""

    learned: int
    read: int = 0


class Predictor(Protocol):
    """A model ready to judge images."""

    n_parameters: int

    def predict(self, images: ImageSet) -> FloatArray:
        """Quality (n,), higher is better. An image's value does not depend on the images beside it."""


@runtime_checkable
class ClassPredictor(Predictor, Protocol):
    """A model that also says which of `n_classes` classes of quality an image belongs to.

    Its quality is on the learner's scale: 0 and 1 are the nominal ends of the scores it learned from.
    """

    n_classes: int

    def judge(self, images: ImageSet) -> Judgement:
        """Quality, as `predict` gives it, and class, between 0 (worst) and `n_classes` − 1, from one look at the
        images."""


@runtime_checkable
class SlowPredictor(Predictor, Protocol):
    """A model that judges images one by one, and slowly: the runner may share them among processes."""

    def remake(self) -> Callable[[], Predictor] | None:
        """A picklable call by which another process makes the same model; None where that would not help."""


@dataclass(frozen=True)
class ModelContext:
    """What a model is built from.

    Attributes:
        artifact: what the stage left; None for a method without stages.
        params: the parameters that the model declares.
        device: where it computes.
        weights: files by parameter name, where no stage left a model; the one that a method comes with is "method".
    """

    artifact: Artifact | None
    params: Mapping[str, Any]
    device: torch.device
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def trained(self) -> Artifact:
        """The artifact of a method that learns.

        Raises:
            InputError: there is none.
        """
        if self.artifact is None:
            raise InputError("There is no model before its stage has run.")
        return self.artifact


@dataclass(frozen=True)
class Model:
    """How a finished model is built: the same way for scoring, for `load_model` and for exports.

    Attributes:
        build: a function at the top level of a module; its code is part of the keys of predictions.
        params: the parameters that the model reads, part of these keys; it receives no others.

    Raises:
        InputError: `build` is a lambda, a partial, a method or a nested function.
    """

    build: Callable[[ModelContext], Predictor]
    params: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_top_level(self.build, "Model, build")

    @property
    def path(self) -> str:
        """The builder as "module:function"."""
        return f"{self.build.__module__}:{self.build.__name__}"

    def declared(self, params: Mapping[str, Any]) -> DeclaredParams:
        """The parameters that it declares, of all those of its method.

        Raises:
            InputError: it declares one that the method does not have.
        """
        return DeclaredParams(params, self.params, f"The model of {self.path}", f"Model({self.build.__name__})")

    def made(
        self,
        params: Mapping[str, Any],
        artifact: Artifact | None,
        device: torch.device,
        weights: Mapping[str, str] | None = None,
    ) -> Predictor:
        """The model itself.

        Args:
            params: of the method, names of backbones replaced by what they stand for.
        """
        return self.build(ModelContext(artifact, self.declared(params), device, weights or {}))


class Learner(ABC):
    """A method: its stages, and the model that the artifact of a stage is.

    Args:
        params: all parameters of the registry entry, resolved; each is one that its declaration accepts.
    """

    needs: ClassVar[Needs] = Needs()
    # How the model is built of what the last stage left, or, for a method without stages, of nothing.
    model: ClassVar[Model]

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = dict(params)

    def check(self) -> None:  # noqa: B027 - most learners have nothing to add
        """Look at what the declarations of single parameters cannot say, before any data is read.

        Raises:
            InputError: parameters that do not go together, or something they name that is not there.
        """

    @abstractmethod
    def stages(self) -> list[Stage]:
        """The stages in the order in which they run; the last one leaves the final model."""

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """What training on so many images of either side takes, for estimates; None where the learner does not say."""
        return None

    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that training builds, by the names under which their parameters are counted; may be none."""
        return {}
