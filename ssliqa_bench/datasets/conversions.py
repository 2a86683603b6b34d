"""What decoding changes in images, counted: transparent pixels and colour profiles."""

from __future__ import annotations


def conversions(blended: int, converted: int) -> str:
    """A phrase about images whose transparent pixels were blended onto white and images whose colours were converted
    to sRGB; "" where there are none."""
    parts = []
    if blended:
        parts.append(f"{blended:,} with transparent pixels, blended onto white")
    if converted:
        parts.append(f"{converted:,} with an embedded ICC profile, converted to sRGB")
    return "; ".join(parts)
