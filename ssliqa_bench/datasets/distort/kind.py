"""What a kind of distortion is, and the arithmetic that several kinds share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels8 = NDArray[np.uint8]
FloatPixels = NDArray[np.float32]
Distortion = Callable[[Pixels8, float, np.random.Generator], Pixels8]


@dataclass(frozen=True)
class Kind:
    """One kind of distortion: what it does, and its strength at each level."""

    apply: Distortion
    strengths: tuple[float, ...]


def to_bytes(values: NDArray[Any]) -> Pixels8:
    """Grey levels of any range as uint8: rounded, then cut at 0 and 255."""
    cut: Pixels8 = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return cut


def to_lab(image: Pixels8) -> FloatPixels:
    """CIE L*a*b* (D65) of an sRGB image, float32 (H, W, 3): L* 0 to 100, a* and b* about -110 to 110."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float32, copy=False)


def from_lab(lab: FloatPixels) -> Pixels8:
    """The sRGB image nearest to L*a*b* values; colours outside sRGB are cut channel by channel."""
    return to_bytes(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB) * 255)


def luminance(image: Pixels8) -> FloatPixels:
    """Luma (ITU-R BT.601), float32 (H, W), 0 to 255."""
    # Written out: a matrix product would hang on the number of threads of the linear algebra library.
    red, green, blue = (image[:, :, channel].astype(np.float32) for channel in range(3))
    luma: FloatPixels = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return luma


def blurred(values: FloatPixels, sigma: float) -> FloatPixels:
    """Gaussian blur with a standard deviation in pixels; beyond the edge the last pixel is repeated."""
    return cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).astype(np.float32, copy=False)
