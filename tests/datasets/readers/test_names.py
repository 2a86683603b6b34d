"""Image names as people's lists spell them: read where they can mean one file only, else reported with near names."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.readers.table import read_csv
from ssliqa_bench.errors import DataError
from ssliqa_bench.registry.schema import DatasetEntry

Files = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path) -> Files:
    """Make files below the folder `photos` and a label file that names them by other words; gives the folder."""

    def make(files: list[str], names: list[str]) -> Path:
        for file in files:
            path = tmp_path / "photos" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        rows = "".join(f'"{name.replace(chr(34), chr(34) * 2)}",{k}\n' for k, name in enumerate(names))
        (tmp_path / "labels.csv").write_text(f"image,score\n{rows}", encoding="utf-8")
        return tmp_path

    return make


def read(folder: Path) -> tuple[list[str], list[str]]:
    """Names, and files relative to the image folder."""
    raw = read_csv(folder, {"images": "photos"})
    home = str(folder / "photos") + "/"
    return list(raw.name), [path.removeprefix(home) for path in raw.path]


@pytest.mark.parametrize(("files", "names", "expected"), [
    (["a.png", "b.png"], ["a.png", "b.png"], ["a.png", "b.png"]),
    (["s/a.png", "s/b.png"], ["s\\a.png", "s\\b.png"], ["s/a.png", "s/b.png"]),
    (["a.png", "b.png"], ["photos\\a.png", "photos\\b.png"], ["a.png", "b.png"]),
    (["a.png", "b.png"], ["data/photos/a.png", "data/photos/b.png"], ["a.png", "b.png"]),
    (["a.png", "t/b.png"], ["C:\\Users\\me\\Photos\\a.png", "C:\\Users\\me\\Photos\\t\\b.png"], ["a.png", "t/b.png"]),
    (["a.png", "t/b.png"], ["/home/me/study/a.png", "/home/me/study/t/b.png"], ["a.png", "t/b.png"]),
    (["a.png", "b.png"], ["\\\\server\\share\\photos\\a.png", "\\\\server\\share\\photos\\b.png"], ["a.png", "b.png"]),
])  # fmt: skip
def test_names_become_relative_to_the_folder(photos: Files, files: list[str], names: list[str],
                                             expected: list[str]) -> None:  # fmt: skip
    assert read(photos(files, names)) == (expected, expected)


def test_whole_paths_below_the_folder_need_no_file(photos: Files, tmp_path: Path) -> None:
    folder = photos(["a.png"], [str(tmp_path / "photos" / "a.png"), str(tmp_path / "photos" / "gone.png")])
    assert read(folder)[0] == ["a.png", "gone.png"]


@pytest.mark.parametrize(("files", "names", "found"), [
    (["a.JPG", "B.jpg"], ["a.jpg", "b.jpg"], ["a.JPG", "B.jpg"]),
    (["one/a.png", "two/b.png"], ["a.png", "b.png"], ["one/a.png", "two/b.png"]),
    (["a.png", "b.JPEG"], ["a", "b"], ["a.png", "b.JPEG"]),
    ([unicodedata.normalize("NFD", "größe.png"), "a.png"], [unicodedata.normalize("NFC", "größe.png"), "a.png"],
     [unicodedata.normalize("NFD", "größe.png"), "a.png"]),
])  # fmt: skip
def test_one_file_that_a_name_can_mean(photos: Files, caplog: pytest.LogCaptureFixture, files: list[str],
                                       names: list[str], found: list[str]) -> None:  # fmt: skip
    assert read(photos(files, names)) == (names, found)
    assert "of 2 names" in caplog.text


@pytest.mark.parametrize(("files", "names"), [
    (["a.PNG", "A.png"], ["a.png"]),
    (["one/a.png", "two/a.png"], ["a.png"]),
    (["a.jpg", "a.png"], ["a"]),
    (["a.jpg"], ["a.png"]),
    (["@eaDir/a.png"], ["a.png"]),
])  # fmt: skip
def test_nothing_is_guessed(photos: Files, files: list[str], names: list[str]) -> None:
    assert read(photos(files, names)) == (names, names)


def test_a_backslash_that_is_part_of_a_name(photos: Files) -> None:
    assert read(photos(["a\\b.png"], ["a\\b.png"])) == (["a\\b.png"], ["a\\b.png"])


NAMES_OUTSIDE = ["../a.png", "x/../../a.png", "..\\a.png", "/elsewhere/a.png", "C:\\elsewhere\\a.png", ""]


@pytest.mark.parametrize("name", NAMES_OUTSIDE)
def test_names_that_leave_the_folder(photos: Files, name: str) -> None:
    folder = photos(["b.png"], ["b.png", name])
    with pytest.raises(DataError, match=r"labels\.csv:3: image name is .*expected a name below"):
        read_csv(folder, {"images": "photos"})


def test_missing_names_are_reported_with_near_ones(photos: Files, make_entry: Callable[..., DatasetEntry],
                                                   tmp_path: Path) -> None:  # fmt: skip
    folder = photos(["photo_001.jpg", "photo_002.jpg"], ["photo_001.jpg", "photo_02.jpg"])
    entry = make_entry(folder=str(folder), options={"images": "photos"})
    with pytest.raises(DataError, match=r"1 of 2 images have no file .*photo_02\.jpg.*Near: photo_002\.jpg"):
        load_table(entry, tmp_path, tmp_path / "cache")


def test_scores_from_ratings(photos: Files, caplog: pytest.LogCaptureFixture) -> None:
    folder = photos(["a.png", "b.png"], ["a.png", "b.png"])
    (folder / "labels.csv").write_text("image,c1,c2,c3\na.png,1,0,3\nb.png,2,2,0\n")
    raw = read_csv(folder, {"images": "photos"})
    assert raw.score.tolist() == [2.5, 1.5] and raw.scores_from == "ratings"
    assert "the score is the mean of the ratings c1 to c3, on 1 to 3" in caplog.text
    (folder / "labels.csv").write_text("image,votes1,votes2,votes3\na.png,1,0,3\nb.png,2,2,0\n")
    with pytest.raises(DataError, match=r'no column "score".*--columns c1=votes1,c2=votes2,c3=votes3'):
        read_csv(folder, {"images": "photos"})
    columns = {"c1": "votes1", "c2": "votes2", "c3": "votes3"}
    assert read_csv(folder, {"images": "photos", "columns": columns}).score.tolist() == [2.5, 1.5]
