"""Images in memory, and what a stage is handed, for tests of training and of learners: nothing is read from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact

# A network that trains in milliseconds and drops features, so that random numbers of training matter.
BACKBONE = {
    "class": "ssliqa_bench.training.backbones.cnniqa:CNNIQA",
    "arguments": {"maps": 3, "width": 6},
}


class Memory:
    """Pixels in memory."""

    def __init__(self, pictures: Sequence[np.ndarray]) -> None:
        self.pictures = [np.ascontiguousarray(picture, dtype=np.uint8) for picture in pictures]
        self.hashes = [hashlib.sha256(bytes(p.shape) + p.tobytes()).hexdigest() for p in self.pictures]
        self.read: list[int] = []

    def image(self, row: int) -> np.ndarray:
        """The image of a row; notes that it was read."""
        self.read.append(row)
        return self.pictures[row]


def noise(n: int, height: int = 18, width: int = 20, seed: int = 0) -> Memory:
    """Images of noise whose strength grows with the row."""
    rng = np.random.default_rng(seed)
    return Memory([(128 + rng.normal(0, 4 + 4 * k, (height, width, 3))).clip(0, 255) for k in range(n)])


def image_set(source: Memory, rows: Sequence[int] | None = None) -> ImageSet:
    """Rows of a source as an image set, in the order given."""
    return ImageSet((source, row) for row in (range(len(source.pictures)) if rows is None else rows))


def labeled_set(source: Memory, seed: int = 0) -> LabeledSet:
    """All images of a source with scores in [0, 1] that fall with the row, and a little noise."""
    n = len(source.pictures)
    scores = np.linspace(0.9, 0.1, n) + np.random.default_rng(seed).uniform(-0.05, 0.05, n)
    return LabeledSet(image_set(source), scores)


class Stopped(BaseException):
    """Stands for a kill."""


class Checkpoints:
    """Keeps checkpoints in memory; dies right after the one of epoch `stop`."""

    def __init__(self, stop: int | None = None, state: Artifact | None = None) -> None:
        self.stop = stop
        self.state = state
        self.epochs: list[int] = []

    def save(self, state: Artifact) -> None:
        self.state = state
        self.epochs.append(state.meta["epoch"])
        if state.meta["epoch"] == self.stop:
            raise Stopped

    def load(self) -> Artifact | None:
        return self.state


class Report:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.starts: list[tuple[Any, ...]] = []
        self.steps: list[tuple[int, float | None]] = []
        self.lines: list[str] = []

    def start(self, *words: Any) -> None:
        self.starts.append(words)

    def step(self, images: int, loss: float | None) -> None:
        self.steps.append((images, loss))

    def say(self, text: str) -> None:
        self.lines.append(text)

    def note(self, text: str) -> None:
        self.lines.append(text)


def context(name: str = "initial", **fields: Any) -> StageContext:
    """What a stage is handed; `params` are merged over a small set that trains in milliseconds."""
    params = {
        "backbone": BACKBONE,
        "crop": 13,
        "crops": 2,
        "batch_size": 4,
        "initial_flip": False,
        "smooth_l1_beta": 1.0,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "epochs": 2,
        "warmup_epochs": 0,
        "lr": 1e-2,
        "lr_step": 0,
        "lr_factor": 0.1,
        **fields.pop("params", {}),
    }
    given: dict[str, Any] = {
        "labeled": None,
        "unlabeled": None,
        "validation": None,
        "counts": {},
        "inputs": {},
        "settings": {},
        "seed": 7,
        "device": torch.device("cpu"),
        "precision": "float32",
        "checkpoints": Checkpoints(),
        "report": Report(),
        **fields,
    }
    return StageContext(name=name, params=params, **given)
