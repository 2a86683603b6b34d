"""What the rules of all algorithms are written in: batch, state, terms, and a few functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch.nn import functional

from ssliqa_bench.training.loop import Terms

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class BatchSizes:
    """Numbers that the state of a rule depends on.

    Attributes:
        levels: C.
        labels: (K,) levels of all labeled images.
        batch, unlabeled: B labeled and U unlabeled images in a step.
    """

    levels: int
    labels: torch.Tensor
    batch: int
    unlabeled: int


@dataclass(frozen=True)
class LevelBatch:
    """One step's outputs of the network; what a rule does not need may be None.

    Attributes:
        it: steps made before this one.
        labels: (B,) levels of the labeled images.
        labeled_logits, weak_logits, strong_logits: (B, C), (U, C), (U, C).
        labeled_embeddings, weak_embeddings, strong_embeddings, second_embeddings: unit vectors, the last those of
            the second strong view.
        rows: (B,) positions of the labeled images in their set.
        weak_distances, strong_distances: (U, F) outputs of the distance head.
        rotation_logits: (4R, 4), the R images turned by 0°, then all by 90°, 180° and 270°.
        label_shares: (B, C) what the labeled images teach in place of their one level.
        label_shift: (C,) added to the labeled logits in the supervised term alone.
        strong_labeled_logits: (B, C) of strong views of the labeled images.
    """

    it: int
    labels: torch.Tensor
    labeled_logits: torch.Tensor
    weak_logits: torch.Tensor | None = None
    strong_logits: torch.Tensor | None = None
    labeled_embeddings: torch.Tensor | None = None
    weak_embeddings: torch.Tensor | None = None
    strong_embeddings: torch.Tensor | None = None
    second_embeddings: torch.Tensor | None = None
    rows: torch.Tensor | None = None
    weak_distances: torch.Tensor | None = None
    strong_distances: torch.Tensor | None = None
    rotation_logits: torch.Tensor | None = None
    label_shares: torch.Tensor | None = None
    label_shift: torch.Tensor | None = None
    strong_labeled_logits: torch.Tensor | None = None


class Rule(Protocol):
    """An algorithm.

    Attributes:
        embeds: whether it asks for embeddings of all views.
        strong_views: how many strong views of an unlabeled image it asks for.
        distances, rotates: whether it asks for the outputs of these heads.
        averaged_teacher: whether weak outputs and labeled embeddings come from the averaged network.
        strong_labeled: whether a step includes strong views of the labeled images.
    """

    embeds: ClassVar[bool]
    strong_views: ClassVar[int]
    distances: ClassVar[bool]

    @property
    def rotates(self) -> bool:
        """Whether a step includes turned images."""

    @property
    def averaged_teacher(self) -> bool:
        """Whether the averaged network teaches."""

    @property
    def strong_labeled(self) -> bool:
        """Whether labeled images are also shown in strong views."""

    def start(self, sizes: BatchSizes, random: torch.Generator) -> State:
        """The state before the first step."""

    def step(self, state: State, batch: LevelBatch) -> tuple[Terms, State]:
        """Terms of one batch and the state after it."""


class PlainRule:
    """What most algorithms ask for: logits of one strong view, and no state."""

    embeds: ClassVar[bool] = False
    strong_views: ClassVar[int] = 1
    distances: ClassVar[bool] = False

    @property
    def rotates(self) -> bool:
        """No turned images."""
        return False

    @property
    def averaged_teacher(self) -> bool:
        """The network in training teaches itself."""
        return False

    @property
    def strong_labeled(self) -> bool:
        """Labeled images are shown in weak views alone."""
        return False

    def start(self, sizes: BatchSizes, random: torch.Generator) -> State:
        """Nothing is remembered."""
        return {}


def wide(values: torch.Tensor) -> torch.Tensor:
    """Float32 in place of half precisions; float32 and float64 as they are."""
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


def shares_of(logits: torch.Tensor) -> torch.Tensor:
    """Softmax of logits (n, C), cut off from their gradient."""
    return torch.softmax(wide(logits.detach()), dim=1)


def cross_entropy(target: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """H(t, z) = −Σ_c t_c log softmax(z)_c, shape (n,); `target` holds levels (n,) or distributions (n, C)."""
    logs = functional.log_softmax(wide(logits), dim=1)
    if target.dim() == 1:
        return -logs.gather(1, target[:, None])[:, 0]
    return -(target.to(logs.dtype) * logs).sum(1)


def supervised_loss(batch: LevelBatch) -> torch.Tensor:
    """L_x: mean cross-entropy of the labeled images, over their weak views and, where there are any, strong ones."""
    views = [logits for logits in (batch.labeled_logits, batch.strong_labeled_logits) if logits is not None]
    target = batch.labels if batch.label_shares is None else batch.label_shares
    shifted = views if batch.label_shift is None else [wide(logits) + batch.label_shift for logits in views]
    losses = [cross_entropy(target, logits).mean() for logits in shifted]
    return losses[0] if len(losses) == 1 else torch.stack(losses).mean()


def reaches(values: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
    """M: 1 where a value reaches its threshold, else 0, in the type of the values."""
    return (values >= threshold).to(values.dtype)


def masked_loss(mask: torch.Tensor, target: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """L_u: the mean over all unlabeled images, those that are masked out included."""
    losses = cross_entropy(target, logits)
    return (mask.to(losses.dtype) * losses).mean()


def moved(old: torch.Tensor, new: torch.Tensor, decay: float) -> torch.Tensor:
    """One step of an exponential moving average."""
    return decay * old + (1 - decay) * new


def cut_off(state: State) -> State:
    """The state without a gradient: nothing that is remembered has one."""
    return {name: value.detach() for name, value in state.items()}
