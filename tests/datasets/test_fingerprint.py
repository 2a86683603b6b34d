"""The fingerprint changes with bytes, names and scores, and with nothing else."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import fingerprint
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError


@pytest.fixture
def table(make_entry: Callable, make_folder: Callable, tmp_path: Path) -> Table:
    root = make_folder(["image", "score"], [["a.png", "1"], ["b.png", "2"], ["c.png", "3"]])
    return load_table(make_entry(), root, tmp_path)


def test_order_and_place_do_not_matter(table: Table, tmp_path: Path) -> None:
    before = fingerprint(table, tmp_path)
    assert len(before) == 64
    assert fingerprint(table.take([2, 0, 1]), tmp_path) == before
    moved = tmp_path / "moved"
    os.rename(Path(table.path[0]).parent, moved)
    elsewhere = dataclasses.replace(table, path=tuple(str(moved / name) for name in table.name), group=("g",) * 3)
    assert fingerprint(elsewhere, tmp_path) == before


def test_name_score_and_bytes_matter(table: Table, tmp_path: Path) -> None:
    before = fingerprint(table, tmp_path)
    seen = {before, fingerprint(dataclasses.replace(table, name=("z.png", *table.name[1:])), tmp_path)}
    seen.add(fingerprint(dataclasses.replace(table, score=np.array([1, 2, np.nan])), tmp_path))
    seen.add(fingerprint(dataclasses.replace(table, score=np.array([1, 2, np.nextafter(3, 4)])), tmp_path))
    # Scores change places between two images: the same names, files and scores, but another dataset.
    seen.add(fingerprint(dataclasses.replace(table, score=np.array([2.0, 1.0, 3.0])), tmp_path))
    with open(table.path[1], "ab") as handle:
        handle.write(b"\0")
    seen.add(fingerprint(table, tmp_path))
    assert len(seen) == 6


def test_known_files_are_not_read_again(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(table, tmp_path)
    monkeypatch.setattr("ssliqa_bench.checksums.sha256_file", lambda path: pytest.fail(f"read {path}"))
    assert fingerprint(table, tmp_path) == before


def test_damaged_hash_cache(table: Table, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = fingerprint(table, tmp_path)
    cache = tmp_path / "hashes" / "toy.json"
    cache.write_text(cache.read_text().replace('"size"', '"sise"').replace("files", "filez", 1))
    assert fingerprint(table, tmp_path) == before
    assert "Set aside" in caplog.text and cache.with_name("toy.json.corrupt-1").exists()
    assert fingerprint(table, tmp_path) == before


def test_a_file_that_vanished(table: Table, tmp_path: Path) -> None:
    os.unlink(table.path[0])
    with pytest.raises(DataError, match=r"a\.png: cannot be read: No such file"):
        file_hashes(table.path, tmp_path / "h.json")
