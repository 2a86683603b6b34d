"""Features of fixed views on disk: computed once per file, resumed after a kill, checked when they are opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ssliqa_bench.checksums import file_hashes
from ssliqa_bench.errors import DataError
from ssliqa_bench.pixels import features as module
from ssliqa_bench.pixels.decode import content_hash, decode
from ssliqa_bench.pixels.features import VIEWS, Features, Network, open_features

D = 3


class Files(SimpleNamespace):
    """Named image files, as a table has them."""

    dataset: str
    name: tuple[str, ...]
    path: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    names = tuple(f"{k}.png" for k in range(7))
    for k, name in enumerate(names):
        pixels = np.random.default_rng(k % 6).integers(0, 256, (8 + k % 6, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)  # the last is a copy of the first, byte for byte
    return Files(dataset="tiny", name=names, path=tuple(str(tmp_path / name) for name in names))


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def network(calls: list[str]) -> Network:
    def make() -> Callable[[NDArray[np.uint8], str], NDArray[np.float32]]:
        def extract(pixels: NDArray[np.uint8], content: str) -> NDArray[np.float32]:
            calls.append(content)
            views = np.arange(sum(VIEWS.values()), dtype=np.float32)[:, None]
            return views + np.float32(pixels.mean()) / np.array([[1.0, 2.0, 4.0]], dtype=np.float32)

        return extract

    return Network("tiny-network", {"backbone": {"arguments": {}}, "weights": "0"}, {"entry": "0"}, D, make)


def opened(files: Files, network: Network, cache: Path, **options: object) -> Features:
    return open_features(files, file_hashes(files.path), network, cache, **options)  # type: ignore[arg-type]


def test_every_row_has_the_features_of_its_picture(files: Files, network: Network, tmp_path: Path) -> None:
    found = opened(files, network, tmp_path / "cache")
    for row, path in enumerate(files.path):
        pixels = decode(path)
        assert found.hashes[row] == content_hash(pixels) and found.sizes[row] == pixels.shape[:2]
        start = 0
        for kind, count in VIEWS.items():
            expected = np.arange(start, start + count)[:, None] + pixels.mean() / np.array([[1.0, 2.0, 4.0]])
            np.testing.assert_allclose(found.views(row, kind), expected, rtol=1e-3)
            start += count


def test_equal_files_are_computed_once_and_a_cache_not_again(
    files: Files, network: Network, calls: list[str], tmp_path: Path
) -> None:
    opened(files, network, tmp_path / "cache")
    assert len(calls) == 6
    backwards = Files(dataset="tiny", name=files.name[::-1], path=files.path[::-1])
    again = opened(backwards, network, tmp_path / "cache")
    assert len(calls) == 6 and again.hashes[0] == content_hash(decode(files.path[-1]))


def test_another_network_gets_a_cache_of_its_own(
    files: Files, network: Network, calls: list[str], tmp_path: Path
) -> None:
    first = opened(files, network, tmp_path / "cache")
    weights = {**network.identity, "weights": "1"}
    other = opened(files, Network("other", weights, network.code, D, network.make), tmp_path / "cache")
    assert first.network != other.network and len(calls) == 12
    edited = Network("tiny-network", network.identity, {"entry": "1"}, D, network.make)
    changed = opened(files, edited, tmp_path / "cache")
    assert first.network != changed.network and len(calls) == 18, "by other code"


def test_interrupted_work_resumes_after_its_last_shard(
    files: Files, network: Network, calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHARD", 2)

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(files, network, tmp_path / "cache", progress=stop)
    assert len(calls) == 5
    steps: list[int] = []
    resumed = opened(files, network, tmp_path / "cache", progress=lambda done, total: steps.append(done))
    assert len(calls) == 7 and steps == [2, 4, 5, 6]  # two whole shards are kept, the third is computed anew
    whole = opened(files, network, tmp_path / "other")
    for row in range(len(files)):
        np.testing.assert_array_equal(resumed.views(row, "test"), whole.views(row, "test"))


def test_a_damaged_cache_is_set_aside_and_computed_again(
    files: Files, network: Network, calls: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened(files, network, tmp_path / "cache")
    flat = next((tmp_path / "cache").rglob("features.f16"))
    data = bytearray(flat.read_bytes())
    data[10] ^= 1
    flat.write_bytes(bytes(data))
    opened(files, network, tmp_path / "cache")
    assert len(calls) == 12 and "does not match its checksum" in caplog.text


def test_unreadable_images_stop_or_are_listed(files: Files, network: Network, tmp_path: Path) -> None:
    Path(files.path[2]).write_bytes(b"no image")
    with pytest.raises(DataError, match="1 of 7 images are unreadable"):
        opened(files, network, tmp_path / "cache")
    assert list(opened(files, network, tmp_path / "cache", skip_bad=True).bad) == [2]
