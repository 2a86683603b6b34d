"""Small networks, and pairs of images and references in memory, for tests of full-reference learners."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ssliqa_bench.training.images import ImageSet, LabeledSet

# A filter bank of cells of 4 pixels and a network of 16 numbers a token: trains in milliseconds.
PARAMS: dict[str, Any] = {
    "extractor_backbone": {
        "class": "ssliqa_bench.training.extractors.filterbank:FilterBank",
        "arguments": {"cell": 4, "scales": 2},
    },
    "width": 16,
    "heads": 4,
    "feedforward": 32,
    "transformer_feedforward": 48,
    "head_width": 8,
    "fr_dropout": 0.1,
    "grid": 4,
    "fr_crop": 16,
    "fr_rotation": 180,
    "fr_test_crops": "ten",
    "fr_batch_size": 4,
    "fr_epochs": 3,
    "fr_lr": 1e-3,
    "fr_average_epochs": 2,
    "fr_batch_norm": "momentum",
    "label_mean": None,
    "label_std": None,
}


@pytest.fixture
def params() -> dict[str, Any]:
    """Parameters of a learner that trains in milliseconds."""
    return dict(PARAMS)


@pytest.fixture
def pairs(made: ModuleType) -> Callable[..., LabeledSet]:
    """Makes n images of noise of growing strength upon few smooth references, with scores that fall with it."""

    def make(n: int = 10, references: int = 3, height: int = 22, width: int = 26) -> LabeledSet:
        rng = np.random.default_rng(5)
        y, x = np.mgrid[:height, :width]
        smooth = [128 + 60 * np.sin(x / (3 + k) + k)[..., None] * np.cos(y[..., None] / 4 + np.arange(3)) for k in
                  range(references)]  # fmt: skip
        pristine = made.Memory([picture.clip(0, 255) for picture in smooth])
        strength = 2 + 40 * np.arange(n) / n
        distorted = made.Memory(
            [(smooth[k % references] + rng.normal(0, strength[k], (height, width, 3))).clip(0, 255) for k in range(n)]
        )
        images = ImageSet([(distorted, k) for k in range(n)], [(pristine, k % references) for k in range(n)])
        return LabeledSet(images, np.linspace(0.9, 0.1, n))

    return make
