"""Which files are photographs, by the ending of their names: one list for every reader."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

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
