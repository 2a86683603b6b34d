"""Small pictures of photographs, for pages that show many."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from ssliqa_bench.pixels.decode import decode

SIDE = 240  # of a thumbnail, pixels


def thumbnail(path: Path | str) -> bytes:
    """A photograph as models see it, as a JPEG with sides of at most 240 pixels.

    Raises:
        DataError: the file is not readable as an image.
    """
    picture = Image.fromarray(decode(path))
    picture.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=80)
    return data.getvalue()
