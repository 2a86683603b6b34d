"""From an image file to eight-bit RGB, and to the working size.

What is decoded is what people see on a white page: the first frame counts; EXIF orientation is applied; grey is
repeated in three channels; transparent pixels are blended onto white; colours with an embedded ICC profile other
than sRGB are converted to sRGB (relative colorimetric intent); of 16-bit samples the high byte is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from ssliqa_bench.errors import DataError
from ssliqa_bench.pixels.formats import HEIF_ADVICE, HEIF_ENDINGS, MAX_PIXELS, heif_available, max_pixels

# Raised by one when the pixels that this module gives for the same file change: cached pixels follow it.
PIXELS_VERSION = 2

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
# 32-bit integers and floats have no agreed range.
_NO_RANGE = ("I", "F")


BACKGROUND = (255, 255, 255)  # below transparent pixels
_SRGB = ImageCms.createProfile("sRGB")


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    Attributes:
        pixels: uint8 (H, W, 3), contiguous.
        blended: whether any pixel was transparent and so blended onto the background.
        profile: name of the ICC profile that the colours were converted from; "" for sRGB and untagged files.
    """

    pixels: NDArray[np.uint8]
    blended: bool = False
    profile: str = ""


def decode(path: Path | str) -> NDArray[np.uint8]:
    """The picture in a file, uint8 (H, W, 3), contiguous; errors as `open_picture`."""
    return open_picture(path).pixels


def open_picture(path: Path | str) -> Picture:
    """The picture in a file, with what was converted to get it.

    Raises:
        DataError: missing, empty, truncated or not an image that Pillow reads; names the file.
    """
    try:
        if os.stat(path).st_size == 0:
            raise DataError(f"{path}: is empty (0 bytes); expected an image.")
        # A process-wide switch that other libraries turn on; with it a truncated file gives grey pixels, unsaid.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        if str(path).lower().endswith(HEIF_ENDINGS):
            _register_heif(path)
        with _opened(path) as opened:
            _check_size(path, opened)
            return picture_of(opened, str(path))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # decoders raise errors of every kind on damaged files
        raise DataError(f"{path}: not readable as an image: {_reason(error)}.") from error


def picture_of(image: Image.Image, where: str) -> Picture:
    """The picture in an open image of Pillow, as in its file.

    Args:
        where: names it in the message.

    Raises:
        DataError: its pixels have no known range.
    """
    picture = _eight_bit(ImageOps.exif_transpose(image), image.info.get("icc_profile"))
    if picture is None:
        raise DataError(f"{where}: pixels of mode {image.mode} have no known range; expected 8 or 16 bits per sample.")
    return picture


@contextlib.contextmanager
def _opened(path: Path | str) -> Iterator[Image.Image]:
    """An image file without Pillow's own limit of pixels, whose warning does not name the file."""
    known, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as opened:
            yield opened
    finally:
        Image.MAX_IMAGE_PIXELS = known


def _check_size(path: Path | str, image: Image.Image) -> None:
    width, height = image.size
    limit = max_pixels()
    if width * height > limit:
        raise DataError(f"{path}: has {width}×{height} pixels, {width * height / 1e6:.0f} megapixels; the limit is "
                        f"{limit / 1e6:.0f}. Raise it with --max-pixels {width * height} (${MAX_PIXELS}), "
                        f"which takes about {width * height * 9 / 1e9:.1f} GB of memory, or make the image smaller.")


def _register_heif(path: Path | str) -> None:
    if not heif_available():
        raise DataError(f"{path}: is a HEIC file, which needs a decoder of its own: {HEIF_ADVICE}.")
    import pillow_heif

    pillow_heif.register_heif_opener()


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


def _eight_bit(image: Image.Image, profile: bytes | None) -> Picture | None:
    if image.mode in _NO_RANGE:
        return None
    if image.mode in _SIXTEEN_BIT:
        # Pillow keeps the high byte of 16-bit RGB when it opens the file; grey is treated alike.
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return Picture(np.repeat(grey[:, :, None], 3, axis=2))
    image, blended = _opaque(image)
    image, converted = _in_srgb(image, profile)
    return Picture(np.array(image.convert("RGB")), blended, converted)


def _opaque(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image without alpha, transparent pixels blended onto the background, and whether there were any."""
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image, False
    layered = image.convert("RGBA")
    if layered.getextrema()[3] == (255, 255):  # type: ignore[misc]
        return layered.convert("RGB"), False
    page = Image.new("RGBA", layered.size, (*BACKGROUND, 255))
    return Image.alpha_composite(page, layered).convert("RGB"), True


def _in_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """The image in sRGB, and the name of the profile it was converted from, "" where nothing was converted.

    A profile that cannot be read or does not fit the image's mode is ignored, as browsers do.
    """
    if not profile:
        return image, ""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if "srgb" in name.lower():
            return image, ""
        mode = image.mode if image.mode in ("RGB", "L", "CMYK") else "RGB"
        converted = ImageCms.profileToProfile(
            image.convert(mode), source, _SRGB, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, ""
    return (image, "") if converted is None else (converted, name or "unnamed profile")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no known image format"
    return (str(error) or type(error).__name__).rstrip(".")
