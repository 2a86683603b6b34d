"""Small datasets on disk, and the demo sets made once per session."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import DatasetEntry


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder that the whole test session shares."""
    return Path(os.environ.get("SSLIQA_CACHE") or tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def demo_tables(demo_cache: Path) -> dict[str, Table]:
    """Both demo sets as the registry describes them."""
    registry = load_registry()
    return {
        name: load_table(registry.dataset(name), Path("nowhere"), demo_cache) for name in ("demo-syn", "demo-wild")
    }


@pytest.fixture
def make_entry() -> Callable[..., DatasetEntry]:
    """A registry entry named `toy`, scores 0 to 10, with some fields replaced."""

    def make(**fields: Any) -> DatasetEntry:
        basis = {"name": "toy", "about": {"title": "Toy"}, "kind": "authentic", "scale": [0, 10],
                 "direction": "higher_is_better"}
        return DatasetEntry.model_validate({**basis, **fields})

    return make


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write `labels.csv` from rows of text under a data root, with a small image for every name; gives the root."""

    def make(header: Sequence[str], rows: Sequence[Sequence[str]], *, images: bool = True, end: str = "\n",
             start: bytes = b"") -> Path:
        folder = tmp_path / "data" / "toy"
        (folder / "images").mkdir(parents=True, exist_ok=True)
        with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as handle:
            csv.writer(handle, lineterminator=end).writerows([header, *rows])
        if start:
            (folder / "labels.csv").write_bytes(start + (folder / "labels.csv").read_bytes())
        if images:
            for k, row in enumerate(rows):
                rng = np.random.default_rng(k)
                pixels = rng.integers(0, 256, (5 + k % 3, 7, 3), dtype=np.uint8)
                if row[0]:
                    Image.fromarray(pixels).save(folder / "images" / row[0])
        return tmp_path / "data"

    return make
