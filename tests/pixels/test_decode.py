"""Files of every kind become the same kind of pixels, or one clear error."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from ssliqa_bench.errors import DataError
from ssliqa_bench.pixels.decode import content_hash, decode, open_picture, resize_short


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)


def wide_gamut_profile() -> bytes:
    """A matrix profile with the primaries of Adobe RGB (1998) and gamma 2.2, put together by hand (ICC.1:2001-04)."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    text = b"Wide test"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" * 79,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv\0\0\0\0" + struct.pack(">IHH", 1, 563, 0)),
    }
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, 0x02100000, b"mntr", b"RGB ", b"XYZ ") + b"\0" * 12 + b"acsp"
    header += b"\0" * 28 + xyz(0.9642, 1.0, 0.8249)[8:] + b"\0" * 48
    return header + struct.pack(">I", len(tags)) + table + body


def write_png16(path: Path, samples: NDArray[np.uint16]) -> None:
    """A 16-bit PNG, grey (H, W) or RGB (H, W, 3), put together by hand."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 0 if samples.ndim == 2 else 2, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines))
                     + chunk(b"IEND", b""))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_rgb(tmp_path: Path, picture: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(picture).save(path, **({"lossless": True} if suffix == "webp" else {}))
    pixels = decode(path)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, picture)


def test_grey_is_repeated(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    Image.fromarray(picture[:, :, 0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), np.repeat(picture[:, :, :1], 3, axis=2))


def test_one_bit(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    Image.fromarray(picture[:, :, 0] > 127).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png")[:, :, 1], np.where(picture[:, :, 0] > 127, 255, 0))


def on_white(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What a white page shows of colours (H, W, 3) under an alpha channel (H, W), in plain arithmetic."""
    share = alpha[:, :, None] / 255.0
    return colours * share + 255.0 * (1.0 - share)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_blended_onto_white(tmp_path: Path, picture: NDArray[np.uint8], mode: str) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, picture.shape[:2], dtype=np.uint8)
    colours = picture if mode == "RGBA" else picture[:, :, :1]
    Image.fromarray(np.dstack([colours, alpha]), mode).save(tmp_path / "a.png")
    found = open_picture(tmp_path / "a.png")
    expected = on_white(np.broadcast_to(colours, picture.shape), alpha)
    assert found.blended and np.abs(found.pixels - expected).max() <= 1


def test_colours_below_transparent_pixels_do_not_count(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    alpha = np.where(np.arange(picture.shape[1]) < 6, 0, 255)[None].repeat(len(picture), 0).astype(np.uint8)
    seen = []
    for hidden in (0, 77, 255):
        colours = np.where(alpha[:, :, None] > 0, picture, hidden).astype(np.uint8)
        Image.fromarray(np.dstack([colours, alpha]), "RGBA").save(tmp_path / "a.png")
        seen.append(decode(tmp_path / "a.png"))
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])
    assert (seen[0][:, :6] == 255).all()


def test_an_opaque_alpha_channel_changes_nothing(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    opaque = np.full(picture.shape[:2], 255, dtype=np.uint8)
    Image.fromarray(np.dstack([picture, opaque]), "RGBA").save(tmp_path / "a.png")
    found = open_picture(tmp_path / "a.png")
    assert not found.blended
    np.testing.assert_array_equal(found.pixels, picture)


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(tmp_path: Path, transparent: bool) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (16, 3), dtype=np.uint8)
    codes = np.random.default_rng(3).integers(0, 16, (9, 13), dtype=np.uint8)
    image = Image.fromarray(codes, "P")
    image.putpalette(colours.ravel().tolist())
    image.save(tmp_path / "a.png", **({"transparency": bytes(range(16))} if transparent else {}))
    expected = on_white(colours[codes], codes) if transparent else colours[codes]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.abs(decode(tmp_path / "a.png") - expected).max() <= (1 if transparent else 0)


