"""Copies by content: what an encoder, another size or another brightness leaves is found, other pictures are not."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data as photographs
from skimage.transform import resize

from ssliqa_bench.datasets.near_copies import copies_digest, near_copies, torn_pairs
from ssliqa_bench.errors import DataError

Pixels = NDArray[np.uint8]
NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def photograph(name: str) -> Pixels:
    return np.asarray(getattr(photographs, name)(), dtype=np.uint8)


def write(folder: Path, name: str, pixels: Pixels, **options: object) -> str:
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return str(path)


def toned(pixels: Pixels) -> Pixels:
    return (255 * (pixels / 255) ** 0.8).astype(np.uint8)


def smaller(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[0] * 2 // 3, pixels.shape[1] * 2 // 3
    return (255 * resize(pixels, (height, width), anti_aliasing=True)).astype(np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], set[frozenset[int]]]:
    """Image files, and which of them show one picture: each photograph in four ways, four crops, two flat images."""
    folder = tmp_path_factory.mktemp("copies")
    paths: list[str] = []
    sets: set[frozenset[int]] = set()
    for name in NAMES:
        pixels = photograph(name)
        start = len(paths)
        paths += [
            write(folder, f"{name}.png", pixels),
            write(folder, f"{name}-same.bmp", pixels),
            write(folder, f"{name}-encoded.jpg", pixels, quality=60),
            write(folder, f"{name}-toned.jpg", toned(pixels), quality=90),
            write(folder, f"{name}-smaller.png", smaller(pixels)),
        ]
        sets.add(frozenset(range(start, len(paths))))
        # The next photograph of a series: the camera moved by a few pixels.
        paths.append(write(folder, f"{name}-next.png", pixels[12:, 9:]))
    paths += [write(folder, f"flat-{k}.png", np.full((40, 40, 3), k, dtype=np.uint8)) for k in (100, 140)]
    return paths, sets


def test_copies_are_found_and_other_pictures_are_not(made: tuple[list[str], set[frozenset[int]]]) -> None:
    paths, sets = made
    found = near_copies(paths)
    assert {frozenset(rows) for rows in found.sets} == sets
    assert found.equal_pixels == len(NAMES)


def test_processes_and_order_change_nothing(made: tuple[list[str], set[frozenset[int]]]) -> None:
    paths, sets = made
    order = np.random.default_rng(1).permutation(len(paths))
    told: list[tuple[int, int]] = []
    found = near_copies([paths[k] for k in order], processes=2, progress=lambda *now: told.append(now))
    assert {frozenset(int(order[k]) for k in rows) for rows in found.sets} == sets
    assert told[-1] == (len(paths), len(paths)) and len(told) == len(paths)


def test_details_decide_as_a_plain_correlation_does(made: tuple[list[str], set[frozenset[int]]]) -> None:
    """Details by another way: scipy's mean filter on luminance, correlated by numpy."""
    from scipy.ndimage import zoom

    paths, sets = made

    def details(path: str) -> NDArray[np.float64]:
        grey = Image.open(path).convert("RGB").convert("L").resize((256, 256), Image.Resampling.BOX)
        values = np.asarray(grey, dtype=np.float64)
        means = values.reshape(32, 8, 32, 8).mean((1, 3))
        return (values - zoom(means, 8, order=0)).ravel()

    rows = [row for row, path in enumerate(paths) if "flat" not in path]
    own = {row: details(paths[row]) for row in rows}
    linked = {frozenset(pair) for pair in combinations(rows, 2) if np.corrcoef(own[pair[0]], own[pair[1]])[0, 1] >= 0.9}
    assert all(any(pair <= rows for rows in sets) for pair in linked)


def test_an_image_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.jpg: not readable as an image"):
        near_copies([str(tmp_path / "broken.jpg")])


def test_no_image_has_no_copies() -> None:
    assert near_copies([]).sets == ()


def test_the_digest_is_that_of_the_sets(made: tuple[list[str], set[frozenset[int]]]) -> None:
    one = copies_digest([["a", "b"], ["d", "c", "e"]])
    assert one == copies_digest([["e", "c", "d"], ["b", "a"]]) and len(one) == 64
    assert one != copies_digest([["a", "b"], ["c", "d"]])


def test_pairs_across_a_split() -> None:
    parts = ["train", "test", "test", "train", "validation"]
    assert torn_pairs([(0, 1, 2)], parts) == 2 and torn_pairs([(0, 3), (1, 2)], parts) == 0
    assert torn_pairs([(1, 4), (2, 3, 4)], parts) == 3
