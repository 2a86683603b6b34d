"""The datasets' real label files, where this machine has them; they are not ours to pass on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ANNOTATIONS = Path(os.environ.get("SSLIQA_ANNOTATIONS") or Path(__file__).parents[3] / "shared" / "annotations")

needs_annotations = pytest.mark.skipif(
    not ANNOTATIONS.is_dir(),
    reason=f"the datasets' label files are not at {ANNOTATIONS} (SSLIQA_ANNOTATIONS names another folder)",
)
