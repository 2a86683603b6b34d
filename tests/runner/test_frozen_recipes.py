"""Every learner with recipe `frozen`, on features of the pretrained network that comes as a package: on generated
photographs, and on photographs with human scores where they are at hand."""

from __future__ import annotations

import csv
import json
import math
import os
import random
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageFilter

from ssliqa_bench.cli.app import main
from ssliqa_bench.registry.load import load_registry

SHARED = Path(os.environ.get("SSLIQA_SHARED") or Path(__file__).parents[2].parent / "shared")
LIVEC = SHARED / "realdata" / "livec-subset"
IMAGES = 60
# As short as training can be; of each method those that it has.
SHORT = {"epochs": 2, "epoch_steps": 3, "warmup_epochs": 0, "phase_epochs": 1, "warmup_steps": 2, "members": 2}
REGISTRY = load_registry()
# The first name of each class of learner; and one with the recipe that trains the last stages too.
METHODS = sorted({
    REGISTRY.resolve_method(name).class_path: name
    for name, entry in sorted(REGISTRY.methods.items(), reverse=True)
    if not entry.prefix and "frozen" in REGISTRY.recipes(name)
}.values())  # fmt: skip
LAST_STAGES = ("fixmatch",)
ROWS = [*((name, "frozen") for name in METHODS), *((name, "frozen/last-stages") for name in LAST_STAGES)]

pytestmark = pytest.mark.slow


def generated(folder: Path) -> list[tuple[str, float]]:
    """Photographs of a kind: edges and texture, blurred and made noisy by five degrees, which are their scores."""
    draw, rows = random.Random(0), []
    for k in range(IMAGES):
        texture = np.random.default_rng(k)
        blocks = Image.fromarray(texture.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((192, 192), 0)
        fine = texture.normal(0, 18, (192, 192, 3))
        level = k % 5
        sharp = Image.fromarray(np.clip(np.asarray(blocks) + fine, 0, 255).astype(np.uint8))
        blurred = np.asarray(sharp.filter(ImageFilter.GaussianBlur(level))) + texture.normal(0, 5 * level, fine.shape)
        Image.fromarray(np.clip(blurred, 0, 255).astype(np.uint8)).save(folder / f"{k:02d}.png")
        rows.append((f"{k:02d}.png", 90 - 15 * level + draw.uniform(-4, 4)))
    return rows


def photographs(folder: Path) -> list[tuple[str, float]]:
    """The first images of a part of LIVE In the Wild, with their mean opinion scores."""
    with open(LIVEC / "subset.csv", encoding="utf-8", newline="") as file:
        known = [(row["image"], float(row["mos"])) for row in csv.DictReader(file)]
    places = {path.name: path for path in LIVEC.rglob("*") if path.suffix.lower() in (".bmp", ".jpg")}
    rows = [row for row in known if row[0] in places][:IMAGES]
    for name, _ in rows:
        (folder / name).symlink_to(places[name])
    return rows


@pytest.fixture(scope="module", params=[
    pytest.param(generated, id="generated"),
    pytest.param(photographs, id="livec", marks=[pytest.mark.data, pytest.mark.skipif(
        not LIVEC.is_dir(), reason=f"no photographs in {LIVEC}; SSLIQA_SHARED names the folder above realdata")]),
])  # fmt: skip
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sixty images, their scores and the registry file of the dataset `photos`."""
    pytest.importorskip("timm")
    folder = tmp_path_factory.mktemp("frozen")
    (folder / "photos" / "images").mkdir(parents=True)
    rows = request.param(folder / "photos" / "images")
    assert len(rows) == IMAGES
    with open(folder / "photos" / "labels.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "score"), *rows])
    entry = {"about": {"title": "Photographs", "description": "Sixty."}, "kind": "authentic", "scale": [0, 100],
             "direction": "higher_is_better", "folder": str(folder / "photos")}  # fmt: skip
    (folder / "own.yaml").write_text(yaml.safe_dump({"datasets": {"photos": entry}}))
    return folder


@pytest.mark.parametrize(("method", "recipe"), ROWS)
def test_it_learns_on_features_of_the_packaged_network(
    root: Path, method: str, recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLIQA_CACHE", str(root / "cache"))  # features are computed once for all methods
    params = REGISTRY.resolve_method(method, recipe=recipe).params
    settings = [f"--set={name}={value}" for name, value in SHORT.items() if params.get(name)]
    words = ["run", "--method", method, "--recipe", recipe, "--pair", "photos:photos", "--budget", "24", *settings,
             "--registry", str(root / "own.yaml"), "--store", str(root / "runs"), "--threads", "1",
             "--json"]  # fmt: skip
    assert main(words) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    facts = json.loads((root / "runs" / "records" / run["key"] / "facts.json").read_text())
    metrics = run["metrics"]["photos"]
    assert metrics["n"] == 12 and math.isfinite(metrics["rmse_mapped"])
    assert facts["model"]["features"] and len(facts["model"]["weights"]["features"]["sha256"]) == 64
    (result,) = (root / "runs" / "records" / run["key"] / "photos").glob("metrics.json")
    assert json.loads(result.read_text())["dataset"]["roles"]["labeled"] in (24, 48)  # an oracle sees all scores
