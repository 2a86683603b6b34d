"""Folders and small sets as people have them: what cannot be done is refused before the work, with the next step."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from tests.conftest import Bench


@pytest.mark.parametrize("folder", ["holiday", "My Photos (2024)", "étés"])
def test_a_folder_in_place_of_a_dataset_is_told_how_it_becomes_one(
    finished: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    shutil.copytree(finished.data / "tiny-b" / "images", tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    key = next((finished.store / "records").iterdir()).name
    code, out, err = finished("test", key, "--on", f"./{folder}", "--write", "scores.csv")
    assert (code, out) == (2, "")
    assert f"./{folder} is a folder" in err and "data add" in err and "--unlabeled" in err


@pytest.mark.parametrize("kind", ["authentic", "unlabeled"])
def test_images_without_scores_are_predicted_whatever_their_kind(finished: Bench, tmp_path: Path, kind: str) -> None:
    images = tmp_path / "plain" / "images"
    images.mkdir(parents=True)
    for path in sorted((finished.data / "tiny-c" / "images").iterdir())[:5]:
        shutil.copy(path, images)
    names = sorted(path.name for path in images.iterdir())
    (tmp_path / "plain" / "labels.csv").write_text("image,score\n" + "".join(f"{name},\n" for name in names))
    scale = {"scale": [1, 5], "direction": "higher_is_better"} if kind == "authentic" else {}
    entry = {"about": {"title": "Plain"}, "kind": kind, "folder": "plain", "options": {"unlabeled": True}, **scale}
    own = finished.registry({"datasets": {"plain": entry}})
    key = next((finished.store / "records").iterdir()).name
    file = tmp_path / "scores.csv"
    code, _, err = finished("test", key, "--on", "plain", "--registry", str(own), "--data-root", str(tmp_path),
                            "--write", str(file))  # fmt: skip
    assert code == 0, err
    assert [row[0] for row in csv.reader(file.open())] == names
    code, _, err = finished("test", key, "--on", "plain", "--registry", str(own), "--data-root", str(tmp_path))
    assert code == 2 and "plain has no scores to evaluate on" in err


@pytest.mark.parametrize("count", [2, 5])
def test_a_test_part_of_one_image_is_refused_before_training(
    own_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    rows = list(csv.reader((own_bench.data / "tiny-a" / "labels.csv").open()))[: count + 1]
    labels = tmp_path / "few.csv"
    labels.write_text("image,score\n" + "".join(f"{row[0]},{row[1]}\n" for row in rows[1:]))
    monkeypatch.chdir(tmp_path)
    from ssliqa_bench.cli.app import main

    assert main(["data", "add", "few", "--labels", "few.csv", "--images", "data/tiny-a/images", "--jobs", "1"]) == 0
    assert "at least 6" in "".join(own_bench.log.messages)
    code, err = own_bench.fails("supervised", "--recipe", "check", "--registry", "few.yaml", pair="few")
    assert code == 2 and "the test part has 1 image" in err and "6 images" in err
    assert not (own_bench.store / "artifacts").exists()


def test_a_store_that_is_not_there_has_nothing_to_evaluate_again(bench: Bench) -> None:
    code, _, err = bench("store", "evaluate")
    assert code == 2 and str(bench.store) in err
