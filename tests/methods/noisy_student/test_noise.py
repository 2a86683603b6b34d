"""The training view: each operation against plain loops or Pillow, their order, and the random numbers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from ssliqa_bench.methods.noisy_student import noise as module
from ssliqa_bench.methods.noisy_student.noise import (
    Noise,
    change_colour,
    cut_lattice,
    cut_square,
    noisy_crop,
    noisy_crops,
)

RNG = np.random.default_rng(3)
PICTURE = RNG.integers(0, 256, (30, 40, 3), dtype=np.uint8)


def stream(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


@pytest.mark.parametrize(
    ("place", "enhance"), [(0, ImageEnhance.Brightness), (1, ImageEnhance.Contrast), (2, ImageEnhance.Color)]
)
@pytest.mark.parametrize("factor", [0.9, 1.1, 0.0, 1.7])
def test_each_change_of_colour_is_that_of_pillow(place: int, enhance: Any, factor: float) -> None:
    factors = [1.0, 1.0, 1.0]
    factors[place] = factor
    expected = np.asarray(enhance(Image.fromarray(PICTURE)).enhance(factor)).astype(int)
    # Pillow rounds the luminance to whole numbers first, and cuts where this rounds.
    assert np.abs(change_colour(PICTURE, *factors).astype(int) - expected).max() <= 1


def test_the_three_changes_follow_one_another() -> None:
    weights = (0.299, 0.587, 0.114)
    values = (PICTURE.astype(float) * 1.08).clip(0, 255)
    middle = np.mean([sum(w * c for w, c in zip(weights, pixel, strict=True)) for row in values for pixel in row])
    values = (middle + 0.93 * (values - middle)).clip(0, 255)
    for row in values:
        for pixel in row:
            grey = sum(w * c for w, c in zip(weights, pixel, strict=True))
            pixel[:] = (grey + 1.1 * (pixel - grey)).clip(0, 255)
    assert np.abs(change_colour(PICTURE, 1.08, 0.93, 1.1).astype(float) - values).max() <= 0.501
    np.testing.assert_array_equal(change_colour(PICTURE, 1.0, 1.0, 1.0), PICTURE)


@pytest.mark.parametrize(("row", "column"), [(0.5, 0.5), (0.0, 0.3), (0.99, 0.0), (0.02, 0.98)])
def test_the_square_is_black_and_clipped(row: float, column: float) -> None:
    crop = np.full((20, 20, 3), 200, dtype=np.uint8)
    expected = crop.copy()
    top, left = int(row * 20) - 2, int(column * 20) - 2
    for i in range(20):
        for j in range(20):
            if top <= i < top + 4 and left <= j < left + 4:
                expected[i, j] = 0
    np.testing.assert_array_equal(cut_square(crop, 0.2, row, column), expected)
    assert (crop == 200).all()  # a copy


def test_a_square_of_a_crop_of_224_has_45_pixels() -> None:
    cut = cut_square(np.ones((224, 224, 3), dtype=np.uint8), 0.2, 0.5, 0.5)
    assert (cut == 0).sum() == 45 * 45 * 3


def test_the_lattice_has_small_squares_at_equal_distances() -> None:
    crop = np.ones((100, 100, 3), dtype=np.uint8)
    cut = cut_lattice(crop, 0.0, 0.2)[..., 0] == 0
    rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
    assert rows.tolist() == [*range(10), *range(45, 55), *range(90, 100)]
    assert columns.tolist() == [*range(1), *range(36, 46), *range(81, 91)]
    assert cut.sum() == len(rows) * len(columns)


def test_the_order_is_colour_flips_turn_crop_cutout(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, Any]] = []

    def noted(name: str) -> Any:
        own = getattr(module, name)

        def call(pixels: np.ndarray, *words: Any) -> np.ndarray:
            seen.append((name, pixels.copy()))
            out: np.ndarray = own(pixels, *words)
            seen.append((f"{name} gave", out.copy()))
            return out

        return call

    for name in ("change_colour", "cut_square"):
        monkeypatch.setattr(module, name, noted(name))
    noise = Noise(16, colour=0.1, cutout="square", probability=1.0)
    for seed in range(16):
        seen.clear()
        crop = noisy_crop(PICTURE, noise, stream(seed))
        assert [name for name, _ in seen] == ["change_colour", "change_colour gave", "cut_square", "cut_square gave"]
        (_, whole), (_, coloured), (_, before), (_, after) = seen
        np.testing.assert_array_equal(whole, PICTURE)
        np.testing.assert_array_equal(crop, after)
        turned = [np.rot90(flipped, k) for flipped in (coloured, coloured[::-1]) for k in range(4)]
        windows = [np.lib.stride_tricks.sliding_window_view(t, (16, 16, 3)).reshape(-1, 16, 16, 3) for t in turned]
        assert any((own == before).all((1, 2, 3)).any() for own in windows)  # flipped, turned, then cropped
        assert (after == 0).all(2).any()  # black after the changes of colour


def test_all_turns_flips_and_places_occur_alike() -> None:
    """Marks in the corners of a square picture say how it lies."""
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[0, 0], picture[0, -1], picture[-1, 0] = 1, 2, 3
    found: dict[tuple[int, ...], int] = {}
    for seed in range(800):
        crop = noisy_crop(picture, Noise(8), stream(seed))[..., 0]
        key = tuple(int(crop[i, j]) for i, j in ((0, 0), (0, -1), (-1, 0), (-1, -1)))
        found[key] = found.get(key, 0) + 1
    assert len(found) == 8 and min(found.values()) > 60  # the symmetries of a square, 100 expected of each
    column = np.arange(12, dtype=np.uint8)[None, :, None].repeat(8, 0).repeat(3, 2)
    lefts = [int(noisy_crop(column, Noise(8, base=False), stream(seed))[0, 0, 0]) for seed in range(500)]
    assert sorted(set(lefts)) == [0, 1, 2, 3, 4] and min(map(lefts.count, set(lefts))) > 60


def test_factors_are_uniform_and_half_of_the_crops_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    factors, cuts = [], []
    monkeypatch.setattr(module, "change_colour", lambda pixels, *given: factors.append(given) or pixels)
    monkeypatch.setattr(module, "cut_square", lambda pixels, *given: cuts.append(given) or pixels)
    for seed in range(1000):
        noisy_crop(PICTURE, Noise(16, colour=0.1, cutout="square"), stream(seed))
    values = np.array(factors)
    assert values.shape == (1000, 3) and 0.9 <= values.min() < 0.905 and 1.095 < values.max() <= 1.1
    assert np.abs(values.mean(0) - 1).max() < 0.01 and np.abs(np.corrcoef(values.T) - np.eye(3)).max() < 0.12
    assert 430 < len(cuts) < 570
    centres = np.array(cuts)[:, 1:]
    assert centres.min() >= 0 and centres.max() < 1 and np.abs(centres.mean(0) - 0.5).max() < 0.06


def test_rows_of_an_ablation_see_the_same_crops() -> None:
    """What is switched off draws its numbers nevertheless."""
    cut_away = Noise(16, colour=0.0, cutout="square", probability=0.0)
    for seed in range(5):
        plain = noisy_crop(PICTURE, Noise(16), stream(seed))
        np.testing.assert_array_equal(noisy_crop(PICTURE, cut_away, stream(seed)), plain)
        coloured = noisy_crop(PICTURE, Noise(16, colour=0.02), stream(seed)).astype(int)
        assert 0 < np.abs(coloured - plain).max() <= 16


def test_a_small_image_is_enlarged() -> None:
    crop = noisy_crop(PICTURE, Noise(60), stream(0))
    assert crop.shape == (60, 60, 3)


def test_crops_follow_purpose_image_and_visit_alone(made: ModuleType) -> None:
    source = made.noise(6)
    noise = Noise(13, colour=0.1, cutout="square")
    images = made.image_set(source)
    whole = noisy_crops(images, range(6), noise, 7, "student", "noise", 0)
    assert whole.shape == (6, 3, 13, 13)
    backwards = noisy_crops(made.image_set(source, [5, 4, 3, 2, 1, 0]), range(6), noise, 7, "student", "noise", 0)
    assert (whole.flip(0) == backwards).all()
    for other in ((8, "student", "noise", 0), (7, "student-2", "noise", 0), (7, "student", "noise", 1)):
        assert (noisy_crops(images, range(6), noise, *other) != whole).flatten(1).any(1).sum() >= 5
    again = noisy_crops(images, [0, 0], noise, 7, "student", "noise", 0, visits=[0, 1])
    assert (again[0] == whole[0]).all() and (again[0] != again[1]).any()


def test_parameters_make_the_noise(params: dict[str, Any]) -> None:
    assert Noise.of(params) == Noise(13, True, 0.1, "square", 0.2, 0.5)
    plain = {"extra_augmentation": False, "base_augmentation": False}
    assert Noise.of({**params, **plain}) == Noise(13, False, 0.0, "", 0.2, 0.5)
