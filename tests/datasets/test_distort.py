"""Distortions do what their name and strength say, more of it at every level."""

from __future__ import annotations

import colorsys
import hashlib
import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import color, data
from skimage.filters import threshold_multiotsu
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ssliqa_bench.datasets.demo import dead_leaves
from ssliqa_bench.datasets.distort import KADID_KINDS, KINDS, distort
from ssliqa_bench.datasets.distort.colour import quantization
from ssliqa_bench.errors import InputError

LEVELS = range(1, 6)


Pixels8 = NDArray[np.uint8]


def ssim(image: Pixels8, reference: Pixels8) -> float:
    return float(structural_similarity(reference, image, channel_axis=2, data_range=255))


def psnr(image: Pixels8, reference: Pixels8) -> float:
    if np.array_equal(image, reference):
        return np.inf
    return float(peak_signal_noise_ratio(reference, image, data_range=255))


def colour_similarity(image: Pixels8, reference: Pixels8) -> float:
    """Minus the mean distance in L*a*b*."""
    return -float(color.deltaE_cie76(color.rgb2lab(reference), color.rgb2lab(image)).mean())


# Structure for what moves or hides it, colour for what changes colour, error for lightness and contrast, of which
# structural similarity is made to see little.
MEASURES: dict[str, Callable[[Pixels8, Pixels8], float]] = {
    **dict.fromkeys(KADID_KINDS.values(), ssim),
    **dict.fromkeys(("colour_diffusion", "colour_shift", "colour_quantization", "saturation_hsv", "saturation_lab"),
                    colour_similarity),
    **dict.fromkeys(("brighten", "darken", "mean_shift", "contrast_change", "impulse_noise", "colour_block"), psnr),
}


