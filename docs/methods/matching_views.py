"""Draws the two pictures of docs/methods/matching.md from a photograph of scikit-image.

    python docs/methods/matching_views.py

Each tile of the first shows one operation of the policy `classic`, at the low end of its range, and whole strong views;
those of the second weak and strong views of the policy `quality_preserving`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

from ssliqa_bench.methods.matching import classic
from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import derive_seed

FOLDER = Path(__file__).parent
SIDE, CROP, TEXT, COLUMNS = 150, 224, 14, 5
_NAMES = ("weak", "strong", "strong, d4")


class Photograph:
    """One picture in memory."""

    hashes = (str(derive_seed("coffee")),)

    def image(self, row: int) -> np.ndarray:
        """The photograph, uint8 (400, 600, 3)."""
        return data.coffee()


def tile(pixels: np.ndarray, name: str) -> Image.Image:
    """A square of the sheet with a name under it."""
    out = Image.new("RGB", (SIDE, SIDE + TEXT), "white")
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    out.paste(picture, (0, 0))
    ImageDraw.Draw(out).text((2, SIDE), name, fill="black")
    return out


def sheet(tiles: list[Image.Image], file: Path) -> None:
    """Tiles in rows."""
    rows = -(-len(tiles) // COLUMNS)
    out = Image.new("RGB", (COLUMNS * (SIDE + 4), rows * (SIDE + TEXT + 4)), "white")
    for k, one in enumerate(tiles):
        out.paste(one, (k % COLUMNS * (SIDE + 4), k // COLUMNS * (SIDE + TEXT + 4)))
    out.save(file, quality=85)


def classic_tiles() -> list[Image.Image]:
    """The photograph, each operation, a square cut out, and three whole strong views."""
    square = np.asarray(Image.fromarray(data.coffee()[:, 100:500]).resize((CROP, CROP), Image.Resampling.BILINEAR))
    tiles = [tile(square, "as it is")]
    for operation in classic.OPERATIONS:
        pixels = np.asarray(operation.apply(Image.fromarray(square), operation.low))
        ranged = "" if operation.low == operation.high else f" {operation.low:g}"
        tiles.append(tile(pixels, operation.name + ranged))
    tiles.append(tile(classic.cutout(square.copy(), np.random.default_rng(1)), "Cutout"))
    random = np.random.default_rng(5)
    tiles += [tile(classic.strong_view(data.coffee(), CROP, random), f"strong view {k}") for k in (1, 2, 3)]
    return tiles


def preserving_tiles() -> list[Image.Image]:
    """Weak and strong views of three draws."""
    images, rows = ImageSet([(Photograph(), 0)]), np.array([0])
    tiles = [tile(data.coffee(), "the photograph")]
    for draw in range(3):
        plain = Policy("quality_preserving", CROP).pairs(images, rows, 1, "picture", draw)
        turned = Policy("quality_preserving", CROP, d4=True).pairs(images, rows, 1, "picture", draw)
        views = (plain[0], plain[1], turned[1])
        for view, name in zip(views, _NAMES, strict=True):
            tiles.append(tile(view[0].numpy().transpose(1, 2, 0), f"draw {draw + 1}, {name}"))
    return tiles


if __name__ == "__main__":
    sheet(classic_tiles(), FOLDER / "matching-classic.jpg")
    sheet(preserving_tiles(), FOLDER / "matching-quality-preserving.jpg")
