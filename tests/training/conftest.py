"""Images in memory, one module for the tests of training and of learners."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module `made_images` of the tests of training."""
    path = Path(__file__).parents[1] / "training" / "made_images.py"
    spec = importlib.util.spec_from_file_location("made_images", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
