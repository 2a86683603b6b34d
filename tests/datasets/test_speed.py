"""Reading costs grow with the number of rows, not faster."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from ssliqa_bench.datasets import base


@pytest.fixture(scope="module")
def reading() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "speed" / "reading.py"
    spec = importlib.util.spec_from_file_location("speed_reading", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_four_times_the_rows_take_about_four_times_as_long(
    reading: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Making and removing so many files would take far longer than what is measured.
    monkeypatch.setattr(base, "missing_rows", lambda raw: [])
    entries = [reading.make_dataset(tmp_path, rows, files=False) for rows in (5_000, 20_000)]
    small, large = reading.seconds(tmp_path, entries)
    # A cost that grows with the square of the rows would take sixteen times as long.
    assert large / small < 8
