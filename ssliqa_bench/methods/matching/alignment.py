"""Distribution alignment: predictions rescaled so that their running mean moves towards a target distribution.

DA(p)_c ∝ p_c (π_c + ε) / (m_c + ε), renormalised per image, with target π, running marginal m and ε = 1e-6; the
marginal always includes the present batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ssliqa_bench.methods.matching.parts import BatchSizes, State, moved

EPSILON = 1e-6


def aligned(shares: torch.Tensor, target: torch.Tensor, marginal: torch.Tensor) -> torch.Tensor:
    """DA(p) of predictions (n, C)."""
    scaled = shares * (target + EPSILON) / (marginal + EPSILON)
    return scaled / scaled.sum(1, keepdim=True)


@dataclass(frozen=True)
class MovingMean:
    """m ← a·m + (1−a)·mean, from the first mean on, or from `first` in every entry where that is given."""

    decay: float
    first: float | None = None

    def start(self, levels: int, name: str) -> State:
        """The state of one mean."""
        value = torch.full((levels,), 0.0 if self.first is None else self.first, dtype=torch.float32)
        return {name: value, f"{name}_seen": torch.zeros((), dtype=torch.int64)}

    def update(self, state: State, name: str, mean: torch.Tensor) -> tuple[torch.Tensor, State]:
        """The mean with one more batch in it, and the state after it."""
        value, seen = moved(state[name], mean, self.decay), state[f"{name}_seen"]
        if self.first is None:
            value = torch.where(seen == 0, mean, value)
        return value, {name: value, f"{name}_seen": seen + 1}


@dataclass(frozen=True)
class Window:
    """The mean over a ring of the last `length` batch means, which all start at `first`.

    Empty slots of zeros count: the scale cancels when predictions are renormalised, except against ε.
    """

    length: int
    first: float = 0.0

    def start(self, levels: int, name: str) -> State:
        """The state of one ring."""
        ring = torch.full((self.length, levels), self.first, dtype=torch.float32)
        return {name: ring, f"{name}_at": torch.zeros((), dtype=torch.int64)}

    def update(self, state: State, name: str, mean: torch.Tensor) -> tuple[torch.Tensor, State]:
        """The mean over the ring with one more batch in it, and the state after it."""
        at = state[f"{name}_at"]
        ring = state[name].to(mean.dtype).index_copy(0, at.reshape(1), mean[None])
        return ring.mean(0), {name: ring, f"{name}_at": (at + 1) % self.length}


@dataclass(frozen=True)
class Alignment:
    """An alignment with its estimators.

    Args:
        target: `uniform`; `labeled`, the level frequencies of all labeled images with one more per level; `model`,
            the running mean of the labeled batches' predictions; or `none`, which leaves predictions as they are.
        marginal: estimator of the mean prediction for unlabeled images.
        labeled: that for labeled ones, where they are the target.
    """

    target: str
    marginal: MovingMean | Window
    labeled: MovingMean | Window

    def start(self, sizes: BatchSizes) -> State:
        """The state before the first batch."""
        if self.target == "none":
            return {}
        state = self.marginal.start(sizes.levels, "marginal")
        if self.target == "model":
            return {**state, **self.labeled.start(sizes.levels, "expected")}
        counts = torch.ones(sizes.levels)
        if self.target == "labeled":
            counts = counts + torch.bincount(sizes.labels.cpu(), minlength=sizes.levels)
        return {**state, "expected": counts / counts.sum()}

    def apply(self, state: State, shares: torch.Tensor, of_labeled: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Aligned predictions (U, C) for unlabeled images, and the entries of the state that changed.

        Args:
            shares: predictions (U, C) for the unlabeled images of the batch.
            of_labeled: predictions (B, C) for its labeled images.
        """
        if self.target == "none":
            return shares, {}
        marginal, changed = self.marginal.update(state, "marginal", shares.mean(0))
        target = state["expected"]
        if self.target == "model":
            target, more = self.labeled.update(state, "expected", of_labeled.mean(0))
            changed = {**changed, **more}
        return aligned(shares, target, marginal), changed
