"""The cache of decoded images: lossless, sealed, mended when damaged, constant in memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError, StorageError
from ssliqa_bench.pixels import cache
from ssliqa_bench.pixels.cache import open_pixels
from ssliqa_bench.pixels.decode import content_hash, decode

MARK = "f" * 64


def make_table(folder: Path, count: int = 6, side: int = 11) -> Table:
    """Random pictures of different sizes."""
    folder.mkdir(parents=True)
    names = [f"{k}.png" for k in reversed(range(count))]
    for k, name in enumerate(names):
        pixels = np.random.default_rng(k).integers(0, 256, (side + k % 5, side + k % 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    score = np.arange(count, dtype=float)
    return Table("toy", tuple(names), tuple(str(folder / n) for n in names), score, score / count, tuple(names))


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return make_table(tmp_path / "images")


def flat_file(tmp_path: Path) -> Path:
    (found,) = tmp_path.glob("pixels/*/pixels.u8")
    return found


def test_equal_to_decoding(table: Table, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    for _ in range(2):
        pixels = open_pixels(table, MARK, None, tmp_path, progress=lambda *step: steps.append(step))
        assert len(pixels) == len(table) and not pixels.bad
        for row, path in enumerate(table.path):
            np.testing.assert_array_equal(pixels.image(row), decode(path))
            assert pixels.hashes[row] == content_hash(decode(path))
    # Decoded once, the second time read from the cache.
    assert steps == [(k, len(table)) for k in range(1, len(table) + 1)]
    with pytest.raises(ValueError, match="read-only"):
        pixels.image(0)[0, 0, 0] = 1


def test_another_order_of_rows_uses_the_same_cache(table: Table, tmp_path: Path) -> None:
    first = open_pixels(table, MARK, None, tmp_path)
    order = [3, 0, 5, 1, 2, 4]
    other = open_pixels(table.take(order), MARK, None, tmp_path, progress=lambda *_: pytest.fail("decoded again"))
    assert other.hashes == tuple(first.hashes[i] for i in order)
    np.testing.assert_array_equal(other.image(0), first.image(3))


def test_working_size(table: Table, tmp_path: Path) -> None:
    whole = open_pixels(table, MARK, None, tmp_path)
    small = open_pixels(table, MARK, 6, tmp_path)
    for row in range(len(table)):
        height, width = whole.image(row).shape[:2]
        image = Image.fromarray(whole.image(row))
        size = (round(width * 6 / min(height, width)), round(height * 6 / min(height, width)))
        np.testing.assert_array_equal(small.image(row), np.asarray(image.resize(size, Image.Resampling.BICUBIC)))
        assert min(small.image(row).shape[:2]) == 6
    assert not set(small.hashes) & set(whole.hashes)


def flip_a_bit(folder: Path) -> None:
    path = folder / "pixels.u8"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


def cut(folder: Path) -> None:
    path = folder / "pixels.u8"
    path.write_bytes(path.read_bytes()[:-10])


def remove_flat(folder: Path) -> None:
    (folder / "pixels.u8").unlink()


def edit_index(folder: Path) -> None:
    path = folder / "index.json"
    path.write_text(path.read_text().replace("0.png", "9.png"))


@pytest.mark.parametrize("damage", [flip_a_bit, cut, remove_flat, edit_index])
def test_damage_is_mended_and_said(table: Table, tmp_path: Path, caplog: pytest.LogCaptureFixture,
                                   damage: Callable[[Path], None]) -> None:
    before = open_pixels(table, MARK, None, tmp_path)
    images = [before.image(row).copy() for row in range(len(table))]
    folder = flat_file(tmp_path).parent
    damage(folder)
    after = open_pixels(table, MARK, None, tmp_path)
    assert after.hashes == before.hashes
    for row, image in enumerate(images):
        np.testing.assert_array_equal(after.image(row), image)
    assert "Set aside" in caplog.text and (folder.parent / f"{folder.name}.corrupt-1").is_dir()
    caplog.clear()
    open_pixels(table, MARK, None, tmp_path)
    assert not caplog.text


def test_verified_once(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_pixels(table, MARK, None, tmp_path)
    monkeypatch.setattr(cache, "content_hash", lambda pixels: pytest.fail("read again"))
    open_pixels(table, MARK, None, tmp_path)


def test_damaged_stamp_means_reading_again(table: Table, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_pixels(table, MARK, None, tmp_path)
    stamp = flat_file(tmp_path).parent / "verified.json"
    stamp.write_text("{")
    open_pixels(table, MARK, None, tmp_path)
    assert not caplog.text and stamp.stat().st_size > 10


def test_what_a_killed_process_left(table: Table, tmp_path: Path) -> None:
    open_pixels(table, MARK, None, tmp_path)
    folder = flat_file(tmp_path).parent
    (folder / "index.json").unlink()
    (folder / ".pixels.u8.abc.tmp").write_bytes(b"x" * 100)
    assert not open_pixels(table, MARK, None, tmp_path).bad
    assert sorted(p.name for p in folder.iterdir()) == ["index.json", "pixels.u8", "verified.json"]


def test_unreadable_images(table: Table, tmp_path: Path) -> None:
    Path(table.path[1]).write_bytes(b"")
    Path(table.path[4]).write_bytes(Path(table.path[4]).read_bytes()[:60])
    with pytest.raises(DataError, match=r"toy: 2 of 6 images are unreadable\. First: .*4\.png: is empty.*--skip-bad"):
        open_pixels(table, MARK, None, tmp_path)
    pixels = open_pixels(table, MARK, None, tmp_path, skip_bad=True)
    assert set(pixels.bad) == {1, 4} and "is empty" in pixels.bad[1] and "1.png" in pixels.bad[4]
    assert pixels.hashes[1] == "" and len(pixels.hashes[0]) == 64
    np.testing.assert_array_equal(pixels.image(5), decode(table.path[5]))
    with pytest.raises(DataError, match="is empty"):
        pixels.image(1)
    # Known from the cache, still an error for who does not skip.
    with pytest.raises(DataError, match="2 of 6"):
        open_pixels(table, MARK, None, tmp_path)


def test_only_unreadable_images(table: Table, tmp_path: Path) -> None:
    for path in table.path:
        Path(path).write_bytes(b"no image")
    assert len(open_pixels(table, MARK, None, tmp_path, skip_bad=True).bad) == 6


def test_disk_full(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache, "open_picture", full)
        with pytest.raises(StorageError, match="disk is full"):
            open_pixels(table, MARK, None, tmp_path)
    assert not list(tmp_path.glob("pixels/*/*.tmp")) and not open_pixels(table, MARK, None, tmp_path).bad


def test_memory_does_not_grow_with_the_dataset(tmp_path: Path) -> None:
    peaks = []
    for count in (8, 40):
        table = make_table(tmp_path / f"images-{count}", count, side=200)
        tracemalloc.start()
        open_pixels(table, f"{count:064d}", None, tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from ssliqa_bench.pixels.cache import open_pixels
from ssliqa_bench.datasets.table import Table
folder = Path(sys.argv[1])
names = sorted(p.name for p in folder.iterdir())
score = np.zeros(len(names))
table = Table("toy", tuple(names), tuple(str(folder / n) for n in names), score, score, tuple(names))
print(*open_pixels(table, "f" * 64, None, Path(sys.argv[2])).hashes)
"""


def test_several_processes(table: Table, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(Path(table.path[0]).parent), str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0], answers
    expected = open_pixels(table, MARK, None, tmp_path, progress=lambda *_: pytest.fail("decoded again"))
    assert answers[0] == answers[1] == (" ".join(sorted_hashes(table, expected.hashes)) + "\n", "")


def sorted_hashes(table: Table, hashes: tuple[str, ...]) -> list[str]:
    return [digest for _, digest in sorted(zip(table.name, hashes))]
