"""A folder of photographs: one list of endings, and what is left out is counted and logged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from ssliqa_bench.datasets.readers.folder import read_folder
from ssliqa_bench.errors import DataError
from ssliqa_bench.pixels import formats
from ssliqa_bench.pixels.decode import decode

ENDINGS = ("jpg", "JPEG", "jfif", "png", "PNG", "bmp", "gif", "tif", "webp", "avif", "ppm", "jp2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "photos"
    home.mkdir()
    for k, ending in enumerate(ENDINGS):
        Image.new("RGB", (12, 10), (k * 20, 90, 200)).save(home / f"im{k:02d}.{ending}")
    return home


def test_every_format_that_decodes_is_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = read_folder(folder, {})
    assert raw.name == tuple(sorted(os.listdir(folder))) and len(raw.name) == len(ENDINGS)
    assert all(decode(path).shape == (10, 12, 3) for path in raw.path) and caplog.text == ""


def test_what_is_left_out_is_counted(folder: Path, caplog: pytest.LogCaptureFixture,
                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(formats, "heif_available", lambda: False)
    for name in ("a.HEIC", "b.heif", "notes.txt", "noending", ".DS_Store", "._im00.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "broken.png").symlink_to("/nonexistent/x.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "@eaDir" / "im00.jpg").mkdir(parents=True)
    (folder / "@eaDir" / "im00.jpg" / "SYNOPHOTO_THUMB_XL.jpg").write_bytes(b"x")
    (folder / ".thumbnails").mkdir()
    (folder / ".thumbnails" / "t.png").write_bytes(b"x")
    assert len(read_folder(folder, {}).name) == len(ENDINGS)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{folder}: 7 files left out (first: @eaDir/im00.jpg/SYNOPHOTO_THUMB_XL.jpg): .heic 1, .heif 1, .txt 1, "
        f"broken links 1, in @eaDir 1, pipes and devices 1, without ending 1. HEIC: {formats.HEIF_ADVICE}."
    )


def test_a_folder_without_any_photograph(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"x")
    with pytest.raises(DataError, match=r"No image file below .*\.avif.*1 file left out \(first: a\.raw\)"):
        read_folder(tmp_path, {})
