"""Resolved parameters and predictions equal the committed golden values, and the comparison finds what differs."""

from __future__ import annotations

import copy
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.registry.load import load_registry

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "benchmarks/goldens.py"
PARAMS = ROOT / "tests/goldens/params.json"
PREDICTIONS = ROOT / "tests/goldens/predictions.json"
ROWS = {"golden-a": {"1.png": 0.25, "2.png": 0.5}, "golden-b": {"1.png": 0.75}}


@pytest.fixture(scope="module")
def goldens() -> ModuleType:
    spec = importlib.util.spec_from_file_location("goldens", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compare(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, "compare", file], cwd=ROOT, capture_output=True, text=True)


def test_resolved_parameters_are_the_golden_ones() -> None:
    """Where a change is intended: `python benchmarks/goldens.py write tests/goldens/params.json --part params`."""
    done = compare(PARAMS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_predictions_are_the_golden_ones(goldens: ModuleType) -> None:
    """Where a change is intended: `python benchmarks/goldens.py write tests/goldens/predictions.json --part
    predictions`, on one thread."""
    written, here = json.loads(PREDICTIONS.read_text())["platform"], goldens.this_platform()
    other = {name: (value, here.get(name)) for name, value in written.items() if here.get(name) != value}
    if other:
        pytest.skip(f"other platforms round otherwise; written on, this one: {other}")
    done = compare(PREDICTIONS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_golden_parameters_expand_to_what_the_registry_resolves(goldens: ModuleType) -> None:
    """The file lists only differences between entries of one class."""
    registry = load_registry()
    flat = goldens.flat_params(json.loads(PARAMS.read_text())["params"])
    assert len(flat) > 200
    for entry, values in flat.items():
        name, recipe = entry.removesuffix("]").split(" [")
        method = registry.resolve_method(name, recipe if registry.recipes(name) else None)
        own = ("ssliqa_bench.",)  # class paths, of which the file holds the name of the class
        expected = {k: v.split(":")[1] if str(v).startswith(own) else v for k, v in method.params.items()}
        expected |= {"class of the entry": method.class_path.split(":")[1], "role": method.unlabeled_role}
        assert values == expected


def test_a_changed_parameter_is_named(tmp_path: Path) -> None:
    golden = json.loads(PARAMS.read_text())
    golden["params"]["supervised"]["recipes"]["demo"]["lr"] = 0.25
    golden["params"]["gone"] = copy.deepcopy(golden["params"]["ridge-probe"])
    del golden["params"]["ssiqa-q1"]
    file = tmp_path / "params.json"
    file.write_text(json.dumps(golden))
    done = compare(file)
    assert done.returncode == 1
    assert "supervised [demo]: lr was 0.25, is 0.001" in done.stdout
    assert "gone [paper]: is gone" in done.stdout
    assert "ssiqa-q1 [paper]" in done.stdout.splitlines()[-1]


def test_class_paths_are_compared_by_class_name(goldens: ModuleType) -> None:
    def part(module: str, name: str = "Model") -> dict[str, Any]:
        method = {"class": f"{module}:{name}", "unlabeled_role": "unlabeled",
                  "parameters": {"demo": {"builder": f"{module}.builders:make", "backbone": "timm:resnet50"}}}
        return {"own": goldens.resolved(method)}

    assert goldens.compare_params(part("own.old"), part("own.new")) == ([], [])
    (line,), _ = goldens.compare_params(part("own.old"), part("own.old", "Other"))
    assert line == 'own [demo]: class of the entry was "Model", is "Other"'
    assert part("own.old")["own"]["recipes"]["demo"]["backbone"] == "timm:resnet50"


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"1.png": 0.25 + 9e-10, "2.png": 0.5}, []),
        ({"1.png": 0.25 + 2e-9, "2.png": 0.5}, ["own: 1 of 3 predictions differ, by up to 2e-09"]),
        ({"1.png": float("nan"), "2.png": 0.5}, ["own: 1 of 3 predictions differ, by up to nan"]),
        ({"1.png": 0.25, "3.png": 0.5}, ["own: predictions are for other images, or failed: golden-a/2.png, "
                                         "golden-a/3.png"]),
    ],
)
def test_predictions_are_compared_by_image(goldens: ModuleType, change: dict[str, float], seen: list[str]) -> None:
    old = {"own": {"class": "Own", "predictions": ROWS}}
    new = {"own": {"class": "Own", "predictions": {**ROWS, "golden-a": change}}, "new": old["own"]}
    assert goldens.compare_predictions(old, new) == (seen, ["new"])


def test_a_failed_or_absent_method_is_a_difference(goldens: ModuleType) -> None:
    old = {"own": {"class": "Own", "predictions": ROWS}, "needs": {"class": "Metric", "skipped": "no weights"}}
    (line,), _ = goldens.compare_predictions(old, {"own": {"class": "Own", "failed": "no images"}})
    assert line.startswith("own: predictions are for other images, or failed: failed: no images")
    assert goldens.compare_predictions(old, {}) == (["own: is gone"], [])


def test_a_changed_board_is_named(goldens: ModuleType) -> None:
    old, new = {"standard.md": "a" * 64, "standard.csv": "b" * 64}, {"standard.md": "c" * 64, "standard.html": "d" * 64}
    differences, unknown = goldens.compare_board(old, new)
    assert differences == ["standard.md: was aaaaaaaaaaaa, is cccccccccccc", "standard.csv: is gone"]
    assert unknown == ["standard.html"]


def test_the_generated_pair_is_the_same_every_time(goldens: ModuleType, tmp_path: Path) -> None:
    for name in ("one", "two"):
        goldens.write_pair(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 1 + 2 * (1 + goldens.GROUPS * (1 + goldens.LEVELS))
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    images = {name: np.asarray(Image.open(tmp_path / "one" / name / "images/00.png")) for name in goldens.PAIR}
    assert not np.array_equal(*images.values())
