"""`train`: from a label file to a model folder that `score` and `load_model` take, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ssliqa_bench.cli.app import main
from ssliqa_bench.models.load import load_model

QUICK = ["--method", "supervised", "--recipe", "check", "--repeats", "1", "--jobs", "1"]


@pytest.fixture
def own(tiny_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own: 24 scored images of six scenes."""
    shutil.copytree(tiny_pair / "tiny-a", tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_it_writes_a_model_that_scores_in_the_units_of_the_labels(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--labels", "labels.csv", "--images", "images", "--scale", "1,5", "--out", "model", *QUICK]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == "supervised" and told["labels"] == 24 and told["unlabeled_images"] is None
    assert set(told["files"]) >= {"config.json", "model.safetensors", "README.md", "held_out.csv"}
    held = rows(own / "model" / "held_out.csv")
    assert len(held) == 24 and {row["image"] for row in held} == {path.name for path in (own / "images").glob("*.png")}
    mae = np.mean([abs(float(row["score"]) - float(row["prediction"])) for row in held])
    assert told["expected"]["mae"]["mean"] == pytest.approx(mae, abs=0.2)  # folds differ a little in size
    loaded = load_model(own / "model")
    assert loaded.scale is not None and (loaded.scale.low, loaded.scale.high) == (1, 5)
    assert loaded.origin["labels"] == 24
    card = (own / "model" / "README.md").read_text()
    assert f"{told['expected']['srcc']['mean']:.3f}" in card and "24 images with a score" in card
    assert main(["score", "--model", "model", "images", "--csv", "scores.csv"]) == 0
    scored = {Path(row["image"]).name: float(row["score"]) for row in rows(own / "scores.csv")}
    paths = sorted((own / "images").glob("*.png"))
    np.testing.assert_allclose([scored[path.name] for path in paths], loaded(paths), atol=2e-6)
    assert main(words) == 2
    assert "--force" in capsys.readouterr().err


def test_figures_are_those_of_the_folds(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ssliqa_bench.photos.folds import folds
    from ssliqa_bench.types import derive_seed

    words = ["train", "--labels", "labels.csv", "--images", "images", "--scale", "1,5", "--out", "model", *QUICK]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    held = rows(own / "model" / "held_out.csv")
    group = {row["image"]: row["group"] for row in rows(own / "labels.csv")}
    values = []
    for _, _, test in folds([group[row["image"]] for row in held], 1, derive_seed(0, "outer")):
        scores = [float(held[k]["score"]) for k in test]
        said = [float(held[k]["prediction"]) for k in test]
        values.append(stats.spearmanr(scores, said).statistic)
    assert told["expected"]["srcc"]["mean"] == pytest.approx(np.mean(values), abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("image,score\n00.png,1\n01.png,2\n", "2 images with a score; expected at least 20"),
        ("image score\n" * 30, 'score is "score"'),
        ("image,score\n" + "".join(f"{s}{k}.png,good\n" for s in range(6) for k in range(4)), "good"),
        ("image,score\n" + "".join(f"{s}{k}.png,3\n" for s in range(6) for k in range(4)), "every score is 3"),
        ("image,score\n" + "".join(f"{s}{k}.jpeg,{k}\n" for s in range(6) for k in range(4)), "no file"),
    ],
)
def test_bad_labels_are_refused_and_nothing_is_written(
    own: Path, capsys: pytest.CaptureFixture[str], labels: str, said: str
) -> None:
    (own / "bad.csv").write_text(labels)
    assert main(["train", "--labels", "bad.csv", "--images", "images", "--out", "model", *QUICK]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == "" and not (own / "model").exists()


def test_an_unlabeled_folder_around_the_labeled_one_gives_no_labeled_image(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--labels", "labels.csv", "--images", "images", "--unlabeled", ".", "--out", "model"]
    assert main([*words, *QUICK]) == 2
    assert "apart from those with a score" in capsys.readouterr().err


def test_a_folder_of_something_else_is_not_written_into(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--labels", "labels.csv", "--images", "images", "--out", "images", *QUICK, "--force"]
    assert main(words) == 2
    assert "holds no model" in capsys.readouterr().err


def test_a_metric_is_refused_since_it_learns_nothing(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--labels", "labels.csv", "--images", "images", "--out", "model", "--method", "niqe"]
    assert main(words) == 2
    assert "learns nothing" in (said := capsys.readouterr().err) and "ssliqa-bench score --model niqe" in said
