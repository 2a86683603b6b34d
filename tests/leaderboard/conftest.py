"""Made-up records, one module for all tests of the boards."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module `made_facts` beside this file: record, demo_suite, metrics."""
    spec = importlib.util.spec_from_file_location("made_facts", Path(__file__).with_name("made_facts.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
