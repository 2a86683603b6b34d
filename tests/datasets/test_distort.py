"""Distortions do what their name and strength say, more of it at every level."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from ssliqa_bench.datasets.demo import dead_leaves
from ssliqa_bench.datasets.distort import KINDS, distort
from ssliqa_bench.errors import InputError

LEVELS = range(1, 6)


@pytest.fixture(scope="module")
def scene() -> NDArray[np.uint8]:
    return dead_leaves(np.random.default_rng(0), side=160)


def again(image: NDArray[np.uint8], kind: str, level: int) -> NDArray[np.uint8]:
    return distort(image, kind, level, np.random.default_rng(7))


@pytest.mark.parametrize("kind", KINDS)
def test_every_level_is_stronger(scene: NDArray[np.uint8], kind: str) -> None:
    before = scene.copy()
    error = [np.mean((again(scene, kind, level).astype(float) - scene) ** 2) for level in LEVELS]
    assert error[0] > 0 and all(low < high for low, high in pairwise(error))
    np.testing.assert_array_equal(scene, before)
    for level in LEVELS:
        made = again(scene, kind, level)
        assert made.shape == scene.shape and made.dtype == np.uint8
        np.testing.assert_array_equal(made, again(scene, kind, level))


@pytest.mark.parametrize(("level", "sigma"), list(zip(LEVELS, (6, 11, 19, 32, 52))))
def test_noise_has_the_stated_deviation(level: int, sigma: float) -> None:
    grey = np.full((300, 300, 3), 128, dtype=np.uint8)
    noise = again(grey, "noise", level).astype(float) - 128
    # Clipping at 0 and 255 takes off a little of the strongest level.
    assert noise.std() == pytest.approx(sigma, rel=0.03) and abs(noise.mean()) < 0.5
    channels = np.corrcoef(noise.reshape(-1, 3).T)
    assert np.abs(channels - np.eye(3)).max() < 0.02


@pytest.mark.parametrize(("level", "radius"), list(zip(LEVELS, (0.7, 1.1, 1.7, 2.5, 3.8))))
def test_blur_against_scipy(scene: NDArray[np.uint8], level: int, radius: float) -> None:
    exact = gaussian_filter(scene.astype(float), (radius, radius, 0), mode="nearest")
    made = again(scene, "blur", level).astype(float)
    # Pillow approximates the Gaussian by boxes and rounds to whole grey levels.
    assert np.abs(made - exact).mean() < 0.1 * np.abs(scene - exact).mean() + 0.5


@pytest.mark.parametrize(("level", "quality"), list(zip(LEVELS, (55, 32, 18, 10, 5))))
def test_jpeg_is_what_a_file_of_that_quality_holds(scene: NDArray[np.uint8], level: int, quality: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene).save(buffer, "JPEG", quality=quality)
    np.testing.assert_array_equal(again(scene, "jpeg", level), np.asarray(Image.open(buffer)))


def test_unknown_kind_and_level(scene: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match='Unknown distortion "blurr". Did you mean \'blur\''):
        again(scene, "blurr", 1)
    for level in (0, 6):
        with pytest.raises(InputError, match=f"Distortion blur: level {level}; expected 1 to 5"):
            again(scene, "blur", level)
