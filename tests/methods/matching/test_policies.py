"""Views of the two policies: crops that are pieces of the image, and the operations that change it."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.stats import chisquare, spearmanr
from skimage.metrics import structural_similarity

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.methods.matching import classic
from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.training.views import View, test_crops

test_crops.__test__ = False  # type: ignore[attr-defined]  # a view, not a test


def mapped(number: int, height: int = 30, width: int = 40) -> np.ndarray:
    """An image whose pixels say where they are: row, column, number of the image."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, number)], axis=2).astype(np.uint8)


def pieces(view: torch.Tensor, image: np.ndarray) -> tuple[int, int]:
    """Top and left of a view of `mapped`; it must be that sub-array, flipped left-right or not."""
    crop = view.numpy().transpose(1, 2, 0)
    top, left = int(crop[..., 0].min()), int(crop[..., 1].min())
    side = len(crop)
    part = image[top : top + side, left : left + side]
    assert np.array_equal(crop, part) or np.array_equal(crop, part[:, ::-1])
    return top, left


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.25, 0.6, 1.0]), st.integers(13, 30))
def test_every_quality_preserving_view_is_a_piece_of_the_image(
    made: ModuleType, epoch: int, overlap: float, side: int
) -> None:
    pictures = [mapped(k, 30 + k, 40 - k) for k in range(3)]
    images = made.image_set(made.Memory(pictures))
    policy = Policy("quality_preserving", side, overlap)
    weak, first, second = policy.pairs(images, np.array([2, 0]), 2, 1, "unlabeled", epoch)
    for k, number in enumerate((2, 0)):
        at = pieces(weak[k], pictures[number])
        for strong in (first, second):
            top, left = pieces(strong[k], pictures[number])
            shared = max(0, side - abs(at[0] - top)) * max(0, side - abs(at[1] - left))
            assert shared >= overlap * side**2 - 1e-9
    for view, number in zip(policy.weak(images, np.array([1, 2]), 1, "labeled", epoch), (1, 2), strict=True):
        pieces(view, pictures[number])


def test_with_d4_strong_views_are_pieces_turned_by_right_angles(made: ModuleType) -> None:
    picture = mapped(0)
    images = made.image_set(made.Memory([picture]))
    policy = Policy("quality_preserving", 20, d4=True)
    turned = set()
    for epoch in range(20):
        _, strong = policy.pairs(images, np.array([0]), 1, epoch)
        fits = [k for k in range(4) if fitting(torch.rot90(strong[0], k, (1, 2)), picture)]
        assert len(fits) == 1
        turned.update(fits)
    assert turned == {0, 1, 2, 3}


def fitting(view: torch.Tensor, image: np.ndarray) -> bool:
    try:
        pieces(view, image)
    except AssertionError:
        return False
    return True


def test_corners_are_even(made: ModuleType) -> None:
    """Every place of a crop comes equally often, and so do both orientations."""
    images = made.image_set(made.Memory([mapped(0, 12, 15)]))
    policy, tops, lefts, flips = Policy("quality_preserving", 10), [], [], 0
    for epoch in range(1200):
        view = policy.weak(images, np.array([0]), epoch)[0]
        tops.append(int(view[0].min()))
        lefts.append(int(view[1].min()))
        flips += int(view[1, 0, 0] > view[1, 0, -1])
    for values, places in ((tops, 3), (lefts, 6)):
        assert chisquare(np.bincount(values, minlength=places)).pvalue > 1e-3
    assert chisquare([flips, 1200 - flips]).pvalue > 1e-3


def test_an_image_is_judged_by_its_test_crops(made: ModuleType) -> None:
    images = made.image_set(made.noise(4))
    rows = np.array([3, 1, 3])
    found = Policy("quality_preserving", 13).evaluation(images, rows, 4)
    assert torch.equal(found, test_crops(images, rows, View(13, 4)))


@pytest.mark.parametrize("name", ["quality_preserving", "classic"])
def test_views_depend_on_purpose_image_and_visit_alone(made: ModuleType, name: str) -> None:
    source = made.noise(6, 40, 50)
    images = made.image_set(source)
    policy = Policy(name, 20)
    whole = policy.pairs(images, np.arange(6), 1, 1, "unlabeled", 3)
    other = made.image_set(source, [4, 2])
    again = policy.pairs(other, np.array([1, 0]), 1, 1, "unlabeled", 3, visits=np.array([0, 0]))
    for first, second in zip(whole, again, strict=True):
        assert torch.equal(first[[2, 4]], second)
    for changed in (
        policy.pairs(images, np.arange(6), 1, 1, "unlabeled", 4),
        policy.pairs(images, np.arange(6), 1, 1, "unlabeled", 3, visits=np.ones(6, dtype=int)),
    ):
        assert not torch.equal(changed[0], whole[0]) and not torch.equal(changed[1], whole[1])


@pytest.mark.parametrize("side", [20, 224])
def test_classic_views_have_the_size_asked_for(made: ModuleType, side: int) -> None:
    images = made.image_set(made.noise(2, 40, 50))
    policy = Policy("classic", side)
    views = [*policy.pairs(images, np.arange(2), 2, 1), policy.weak(images, np.arange(2), 1)]
    views.append(policy.evaluation(images, np.arange(2), 10))
    assert all(view.shape == (2, 3, side, side) and view.dtype == torch.uint8 for view in views)
    assert not torch.equal(views[1], views[2])


