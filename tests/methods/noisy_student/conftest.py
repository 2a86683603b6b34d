"""Images in memory, and what a student's stage reads, small enough to train in milliseconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module `made_images` of the tests of training."""
    path = Path(__file__).parents[2] / "training" / "made_images.py"
    spec = importlib.util.spec_from_file_location("made_images", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def params(made: ModuleType) -> dict[str, Any]:
    """All parameters of a student."""
    return {
        "backbone": made.BACKBONE,
        "batch_size": 4,
        "epochs": 3,
        "lr": 1e-2,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "label_mean": None,
        "label_std": None,
        "crop": 13,
        "base_augmentation": True,
        "extra_augmentation": True,
        "colour_strength": 0.1,
        "cutout": "square",
        "cutout_side": 0.2,
        "cutout_probability": 0.5,
        "plateau_factor": 0.5,
        "plateau_patience": 2,
        "plateau_threshold": 1e-4,
        "plateau_floor": 1e-6,
        "test_crops": 1,
    }
