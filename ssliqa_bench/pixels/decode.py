"""From an image file to eight-bit RGB, and to the working size.

Conventions, chosen so that numbers agree with what other tools of the field compute from the same files:
the first frame counts; EXIF orientation is applied; grey is repeated in three channels; an alpha channel is
dropped, as Pillow's `convert("RGB")` does; of 16-bit samples the high byte is kept.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from ssliqa_bench.errors import DataError

# Raised by one when the pixels that this module gives for the same file change: cached pixels follow it.
PIXELS_VERSION = 1

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
# 32-bit integers and floats have no agreed range.
_NO_RANGE = ("I", "F")


def decode(path: Path | str) -> NDArray[np.uint8]:
    """The picture in a file, uint8 (H, W, 3), contiguous.

    Raises:
        DataError: missing, empty, truncated or not an image that Pillow reads; names the file.
    """
    try:
        if os.stat(path).st_size == 0:
            raise DataError(f"{path}: is empty (0 bytes); expected an image.")
        # A process-wide switch that other libraries turn on; with it a truncated file gives grey pixels, unsaid.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        with Image.open(path) as opened:
            mode = opened.mode
            pixels = _eight_bit(ImageOps.exif_transpose(opened))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # decoders raise errors of every kind on damaged files
        raise DataError(f"{path}: not readable as an image: {_reason(error)}.") from error
    if pixels is None:
        raise DataError(f"{path}: pixels of mode {mode} have no known range; expected 8 or 16 bits per sample.")
    return pixels


def resize_short(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The image with a short side of `side` pixels, larger or smaller than before, same aspect (bicubic)."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short == side:
        return pixels
    # Integer arithmetic, rounding half up, so that the size does not hang on a float.
    new_height, new_width = ((2 * length * side + short) // (2 * short) for length in (height, width))
    resized = Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BICUBIC)
    return np.array(resized)


def content_hash(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 (64 hexadecimal digits) of shape and pixels: equal for equal pictures in whatever file format."""
    hasher = hashlib.sha256("x".join(map(str, pixels.shape)).encode() + b"\n")
    hasher.update(np.ascontiguousarray(pixels).data)
    return hasher.hexdigest()


def _eight_bit(image: Image.Image) -> NDArray[np.uint8] | None:
    if image.mode in _NO_RANGE:
        return None
    if image.mode in _SIXTEEN_BIT:
        # Pillow keeps the high byte of 16-bit RGB when it opens the file; grey is treated alike.
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no known image format"
    return (str(error) or type(error).__name__).rstrip(".")
