"""Converted weights in the cache folder are compared with their checksum before every use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ssliqa_bench.models.weights import WeightsFile, usable_file
from ssliqa_bench.runner.deep_check import reread_caches

TENSORS = {"weight": torch.arange(60.0).reshape(6, 10), "bias": torch.ones(6)}


@pytest.fixture
def weights(tmp_path: Path) -> WeightsFile:
    """Weights that are converted, by a function that changes nothing."""
    save_file(TENSORS, tmp_path / "published.safetensors")
    converted = tmp_path / "cache" / "weights" / "made.safetensors"
    found = WeightsFile(str(tmp_path / "published.safetensors"), "0" * 64, "collections:OrderedDict", str(converted))
    usable_file(found)
    return found


def flip(place: Path) -> None:
    """Change the last bit, and keep size and times."""
    status, content = place.stat(), bytearray(place.read_bytes())
    content[-1] ^= 1
    place.write_bytes(content)
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(place: Path) -> None:
    place.write_bytes(place.read_bytes()[:-7])


def swap(place: Path) -> None:
    save_file({name: value + 1 for name, value in TENSORS.items()}, place)


@pytest.mark.parametrize("damage", [flip, cut, swap])
def test_what_has_changed_is_set_aside_and_made_again(
    weights: WeightsFile, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    place = Path(weights.converted)
    damage(place)
    found = load_file(usable_file(weights))
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())
    assert f"{place}: converted weights do not match their checksum" in caplog.text
    assert len(list(place.parent.glob("*.corrupt-*"))) == 1


@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_without_a_good_note_it_is_made_again(weights: WeightsFile, damage: Callable[[Path], None]) -> None:
    damage(Path(weights.converted).with_suffix(".json"))
    swap(Path(weights.converted))
    assert torch.equal(load_file(usable_file(weights))["weight"], TENSORS["weight"])


def test_what_has_not_changed_is_used_as_it_is(weights: WeightsFile) -> None:
    before = Path(weights.converted).stat().st_ino
    assert Path(usable_file(weights)).stat().st_ino == before


def test_a_deep_check_names_it(weights: WeightsFile, tmp_path: Path) -> None:
    assert not reread_caches(tmp_path / "cache")
    flip(Path(weights.converted))
    (problem,) = reread_caches(tmp_path / "cache")
    assert weights.converted in problem and "checksum" in problem
    assert not reread_caches(tmp_path / "cache")
