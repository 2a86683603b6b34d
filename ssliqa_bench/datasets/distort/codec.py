"""Lossy codecs: what a file of some quality gives back."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from ssliqa_bench.datasets.distort.kind import Pixels8


def jpeg(image: Pixels8, quality: float, rng: np.random.Generator) -> Pixels8:
    """JPEG of a quality, 1 to 95."""
    return _recode(image, "JPEG", quality=int(quality))


def jpeg2000(image: Pixels8, rate: float, rng: np.random.Generator) -> Pixels8:
    """JPEG 2000 at a compression rate: raw bytes divided by coded bytes."""
    return _recode(image, "JPEG2000", quality_mode="rates", quality_layers=[rate])


def _recode(image: Pixels8, container: str, **options: Any) -> Pixels8:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, container, **options)
    buffer.seek(0)
    with Image.open(buffer) as decoded:
        return np.array(decoded.convert("RGB"))
