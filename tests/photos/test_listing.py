"""Images by name: files, folders, patterns, lists and standard input."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.photos.listing import find_images


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs in two folders, and what is none beside them. The current folder lies around it."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.PNG", "deep/c.jpeg", "deep/@eaDir/b.jpg", ".hidden.jpg", "notes.txt", "odd.raw"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "photos"


def test_a_folder_gives_its_photographs_in_order_and_nothing_else(folder: Path) -> None:
    assert find_images(["photos"]) == ["photos/a.PNG", "photos/b.jpg", "photos/deep/c.jpeg"]


def test_every_way_of_naming_gives_each_image_once(folder: Path) -> None:
    (folder.parent / "names.txt").write_bytes(b"\xef\xbb\xbfphotos/b.jpg\r\n\r\nphotos/gone.jpg\n")
    typed = io.BytesIO(b"photos/deep/c.jpeg\nphotos/b.jpg\nphotos/caf\xe9.jpg\n")
    found = find_images(["photos/odd.raw", "photos/*.[jJ]*", "-", "@names.txt"], [Path("names.txt")], typed)
    expected = ["photos/odd.raw", "photos/b.jpg", "photos/deep/c.jpeg", "photos/caf\udce9.jpg", "photos/gone.jpg"]
    assert found == expected
    assert find_images(["photos/**/*.jp*g"]) == ["photos/b.jpg", "photos/deep/@eaDir/b.jpg", "photos/deep/c.jpeg"]


def test_a_name_with_the_marks_of_a_pattern_is_a_name_where_there_is_such_a_file(folder: Path) -> None:
    (folder / "a[1].jpg").write_bytes(b"x")
    assert find_images(["photos/a[1].jpg"]) == ["photos/a[1].jpg"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no image is named"),
        (["photos/b.jpeg"], "Did you mean b.jpg"),
        (["photos/*.gif"], "no image matches"),
        (["empty"], "holds no image"),
        (["@photos"], "is a folder"),
        (["@blank.txt"], "names no image"),
    ],
)
def test_wrong_names_are_one_message(folder: Path, words: list[str], said: str) -> None:
    (folder.parent / "empty").mkdir()
    (folder.parent / "blank.txt").write_text("\n\n")
    with pytest.raises(InputError, match=said):
        find_images(words)


def test_what_a_folder_or_a_pattern_leaves_out_is_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "IMG_1.HEIC").write_bytes(b"x")
    (folder / "gone.png").symlink_to(folder / "not-there.png")
    (folder / "album").symlink_to(folder / "deep")
    find_images(["photos"])
    assert "photos: 6 files left out (first: album): .heic 1, .raw 1, .txt 1, broken links 1, in @eaDir 1, linked " \
           "folders 1. HEIC: pip install" in caplog.text  # fmt: skip
    caplog.clear()
    assert find_images(["photos/*"]) == ["photos/a.PNG", "photos/b.jpg"]
    assert "photos/*: 6 files left out (first: photos/IMG_1.HEIC): .heic 1, .raw 1, .txt 1, broken links 1, folders 2" \
        in caplog.text  # fmt: skip
    caplog.clear()
    assert find_images(["photos/deep"]) == ["photos/deep/c.jpeg"]
    assert "photos/deep: 1 file left out (first: @eaDir/b.jpg): in @eaDir 1" in caplog.text


def test_a_folder_that_cannot_be_read_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def closed(place: str) -> object:
        if str(place).endswith("deep"):
            raise PermissionError(13, "Permission denied", place)
        return scan(place)

    monkeypatch.setattr("os.scandir", closed)
    with pytest.raises(DataError, match="photos/deep: the folder cannot be read"):
        find_images(["photos"])
