"""Generated datasets: made once, whole or absent, made again when damaged."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ssliqa_bench.datasets.generators import generated_folder
from ssliqa_bench.errors import StorageError


class Generator:
    """Writes two files and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "images").mkdir()
        (folder / "images" / "a.bin").write_bytes(b"pixels")
        time.sleep(0.01)
        (folder / "labels.csv").write_text("image,score\na.bin,1\n")


def _make(home: Path, generator: Callable[[Path], None]) -> Path:
    return generated_folder("toy-v1", home, generator, home / "hashes.json")


def test_made_once(tmp_path: Path) -> None:
    generator = Generator()
    folder = _make(tmp_path, generator)
    assert (folder / "images" / "a.bin").read_bytes() == b"pixels"
    assert _make(tmp_path, generator) == folder and generator.calls == 1
    assert generated_folder("toy-v2", tmp_path, generator, tmp_path / "hashes.json") != folder and generator.calls == 2


def _flip(folder: Path) -> None:
    (folder / "images" / "a.bin").write_bytes(b"pixelz")


def _remove(folder: Path) -> None:
    (folder / "labels.csv").unlink()


def _add(folder: Path) -> None:
    (folder / "images" / "b.bin").write_bytes(b"x")


def _break_marker(folder: Path) -> None:
    (folder / "generated.json").write_text("{}")


@pytest.mark.parametrize("damage", [_flip, _remove, _add, _break_marker])
def test_damage_is_mended_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture,
                                   damage: Callable[[Path], None]) -> None:
    generator = Generator()
    folder = _make(tmp_path, generator)
    _make(tmp_path, generator)
    damage(folder)
    assert _make(tmp_path, generator) == folder and generator.calls == 2
    assert sorted(p.name for p in folder.rglob("*.*")) == ["a.bin", "generated.json", "labels.csv"]
    assert (folder / "images" / "a.bin").read_bytes() == b"pixels"
    assert "set aside" in caplog.text and (tmp_path / "toy-v1.corrupt-1").is_dir()


def test_nothing_half_made_stays(tmp_path: Path) -> None:
    def breaks(folder: Path) -> None:
        (folder / "part.bin").write_bytes(b"x")
        raise OSError(28, os.strerror(28))

    with pytest.raises(StorageError, match="No space left"):
        _make(tmp_path, breaks)
    assert not (tmp_path / "toy-v1").exists() and not list(tmp_path.glob(".toy*"))
    # What a killed process left is no obstacle.
    (tmp_path / ".toy-v1.part").mkdir()
    (tmp_path / ".toy-v1.part" / "part.bin").write_bytes(b"x")
    folder = _make(tmp_path, Generator())
    assert not (folder / "part.bin").exists() and not list(tmp_path.glob(".toy*"))


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    generator = Generator()
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: _make(tmp_path, generator), range(4)))
    assert set(folders) == {tmp_path / "toy-v1"} and generator.calls == 1
