"""The two generated demo sets: photographs and procedural scenes with simulated opinions.

They show that the machinery works and are no evidence about human opinion. Scores depend on the seeds below
and on the undistorted contents only, so they are equal on every machine; `fingerprint` covers the bytes made.
A change of any constant needs a new `generator_version` in the registry.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssliqa_bench.types import FloatArray, derive_seed

SIDE = 160
LEVELS = (1, 2, 3, 4, 5)

_CROPS_PER_PHOTOGRAPH = 5
_CROP_CANDIDATES = 8
_SCENES = 40
_DISCS = 700
_OPEN_SHARE = 0.005

_SEVERITY = {1: 0.18, 2: 0.36, 3: 0.55, 4: 0.74, 5: 0.92}
_SEVERITY_NOISE = 0.03
# How much a busy content raises (blur is seen in texture) or lowers (noise is masked by it) the severity.
_ACTIVITY_EFFECT = {"blur": 0.10, "jpeg2000": 0.05, "jpeg": -0.06, "noise": -0.12}
_ACTIVITY_MEAN, _ACTIVITY_SPREAD = 2.2, 0.6
_RATERS = 24
_RATER_BIAS = 0.25
_RATING_NOISE = 0.55

_LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class _Content:
    """One undistorted picture, uint8 (160, 160, 3), and the group that it belongs to."""

    name: str
    group: str
    pixels: NDArray[np.uint8]


def make_demo_syn(folder: Path) -> None:
    """Write demo-syn: 35 crops of seven photographs x blur, JPEG, noise x five levels = 525 images."""
    photographs = _photographs()
    _write_set(folder, "demo-syn", ("blur", "jpeg", "noise"), _crops(photographs))


def make_demo_wild(folder: Path) -> None:
    """Write demo-wild: 40 dead-leaves scenes x blur, JPEG, noise, JPEG 2000 x five levels = 800 images."""
    makers = [_scene_maker(number) for number in range(1, _SCENES + 1)]
    _write_set(folder, "demo-wild", ("blur", "jpeg", "noise", "jpeg2000"), makers)


def activity(pixels: NDArray[np.uint8]) -> float:
    """log(1 + mean gradient magnitude) of the luminance, in grey levels per pixel."""
    rows, columns = np.gradient(pixels @ _LUMINANCE)
    return math.log1p(float(np.hypot(rows, columns).mean()))


def severity(kind: str, level: int, content_activity: float, rng: np.random.Generator) -> float:
    """How strongly a distortion is seen, 0 (not at all) to 1."""
    z = (content_activity - _ACTIVITY_MEAN) / _ACTIVITY_SPREAD
    value = _SEVERITY[level] * (1 + _ACTIVITY_EFFECT[kind] * z) + rng.normal(0.0, _SEVERITY_NOISE)
    return min(max(value, 0.0), 1.0)


def rate(seen: float, bias: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Ratings 1 (worst) to 5 of a panel of simulated raters, one per entry of `bias`."""
    felt = 1 + 4 * (1 - seen) + bias + rng.normal(0.0, _RATING_NOISE, len(bias))
    return np.clip(np.rint(felt), 1, 5)