@pytest.fixture(scope="module", params=["astronaut", "chelsea", "coffee"])
def photograph(request: pytest.FixtureRequest) -> Pixels8:
    """A photograph of scikit-image at a width of 256."""
    picture = Image.fromarray(getattr(data, request.param)())
    return np.array(picture.resize((256, 256 * picture.height // picture.width), Image.Resampling.LANCZOS))


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


def test_codes_of_kadid() -> None:
    assert list(KADID_KINDS) == list(range(1, 26))
    assert len(set(KADID_KINDS.values())) == 25 and set(KADID_KINDS.values()) <= set(KINDS)
    named = {1: "gaussian_blur", 8: "saturation_lab", 9: "jpeg2000_compression", 13: "impulse_noise", 17: "darken",
             20: "non_eccentricity_patch", 25: "contrast_change"}
    assert named.items() <= KADID_KINDS.items()
    assert all(len(KINDS[kind].strengths) == 5 for kind in KADID_KINDS.values())


@pytest.mark.parametrize("kind", KADID_KINDS.values())
def test_likeness_falls_with_every_level(photograph: Pixels8, kind: str) -> None:
    before = photograph.copy()
    made = [again(photograph, kind, level) for level in LEVELS]
    likeness = [MEASURES[kind](image, photograph) for image in [photograph, *made]]
    assert all(high > low for high, low in pairwise(likeness)), likeness
    np.testing.assert_array_equal(photograph, before)


@pytest.mark.parametrize("shape", [(61, 47), (33, 200), (5, 3), (1, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_any_size(kind: str, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for level in (1, 5):
        made = again(picture, kind, level)
        assert made.shape == picture.shape and made.dtype == np.uint8
        np.testing.assert_array_equal(made, again(picture, kind, level))


RANDOM = {"noise", "motion_blur", "colour_shift", "white_noise", "white_noise_ycbcr", "impulse_noise",
          "multiplicative_noise", "denoise", "jitter", "non_eccentricity_patch", "colour_block"}


@pytest.mark.parametrize("kind", KINDS)
def test_only_random_kinds_hang_on_the_seed(scene: Pixels8, kind: str) -> None:
    one, other = (distort(scene, kind, 3, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.array_equal(one, other) == (kind not in RANDOM)


def test_demo_noise_never_changes() -> None:
    """Of the kinds of the demo sets the one that is computed here; the others are Pillow's, tested above."""
    grey = np.full((32, 32, 3), 128, dtype=np.uint8)
    assert hashlib.sha256(again(grey, "noise", 3).tobytes()).hexdigest()[:16] == "cc7b8bfc4d05f5b4"


def test_blurs_keep_a_flat_picture_and_spread_a_point() -> None:
    flat = np.full((41, 41, 3), 90, dtype=np.uint8)
    point = np.zeros((41, 41, 3), dtype=np.uint8)
    point[20, 20] = 255
    for kind, area in (("gaussian_blur", 4 * np.pi * 2**2), ("lens_blur", np.pi * 6.5**2), ("motion_blur", 13)):
        np.testing.assert_array_equal(again(flat, kind, 4), flat)
        spread = again(point, kind, 4).astype(float)
        # The area over which a point is spread, from the brightest value; a line is a little wider than one pixel.
        assert 255 / spread.max() == pytest.approx(area if kind != "gaussian_blur" else area / 2, rel=0.35)
        rows, columns = np.nonzero(spread[:, :, 0])
        assert abs(rows.mean() - 20) < 0.5 and abs(columns.mean() - 20) < 0.5


def test_gaussian_blur_against_scipy(scene: Pixels8) -> None:
    exact = gaussian_filter(scene.astype(float), (2, 2, 0), mode="nearest", truncate=6)
    assert np.abs(again(scene, "gaussian_blur", 4) - exact).max() < 2


@pytest.mark.parametrize(("level", "factor"), [(1, 0.4), (3, 0.1), (4, 0.0)])
def test_saturation_against_the_standard_library(level: int, factor: float) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    expected = np.empty(picture.shape)
    for position in np.ndindex(8, 8):
        hue, saturation, value = colorsys.rgb_to_hsv(*picture[position] / 255)
        expected[position] = np.multiply(colorsys.hsv_to_rgb(hue, saturation * factor, value), 255)
    assert np.abs(again(picture, "saturation_hsv", level) - expected).max() <= 0.5 + 1e-6


def test_kinds_of_colour_keep_lightness(photograph: Pixels8) -> None:
    """Against scikit-image's L*a*b*, an implementation of its own; leaving out what sRGB cannot show."""
    before = color.rgb2lab(photograph)
    for kind, level, factor in (("colour_diffusion", 5, None), ("saturation_lab", 2, 2.0)):
        made = again(photograph, kind, level)
        after = color.rgb2lab(made)
        inside = (made.min(axis=2) > 0) & (made.max(axis=2) < 255)
        assert inside.mean() > 0.1
        assert np.abs(after - before)[inside][:, 0].mean() < 0.5
        if factor is not None:
            assert np.abs(after - factor * before)[inside][:, 1:].mean() < 1.0


@pytest.mark.parametrize(("kind", "level", "half"), [("brighten", 2, 60.0), ("darken", 4, 30.0)])
def test_lightness_curves_take_half_where_they_say(kind: str, level: int, half: float) -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    made = again(greys, kind, level)
    before, after = color.rgb2lab(greys)[0, :, 0], color.rgb2lab(made)[0, :, 0]
    assert np.interp(50.0, before, after) == pytest.approx(half, abs=0.4)
    assert (made[0, 0] == 0).all() and (made[0, -1] == 255).all()
    assert (np.diff(made[0, :, 0].astype(int)) >= 0).all()


def test_mean_shift_goes_where_there_is_room() -> None:
    for grey, expected in ((60, 60 + 38), (200, 200 - 38)):
        made = again(np.full((4, 4, 3), grey, dtype=np.uint8), "mean_shift", 4)
        assert (made == expected).all()


def test_contrast_curve_rises_and_keeps_its_ends() -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for level, raises in zip(LEVELS, (True, True, False, False, False)):
        curve = again(greys, "contrast_change", level)[0, :, 0].astype(int)
        assert curve[0] == 0 and curve[255] == 255 and (np.diff(curve) >= 0).all()
        assert (curve[150] - curve[105] > 45) == raises


def test_variances_of_the_noises() -> None:
    grey = np.full((300, 300, 3), 128, dtype=np.uint8)
    for level, variance in zip(LEVELS, (0.001, 0.002, 0.003, 0.005, 0.01)):
        noise = (again(grey, "white_noise", level).astype(float) - 128) / 255
        assert noise.var() == pytest.approx(variance, rel=0.03)
        left = again(grey, "denoise", level).astype(float) / 255
        assert left.var() < variance / 4
    for level, variance in zip(LEVELS, (0.001, 0.005, 0.01, 0.02, 0.05)):
        noise = again(grey, "multiplicative_noise", level) / 128 - 1
        assert noise.var() == pytest.approx(variance, rel=0.04)
    for level, variance in zip(LEVELS, (0.0001, 0.0005, 0.001, 0.002, 0.003)):
        made = np.asarray(Image.fromarray(again(grey, "white_noise_ycbcr", level)).convert("YCbCr")) / 255
        np.testing.assert_allclose(made.var(axis=(0, 1)), variance, rtol=0.1)


def test_density_of_impulses() -> None:
    grey = np.full((300, 300, 3), 128, dtype=np.uint8)
    for level, density in zip(LEVELS, (0.001, 0.005, 0.01, 0.02, 0.03)):
        made = again(grey, "impulse_noise", level)
        assert set(np.unique(made)) == {0, 128, 255}
        for end in (0, 255):
            assert np.mean(made == end) == pytest.approx(density / 2, rel=0.25)


@pytest.mark.parametrize(("level", "colours"), list(zip(LEVELS, (64, 48, 32, 16, 8))))
def test_number_of_colours(photograph: Pixels8, level: int, colours: int) -> None:
    assert len(np.unique(again(photograph, "colour_quantization", level).reshape(-1, 3), axis=0)) <= colours


@pytest.mark.parametrize(("level", "steps"), list(zip(LEVELS, (20, 16, 13, 10, 7))))
def test_number_of_grey_levels(photograph: Pixels8, level: int, steps: int) -> None:
    made = again(photograph, "quantization", level)
    assert len(np.unique(made)) == steps
    # Never worse than steps of equal width or of equal shares, each shown by its mean.
    error = np.mean((made.astype(float) - photograph) ** 2)
    for edges in (np.linspace(0, 256, steps + 1), np.quantile(photograph, np.linspace(0, 1, steps + 1))):
        which = np.digitize(photograph, edges[1:-1])
        means = np.array([photograph[which == step].mean() if (which == step).any() else 0 for step in range(steps)])
        # A twelfth for the rounding of the means to whole grey levels.
        assert error <= np.mean((means[which] - photograph) ** 2) + 1 / 12


def test_quantization_cuts_where_otsu_does(photograph: Pixels8) -> None:
    """Three classes, which scikit-image finds by trying all thresholds."""
    made = quantization(photograph, 3, np.random.default_rng(0))
    classes = np.digitize(photograph, threshold_multiotsu(photograph.reshape(-1), classes=3, nbins=256), right=True)
    for number in range(3):
        assert len(np.unique(made[classes == number])) == 1
    # Fewer grey levels than steps: nothing to merge.
    few = np.array([[[0, 10, 255]]], dtype=np.uint8)
    np.testing.assert_array_equal(quantization(few, 7, np.random.default_rng(0)), few)


def test_patches_and_blocks_replace_what_they_say(photograph: Pixels8) -> None:
    for kind, side, counts in (("colour_block", 32, (2, 4, 6, 8, 10)),
                               ("non_eccentricity_patch", 16, (20, 40, 60, 80, 100))):
        touched = [np.any(again(photograph, kind, level) != photograph, axis=2) for level in LEVELS]
        for count, here in zip(counts, touched):
            assert 0 < here.sum() <= count * side**2
        for weaker, stronger in pairwise(touched):
            # The same random numbers: a stronger level has the patches of the weaker one and more.
            assert np.mean(stronger[weaker]) > 0.95
    flat = np.full((64, 64, 3), 77, dtype=np.uint8)
    np.testing.assert_array_equal(again(flat, "non_eccentricity_patch", 5), flat)


def test_pixelate_leaves_flat_rectangles(photograph: Pixels8) -> None:
    made = again(photograph, "pixelate", 5).astype(int)
    changes = np.flatnonzero(np.any(np.diff(made, axis=1) != 0, axis=(0, 2)))
    assert len(changes) == round(0.25 * made.shape[1]) - 1
