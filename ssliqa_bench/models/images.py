"""Images as a caller has them (files, Pillow images, arrays, tensors), as decoded pictures with their content hash."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ssliqa_bench.errors import InputError
from ssliqa_bench.pixels.decode import content_hash, open_picture, picture_of, resize_short
from ssliqa_bench.pixels.features import VIEWS, Extract
from ssliqa_bench.types import ByteImage

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Decoded:
    """Pictures in memory, known by their content as in a dataset's cache, so that they get the same crops."""

    def __init__(self, pictures: Sequence[ByteImage]) -> None:
        self.hashes = [content_hash(picture) for picture in pictures]
        self._pictures = pictures

    def image(self, row: int) -> ByteImage:
        """The picture of a row."""
        return self._pictures[row]


class Extracted(Decoded):
    """Pictures with their features by a frozen network."""

    def __init__(self, pictures: Sequence[ByteImage], extract: Extract) -> None:
        super().__init__(pictures)
        found = zip(pictures, self.hashes, strict=True)
        self._features = [extract(picture, content).astype(np.float16) for picture, content in found]

    def views(self, row: int, kind: str) -> NDArray[np.float16]:
        """Features (k, d) of the views of a kind of one picture."""
        first = sum(list(VIEWS.values())[: list(VIEWS).index(kind)])
        return self._features[row][first : first + VIEWS[kind]]


def each_image(images: Any) -> Iterator[tuple[str, Any]]:
    """The images that a caller passed, one after the other, with a name for messages.

    Raises:
        InputError: something that is no image.
    """
    for number, image in enumerate(_flat(images)):
        yield (str(image) if isinstance(image, str | os.PathLike) else f"image {number}"), image


def pixels_of(image: Any, name: str, short_side: int | None = None) -> ByteImage:
    """The picture of one image, uint8 (H, W, 3).

    Args:
        image: a path; an image of Pillow; an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8; a tensor
            (C, H, W) of 1 or 3 channels, uint8, or floating point in [0, 1].
        short_side: to which it is resized, in pixels.

    Raises:
        InputError: another shape, type or range.
        DataError: a file that cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        pixels = open_picture(Path(image)).pixels
    elif isinstance(image, Image.Image):
        pixels = picture_of(image, name).pixels
    elif isinstance(image, torch.Tensor):
        pixels = _of_array(_of_tensor(image, name), name)
    else:
        pixels = _of_array(image, name)
    pixels = np.ascontiguousarray(pixels)
    return pixels if short_side is None else np.ascontiguousarray(resize_short(pixels, short_side))


def _flat(images: Any) -> Iterator[Any]:
    if isinstance(images, str | os.PathLike | Image.Image):
        yield images
    elif isinstance(images, np.ndarray | torch.Tensor):
        yield from images if images.ndim == 4 else [images]
    elif isinstance(images, Iterable):
        for image in images:
            yield from _flat(image)
    else:
        raise InputError(f"Got {type(images).__name__}; expected paths, Pillow images, arrays or tensors.")


def _of_tensor(image: torch.Tensor, name: str) -> NDArray[Any]:
    """An array (H, W, C), uint8; 0.5 of a grey level and more is rounded up."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise InputError(f"{name}: got a tensor of shape {tuple(image.shape)}; expected (1, H, W) or (3, H, W).")
    values = image.detach().cpu()
    if values.dtype.is_floating_point:
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise InputError(
                f"{name}: got values from {float(values.min()):g} to {float(values.max()):g}; expected 0 to 1 in a "
                f"tensor of floating-point numbers."
            )
        values = (values.float() * 255.0 + 0.5).floor().to(torch.uint8)
    return values.permute(1, 2, 0).numpy()


def _of_array(image: NDArray[Any], name: str) -> ByteImage:
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if image.dtype != np.uint8 or channels not in _MODES or not image.size:
        raise InputError(
            f"{name}: got an array of {image.dtype}, shape {image.shape}; expected uint8, (H, W), (H, W, 3) or "
            f"(H, W, 4) with alpha."
        )
    if channels == 3:
        return image
    flat = image[:, :, 0] if channels == 1 and image.ndim == 3 else image
    return picture_of(Image.fromarray(np.ascontiguousarray(flat)), name).pixels
