"""Methods and networks of a user's own, in files outside the package, through entries of their own registry file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.testing import require_conformance

if TYPE_CHECKING:
    from tests.conftest import Bench

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
BACKBONE = '''
import torch
from torch import nn

from ssliqa_bench.training.backbones.base import Backbone


class Edges(Backbone):
    """Strengths of edges, one layer."""

    def __init__(self, width):
        super().__init__()
        self.features = width
        self.layer = nn.Linear(6, width)

    def forward(self, crops):
        steps = [crops.diff(dim=2).abs().mean((2, 3)), crops.diff(dim=3).abs().mean((2, 3))]
        return torch.relu(self.layer(torch.cat(steps, dim=1)))
'''


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples that the README shows and names."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def example(examples: Path) -> Path:
    """The registry file of the learner with a stage of its own."""
    return examples / "my_registry.yaml"


def test_the_example_runs_and_is_answered_from_the_store(bench: Bench, example: Path) -> None:
    supervised = bench.run("supervised")
    words = ("--registry", str(example), "--set", "student_lr=1e-2")
    entry = bench.run("my-method", *words)
    assert (entry["status"], entry["method"], entry["overrides"]) == ("done", "my-method", {"student_lr": 0.01})
    facts = bench.facts(entry["key"])
    start, student = facts["stages"]
    assert (start["name"], student["name"]) == ("initial", "student")
    # The start is the model of `supervised`, found under the key of what it read.
    assert start["cached"] and start["key"] == bench.facts(supervised["key"])["stages"][0]["key"]
    assert not student["cached"] and [epoch["epoch"] for epoch in student["log"]] == [1, 2, 3, 4, 5]
    assert facts["method"]["chain"] == ["supervised", "my-method"]
    assert "my_method.py" in " ".join(facts["code"]["files"])
    own, other = (bench.predictions(run["key"]) for run in (entry, supervised))
    assert own.keys() == other.keys() and all(own[image] != other[image] for image in own)
    again = bench.run("my-method", *words)
    assert again["status"] == "cached" and again["metrics"] == entry["metrics"]


def test_the_example_without_stages_runs(bench: Bench, examples: Path) -> None:
    entry = bench.run("contrast", "--registry", str(examples / "contrast.yaml"))
    assert entry["status"] == "done" and entry["n_parameters"] == 0
    for (dataset, image), value in bench.predictions(entry["key"]).items():
        pixels = np.asarray(Image.open(bench.data / dataset / "images" / image).convert("RGB"))
        assert value == pytest.approx(float(np.std(pixels.astype(np.float64))), rel=1e-9)


@pytest.mark.parametrize(("method", "file"), [("my-method", "my_registry.yaml"), ("contrast", "contrast.yaml")])
def test_the_examples_conform(examples: Path, method: str, file: str) -> None:
    require_conformance(method, [examples / file], Settings.from_environment(device="cpu", quiet=True))


def test_a_method_that_needs_unlabeled_images_asks_for_a_pair(bench: Bench, example: Path) -> None:
    code, said = bench.fails("my-method", "--registry", str(example), pair="tiny-a")
    assert code == 2 and 'Method "my-method" learns from unlabeled images: name a pair A:B' in said


def test_a_network_of_ones_own_is_a_name_as_any_other(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "my_network.py").write_text(BACKBONE)
    entry = {"about": {"title": "Edges"}, "class": "my_network:Edges", "arguments": {"width": 7}}
    (folder / "mine.yaml").write_text(json.dumps({"backbones": {"my-network": entry}}))
    words = ("--registry", str(folder / "mine.yaml"), "--set", "backbone=my-network")
    run = bench.run("ssiqa", *words)
    assert run["status"] == "done" and run["n_parameters"] == 6 * 7 + 7 + 7 + 1
    facts = bench.facts(run["key"])
    assert [stage["name"] for stage in facts["stages"]] == ["initial", "phase-1", "phase-2", "phase-3"]
    assert facts["key_parts"]["params"]["backbone"] == {"width": 7}
    assert facts["code"]["definitions"]["backbone"] == "my_network:Edges"
    assert any(path.endswith("my_network.py") for path in facts["code"]["files"])
    assert bench.run("ssiqa", *words)["status"] == "cached"