def dead_leaves(rng: np.random.Generator, side: int = 2 * SIDE) -> NDArray[np.uint8]:
    """A scene of occluding shaded discs with 1/f texture, uint8 (side, side, 3).

    Sizes follow a power law, so that the statistics resemble those of natural images
    (Lee, Mumford, Huang, "Occlusion models for natural images", IJCV 2001).
    """
    base = rng.uniform(40, 215, 3)
    radius_y = np.minimum(8 / rng.uniform(0.02, 1, _DISCS) ** 0.75, 120.0)
    radius_x = radius_y * rng.uniform(0.5, 1.6, _DISCS)
    centre_y, centre_x = rng.uniform(0, side, (2, _DISCS))
    colour = np.clip(base + rng.normal(0, 55, (_DISCS, 3)), 0, 255)
    slope_y, slope_x = rng.normal(0, 0.35, (2, _DISCS))
    first_y, last_y = np.ceil(centre_y - radius_y).clip(0), np.floor(centre_y + radius_y).clip(max=side - 1)
    first_x, last_x = np.ceil(centre_x - radius_x).clip(0), np.floor(centre_x + radius_x).clip(max=side - 1)

    scene = np.tile(base, (side, side, 1))
    empty = np.ones((side, side), dtype=bool)
    still_empty = side * side
    for k in range(_DISCS):
        # Front to back: of the disc's bounding box only the pixels that no earlier disc took.
        top, left = int(first_y[k]), int(first_x[k])
        rows, columns = np.nonzero(empty[top : int(last_y[k]) + 1, left : int(last_x[k]) + 1])
        rows, columns = rows + top, columns + left
        dy, dx = rows - centre_y[k], columns - centre_x[k]
        inside = (dy / radius_y[k]) ** 2 + (dx / radius_x[k]) ** 2 <= 1
        rows, columns = rows[inside], columns[inside]
        shading = slope_y[k] * dy[inside] + slope_x[k] * dx[inside]
        scene[rows, columns] = colour[k] + shading[:, None]
        empty[rows, columns] = False
        still_empty -= len(rows)
        if still_empty <= _OPEN_SHARE * side * side:
            break
    scene += rng.uniform(0, 18) * _texture(rng, side)[:, :, None]
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, side: int) -> FloatArray:
    """Gaussian noise with an amplitude spectrum of 1/f^1.1, mean 0 and standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) / frequency**1.1
    texture: FloatArray = np.fft.irfft2(spectrum, s=(side, side))
    texture /= texture.std()
    return texture


def _photographs() -> dict[str, NDArray[np.uint8]]:
    """The colour photographs that scikit-image and scikit-learn ship inside their packages."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    photographs = {name: getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
    photographs["motorcycle"] = data.stereo_motorcycle()[0]  # type: ignore[no-untyped-call]
    samples = load_sample_images()
    for path, pixels in zip(samples.filenames, samples.images, strict=True):
        photographs[Path(path).stem] = pixels
    return photographs


def _crops(photographs: dict[str, NDArray[np.uint8]]) -> Iterator[Callable[[], _Content]]:
    for group, photograph in photographs.items():
        height, width = photograph.shape[:2]
        for number in range(1, _CROPS_PER_PHOTOGRAPH + 1):
            rng = _rng("demo-syn", "crop", group, number)
            tops = rng.integers(0, height - SIDE + 1, _CROP_CANDIDATES)
            lefts = rng.integers(0, width - SIDE + 1, _CROP_CANDIDATES)
            candidates = [photograph[t : t + SIDE, x : x + SIDE, :3] for t, x in zip(tops, lefts, strict=True)]
            # A flat piece of sky shows no distortion: take the liveliest candidate.
            content = _Content(f"{group}-{number}", group, max(candidates, key=lambda crop: float(crop.std())))
            yield lambda content=content: content  # type: ignore[misc]


def _scene_maker(number: int) -> Callable[[], _Content]:
    def make() -> _Content:
        scene = Image.fromarray(dead_leaves(_rng("demo-wild", "scene", number)))
        name = f"scene-{number:02d}"
        return _Content(name, name, np.array(scene.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))

    return make


def _write_set(folder: Path, dataset: str, kinds: Sequence[str], makers: Iterable[Callable[[], _Content]]) -> None:
    for name in ("images", "refs"):
        (folder / name).mkdir(parents=True)
    bias = _rng(dataset, "raters").normal(0.0, _RATER_BIAS, _RATERS)
    # Every image has random numbers of its own, so the number of threads changes nothing.
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        rows = [row for part in pool.map(lambda make: _write_content(folder, dataset, kinds, make(), bias), makers)
                for row in part]
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["image", "score", "rating_std", "c1", "c2", "c3", "c4", "c5",
                         "reference", "group", "distortion", "level"])
        writer.writerows(rows)


def _write_content(
    folder: Path, dataset: str, kinds: Sequence[str], content: _Content, bias: FloatArray
) -> list[list[str]]:
    # Brings OpenCV, which reading a set that is already there does not need.
    from ssliqa_bench.datasets.distort import distort

    reference = f"{content.name}.png"
    _save(content.pixels, folder / "refs" / reference)
    busy = activity(content.pixels)
    rows = []
    for kind in kinds:
        for level in LEVELS:
            rng = _rng(dataset, "opinion", content.name, kind, level)
            ratings = rate(severity(kind, level, busy, rng), bias, rng)
            counts = [str(int(np.count_nonzero(ratings == step))) for step in range(1, 6)]
            name = f"{content.name}_{kind}_{level}.png"
            _save(distort(content.pixels, kind, level, _rng(dataset, "pixels", content.name, kind, level)),
                  folder / "images" / name)
            rows.append([name, f"{ratings.mean():.6f}", f"{ratings.std(ddof=1):.6f}", *counts,
                         reference, content.group, kind, str(level)])
    return rows


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    # Light compression: most of the time would go into it, and the files stay on this machine.
    Image.fromarray(pixels).save(path, compress_level=1)


def _rng(*parts: str | int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive_seed(*parts)))
