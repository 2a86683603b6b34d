"""What a parameter names as `module:Name`: the one place of keyed code that imports by a name.

What is named so is part of the key of whoever receives the parameter: all code behind it, and which definition it is.
"""

from __future__ import annotations

import importlib
from typing import Any


def named(path: str) -> Any:
    """The class or function `module:Name`; whoever planned the run has found it before."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
