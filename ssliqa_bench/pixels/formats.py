"""Which files are photographs, by the ending of their names, and how large they may be: the same for every reader."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

from ssliqa_bench.errors import InputError

# What Pillow decodes to one picture and what people keep photographs in.
_PILLOW = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".avif",
    ".jp2", ".j2k", ".jpx", ".mpo", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".qoi",
)  # fmt: skip
HEIF_ENDINGS = (".heic", ".heif", ".hif")
HEIF_ADVICE = 'pip install "ssliqa-bench[heic]" adds the decoder; or convert them to JPEG or PNG'
# Folders in which systems and devices keep thumbnails and deleted files of the photographs beside them.
_SYSTEM_FOLDERS = frozenset(
    ("@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found",
     "system volume information")
)  # fmt: skip


# The limit of pixels: phones take pictures of 200 megapixels; beyond it a file may be made to exhaust the memory.
MAX_PIXELS = "SSLIQA_MAX_PIXELS"
_DEFAULT_LIMIT = 250_000_000


def max_pixels() -> int:
    """How many pixels an image may have: $SSLIQA_MAX_PIXELS, else 250 million.

    Raises:
        InputError: the variable is no whole number from 1.
    """
    text = os.environ.get(MAX_PIXELS, "").strip()
    if not text:
        return _DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise InputError(f'${MAX_PIXELS}: got "{text}"; expected a number of pixels, for example 250000000.')
    return int(text)


def decoders() -> dict[str, object]:
    """What decides, beside the files themselves, which of them can be decoded."""
    return {"max_pixels": max_pixels(), "heif": heif_available()}


@cache
def heif_available() -> bool:
    """Whether the optional decoder of HEIC and HEIF files is installed."""
    return find_spec("pillow_heif") is not None


def image_endings() -> tuple[str, ...]:
    """Endings of the files that can be decoded here, in small letters; compare with the name in small letters."""
    return (*_PILLOW, *HEIF_ENDINGS) if heif_available() else _PILLOW


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for a photograph, whatever its capitals."""
    return name.lower().endswith(image_endings())


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name holds what a system made of photographs, not photographs."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS
