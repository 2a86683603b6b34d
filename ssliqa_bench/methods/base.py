"""What a learner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import nn

from ssliqa_bench.errors import InputError
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

    Its quality stands on the learner's scale: 0 and 1 are the nominal ends of the scores it learned from.
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


class Learner(ABC):
    """A method: its stages, and the model that the artifact of a stage is.

    Args:
        params: all parameters of the registry entry, resolved.

    Raises:
        InputError: a parameter lies below its smallest value, or is no number where it has one.
    """

    needs: ClassVar[Needs] = Needs()
    # Parameters that decide how a finished model looks at an image; they are part of a prediction's key.
    predict_params: ClassVar[tuple[str, ...]] = ()
    # Smallest values of parameters; where that is written as an int, the parameter is a whole number.
    least: ClassVar[Mapping[str, float]] = {}

    def __init__(self, params: Mapping[str, Any]) -> None:
        for name, least in self.least.items():
            value = params.get(name)
            if value is not None and (not isinstance(value, int | type(least)) or value < least):
                kind = "a whole number" if isinstance(least, int) else "a number"
                raise InputError(f"Parameter {name}: got {value}; expected {kind}, {least:g} or more.")
        self.params = dict(params)

    @abstractmethod
    def stages(self) -> list[Stage]:
        """The stages in the order in which they run; the last one leaves the final model."""

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """What training on so many images of either side takes, for estimates; None where the learner does not say."""
        return None

    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that training builds, by the names under which their parameters are counted; may be none."""
        return {}

    @abstractmethod
    def predictor(self, artifact: Artifact | None, device: torch.device) -> Predictor:
        """The model that a stage left, or, for a method without stages (artifact None), the method itself."""
