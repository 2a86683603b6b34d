"""Small batches, and the formulae of the rules as plain loops over lists."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def plain() -> ModuleType:
    """The module `plain_matching` beside this file."""
    return _module(Path(__file__).with_name("plain_matching.py"))


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module `made_images` of the tests of training."""
    return _module(Path(__file__).parents[2] / "training" / "made_images.py")