def test_an_srgb_profile_changes_nothing(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(picture).save(tmp_path / "a.png", icc_profile=profile)
    found = open_picture(tmp_path / "a.png")
    assert found.profile == ""
    np.testing.assert_array_equal(found.pixels, picture)


def test_another_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    """A CIELAB-based profile: L* of a grey says which sRGB value is seen; closed form from CIE 1976 and IEC 61966."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.fromarray(np.full((4, 4, 3), 128, dtype=np.uint8), "RGB").save(tmp_path / "a.png", icc_profile=lab)
    assert open_picture(tmp_path / "a.png").profile == ""  # does not fit the mode of the file: ignored
    wide = wide_gamut_profile()
    Image.fromarray(np.full((4, 4, 3), (0, 200, 0), dtype=np.uint8)).save(tmp_path / "b.png", icc_profile=wide)
    found = open_picture(tmp_path / "b.png")
    assert found.profile and found.pixels[0, 0, 1] > 200  # the wider green is a stronger sRGB green


def test_a_broken_profile_is_ignored(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png", icc_profile=b"no profile at all")
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), picture)


@pytest.mark.parametrize("shape", [(8, 32), (8, 32, 3)])
def test_sixteen_bit_is_scaled(tmp_path: Path, shape: tuple[int, ...]) -> None:
    samples = np.linspace(0, 65535, int(np.prod(shape))).astype(np.uint16).reshape(shape)
    write_png16(tmp_path / "a.png", samples)
    exact = samples / 257.0
    pixels = decode(tmp_path / "a.png").astype(float)
    assert pixels.min() == 0 and pixels.max() == 255
    assert np.max(np.abs(pixels - (exact if samples.ndim == 3 else exact[:, :, None]))) < 1


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_orientation_is_applied(tmp_path: Path, suffix: str) -> None:
    """Each of the eight EXIF orientations, against the transformation that its definition names."""
    smooth = np.add.outer(np.arange(16) * 4, np.arange(24) * 7).astype(np.uint8)
    upright = np.repeat(smooth[:, :, None], 3, axis=2)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1), 7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    for orientation, pixels in stored.items():
        image = Image.fromarray(np.ascontiguousarray(pixels))
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / f"a.{suffix}", exif=exif, **({"quality": 98} if suffix == "jpg" else {}))
        decoded = decode(tmp_path / f"a.{suffix}")
        assert decoded.shape == upright.shape
        assert np.abs(decoded.astype(int) - upright).max() <= (6 if suffix == "jpg" else 0), orientation


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "jp2"])
@pytest.mark.parametrize("lenient", [False, True])
def test_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, lenient: bool) -> None:
    """Also where another library has asked Pillow to fill the missing part with grey."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(4).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"a\.{suffix}: not readable as an image"):
        decode(path)


def test_empty_and_no_image_and_missing(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png: is empty \(0 bytes\)"):
        decode(tmp_path / "empty.png")
    (tmp_path / "text.jpg").write_text("not an image")
    with pytest.raises(DataError, match=r"text\.jpg: not readable as an image: no known image format\.$"):
        decode(tmp_path / "text.jpg")
    with pytest.raises(DataError, match=r"none\.jpg: not readable as an image: .*No such file"):
        decode(tmp_path / "none.jpg")
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"float\.tif: pixels of mode F have no known range"):
        decode(tmp_path / "float.tif")


@pytest.mark.parametrize(("shape", "side", "expected"), [
    ((40, 60, 3), 20, (20, 30, 3)), ((60, 40, 3), 20, (30, 20, 3)), ((10, 15, 3), 20, (20, 30, 3)),
    ((20, 33, 3), 20, (20, 33, 3)), ((768, 1024, 3), 512, (512, 683, 3)),
])
def test_short_side(shape: tuple[int, ...], side: int, expected: tuple[int, ...]) -> None:
    pixels = np.full(shape, 77, dtype=np.uint8)
    resized = resize_short(pixels, side)
    assert resized.shape == expected and (resized == 77).all()


def test_content_hash_sees_shape_and_pixels(picture: NDArray[np.uint8]) -> None:
    same = [content_hash(picture), content_hash(picture.copy(order="F"))]
    assert len(set(same)) == 1
    other = picture.copy()
    other[3, 4, 1] ^= 1
    assert len({same[0], content_hash(other), content_hash(picture.reshape(13, 9, 3))}) == 3
