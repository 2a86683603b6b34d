"""Names of images and folders that are not UTF-8, as old cameras and archives leave them: an answer, no traceback."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from ssliqa_bench.cli.app import main

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CONTRAST = ("--model", "contrast", "--registry", str(EXAMPLES / "contrast.yaml"))
NAME = os.fsdecode(b"caf\xe9.png")
RENAME = "not valid UTF-8"


@pytest.fixture
def photos(tiny_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """24 photographs, one of which has a name in Latin-1, and a label file of all others."""
    shutil.copytree(tiny_pair / "tiny-a" / "images", tmp_path / "photos")
    (tmp_path / "photos" / "00.png").rename(tmp_path / "photos" / NAME)
    rows = [line.split(",")[:2] for line in (tiny_pair / "tiny-a" / "labels.csv").read_text().splitlines()]
    (tmp_path / "labels.csv").write_text("".join(f"{a},{b}\n" for a, b in rows if a != "00.png"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def test_it_is_scored(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "photos", *CONTRAST]) == 0
    assert "photos/caf\\udce9.png" in capsys.readouterr().out
    assert main(["score", "photos", *CONTRAST, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["images"]) == 24
    for _ in range(2):  # the second call finds its row
        assert main(["score", "photos", *CONTRAST, "--csv", "scores.csv", "--html", "page.html"]) == 0
    with open("scores.csv", newline="", errors="surrogateescape") as file:
        assert sum(row["image"] == f"photos/{NAME}" for row in csv.DictReader(file)) == 1


def test_it_is_labelled(photos: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    assert main(["label", "photos", *CONTRAST, "--out", "labels", "--jobs", "1"]) == 0
    names = parquet.read_table(tmp_path / "labels" / "labels" / "part-00000.parquet").column("image").to_pylist()
    assert len(names) == 24 and "photos/caf\\xe9.png" in names


@pytest.mark.parametrize("words", [
    ("data", "add", "mine", "--unlabeled", "photos", "--jobs", "1"),
    ("data", "add", "mine", "--labels", "labels.csv", "--images", "photos", "--unlabeled", "photos", "--jobs", "1"),
    ("train", "--labels", "labels.csv", "--images", "photos", "--unlabeled", "photos", "--out", "model"),
    ("next-labels", "--labels", "labels.csv", "--images", "photos", "--unlabeled", "photos", "--n", "4"),
    ("rate", "photos", "--no-browser"),
])  # fmt: skip
def test_it_is_refused_where_its_name_is_written_to_text(
    photos: Path, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(words)) == 2
    said = capsys.readouterr().err
    assert RENAME in said and "caf\\udce9.png" in said and "convmv" in said and "unexpected" not in said
    assert {path.name for path in tmp_path.iterdir()} <= {"photos", "labels.csv"}


def test_a_label_file_that_means_it_names_the_file_that_is_there(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("labels.csv", "a", encoding="utf-8") as file:
        file.write("café.png,3\n")
    assert main(["data", "add", "mine", "--labels", "labels.csv", "--images", "photos", "--jobs", "1"]) == 2
    said = capsys.readouterr().err
    assert "1 of 24 images have no file" in said and "caf\\udce9.png" in said


def test_labels_of_the_others_are_read(photos: Path) -> None:
    assert main(["data", "add", "mine", "--labels", "labels.csv", "--images", "photos", "--jobs", "1"]) == 0


@pytest.mark.parametrize("words", [
    ("data", "add", "mine", "--unlabeled", "FOLDER"),
    ("data", "add", "mine", "--labels", "labels.csv", "--images", "FOLDER"),
    ("train", "--labels", "labels.csv", "--images", "FOLDER", "--out", "model"),
    ("train", "--labels", "labels.csv", "--images", "photos", "--out", "FOLDER"),
    ("label", "photos", *CONTRAST, "--out", "FOLDER"),
    ("rate", "FOLDER", "--no-browser"),
    ("run", "--method", "piqe", "--pair", "demo-syn", "--store", "FOLDER"),
    ("store", "ls", "--store", "FOLDER"),
    ("leaderboard", "--store", "FOLDER", "--out", "boards"),
])  # fmt: skip
def test_a_folder_of_such_a_name_is_refused(
    photos: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = os.fsdecode(b"\xfcber")
    os.mkdir(folder)
    assert main([folder if word == "FOLDER" else word for word in words]) == 2
    said = capsys.readouterr().err
    assert RENAME in said and "\\udcfcber" in said and "unexpected" not in said


def test_commands_answer_inside_such_a_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / os.fsdecode(b"\xfcber")
    shutil.copytree(photos, folder / "photos")
    (folder / "photos" / NAME).unlink()
    shutil.copy(tmp_path / "labels.csv", folder)
    monkeypatch.chdir(folder)
    add = ["data", "add", "mine", "--labels", "labels.csv", "--images", "photos", "--jobs", "1"]
    assert main(add) == 2 and RENAME in capsys.readouterr().err
    assert main(["evaluate", "scores.csv"]) == 2 and "scores.csv" in capsys.readouterr().err
    assert main(["score", "photos", *CONTRAST, "--csv", "scores.csv"]) == 0
    assert main(["score", "photos", *CONTRAST, "--csv", "scores.csv"]) == 0