def test_the_square_cut_out_lies_as_published() -> None:
    for seed in range(200):
        random = np.random.default_rng(seed)
        found = classic.cutout(np.zeros((20, 40, 3), dtype=np.uint8), random)
        random = np.random.default_rng(seed)
        side, y, x = random.uniform(0, 0.5) * 40, random.uniform(0, 20), random.uniform(0, 40)
        top, left = int(max(0, y - side / 2)), int(max(0, x - side / 2))
        grey = (found == (125, 123, 114)).all(2)
        rows, columns = np.nonzero(grey)
        assert (rows.min(), columns.min()) == (top, left) if grey.any() else side == 0
        assert rows.max() < min(20, top + side) and columns.max() < min(40, left + side)


PHOTOMETRIC = {operation.name: operation for operation in classic.OPERATIONS if operation.photometric}
BAR = 0.8  # an operation changes quality where SSIM falls below 0.98 on so large a share of the demo images
# Those that stay below the bar, and what they reach, at the end of their range that changes most and at a magnitude
# drawn from it. AutoContrast does nothing to an image that fills its range, Sharpness is at most a slight blur, drawn
# Posterize leaves 5 to 7 bits three times in four; drawn Color comes close.
BELOW = {
    ("AutoContrast", "end"): (0.1, 0.5),
    ("Sharpness", "end"): (0.3, 0.7),
    ("AutoContrast", "drawn"): (0.1, 0.5),
    ("Sharpness", "drawn"): (0.05, 0.5),
    ("Posterize", "drawn"): (0.25, 0.75),
    ("Color", "drawn"): (0.6, 1.0),
    ("Identity", "end"): (0.0, 0.0),
    ("Identity", "drawn"): (0.0, 0.0),
}


@pytest.fixture(scope="module")
def demo_images() -> list[Image.Image]:
    """Forty images of the demo sets, spread over kinds and levels."""
    registry, own = load_registry(), Settings.from_environment()
    paths = []
    for name in ("demo-syn", "demo-wild"):
        paths += list(load_table(registry.dataset(name), own.data_root, own.cache_root).path)[::33]
    return [Image.open(path).convert("RGB") for path in paths]


def likeness(one: Image.Image, other: Image.Image) -> float:
    """SSIM of two colour images, the mean of their channels."""
    return float(structural_similarity(np.asarray(one), np.asarray(other), channel_axis=2, data_range=255))


@pytest.mark.parametrize("at", ["end", "drawn"])
@pytest.mark.parametrize("name", PHOTOMETRIC)
def test_photometric_operations_of_the_classic_policy_change_quality(
    demo_images: list[Image.Image], name: str, at: str
) -> None:
    operation, random = PHOTOMETRIC[name], np.random.default_rng(0)
    found = []
    for image in demo_images:
        magnitude = operation.low if at == "end" else random.uniform(operation.low, operation.high)
        changed = operation.apply(image, magnitude)
        assert changed.size == image.size
        found.append(likeness(image, changed))
    low, high = BELOW.get((name, at), (BAR, 1.0))
    assert low <= np.mean(np.array(found) < 0.98) <= high


def test_autocontrast_leaves_the_images_as_they_are_that_fill_their_range(demo_images: list[Image.Image]) -> None:
    filled = [image.getextrema() == ((0, 255),) * 3 for image in demo_images]
    same = [PHOTOMETRIC["AutoContrast"].apply(image, 0) == image for image in demo_images]
    assert same == filled and 0 < sum(filled) < len(filled)


def test_sharpness_changes_the_images_that_have_detail(demo_images: list[Image.Image]) -> None:
    """Its strongest setting is nearly a mean over 3 × 3 pixels: the more this takes away, the lower the SSIM."""
    operation = PHOTOMETRIC["Sharpness"]
    blurred = [image.filter(ImageFilter.SMOOTH) for image in demo_images]
    detail = np.array([
        np.abs(np.asarray(image, np.float64) - np.asarray(smooth, np.float64)).mean()
        for image, smooth in zip(demo_images, blurred, strict=True)
    ])  # fmt: skip
    found = np.array([likeness(image, operation.apply(image, operation.low)) for image in demo_images])
    assert spearmanr(detail, found).statistic < -0.5
    assert np.mean(found[detail >= np.median(detail)] < 0.98) > np.mean(found[detail < np.median(detail)] < 0.98)


def test_solarize_inverts_what_reaches_the_threshold() -> None:
    """Against a plain comparison, for every grey level and thresholds between them."""
    (solarize,) = (o for o in classic.OPERATIONS if o.name == "Solarize")
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(np.stack([grey] * 3, axis=2))
    for threshold in np.linspace(solarize.low, solarize.high, 41):
        found = np.asarray(solarize.apply(picture, float(threshold)))[:, :, 0].ravel()
        expected = [value if value < threshold else 255 - value for value in range(256)]
        assert found.tolist() == expected, threshold


def test_a_large_strong_crop_sees_no_pixel_outside_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "randaugment", lambda pixels, random: pixels)
    monkeypatch.setattr(classic, "_flipped", lambda pixels, random: pixels)
    monkeypatch.setattr(classic, "_box", lambda width, height, random: (40, 50, 200, 210))
    monkeypatch.setattr(classic, "_resized", lambda pixels, side: pixels)
    whole = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    other = 255 - whole
    other[50:210, 40:200] = whole[50:210, 40:200]
    seen = [classic.strong_classic_view(pixels, 224, np.random.default_rng(1)) for pixels in (whole, other)]
    np.testing.assert_array_equal(*seen)
