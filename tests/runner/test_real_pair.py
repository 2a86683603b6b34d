"""A whole run on KonIQ and LIVE Challenge as people have them on disk: from folders to a board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ssliqa_bench.cli.app import main
from tests.datasets.miniatures import koniq, livec

BACKBONE = "timm:test_vit.r160_in1k"
SHORT = {"epochs": 1, "warmup_epochs": 0, "phase_epochs": 1, "crop": 160, "test_crops": 2, "batch_size": 8,
         "backbone": BACKBONE}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with miniatures of both datasets, and a registry file that states their numbers of images."""
    folder = tmp_path / "data"
    made = [koniq.LAYOUTS["official"](folder), livec.LAYOUTS["official"](folder)]
    counts = {m.dataset: {"images": len(m.names), "twins": []} for m in made}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"datasets": counts}))
    return tmp_path


def words(root: Path, *more: str) -> list[str]:
    settings = [f"--set={key}={value}" for key, value in SHORT.items()]
    return ["--data-root", str(root / "data"), "--store", str(root / "runs"), "--registry", str(root / "own.yaml"),
            "--device", "cpu", *settings, *more]  # fmt: skip


def test_ssiqa_from_folders_to_board(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    from ssliqa_bench.testing.random_weights import random_weights

    with random_weights():
        for method in ("ssiqa", "supervised-long"):
            assert main(["run", "--method", method, "--pair", "koniq:livec", "--json", *words(root)]) == 0
    runs: list[dict[str, Any]] = []
    text = capsys.readouterr().out
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        document, at = decoder.raw_decode(text, at)
        runs += document["runs"]
        at += len(text[at:]) - len(text[at:].lstrip())
    assert [run["method"] for run in runs] == ["ssiqa", "supervised-long"]
    for run in runs:
        assert run["recipe"] == "paper" and run["pair"] == "koniq:livec"
        assert {name: m["side"] for name, m in run["metrics"].items()} == {"koniq": "labeled", "livec": "unlabeled"}
        assert all(m["n"] == 6 for m in run["metrics"].values())
    facts = json.loads((root / "runs" / "records" / runs[0]["key"] / "facts.json").read_text())
    assert len(facts["key_parts"]["weights"]["backbone"]) == 64
    for dataset in ("koniq", "livec"):
        result = json.loads((root / "runs" / "records" / runs[0]["key"] / dataset / "metrics.json").read_text())
        assert result["dataset"]["labels_redistributable"] is (dataset == "livec")
    assert main(["leaderboard", "--store", str(root / "runs"), "--out", str(root / "boards")]) == 0
    board = next((root / "boards").rglob("koniq--livec.md")).read_text()
    assert "koniq" in board and "livec" in board and "`ssiqa`" in board and "`supervised-long`" in board


def test_without_weights_and_network_nothing_is_read(root: Path, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["run", "--method", "ssiqa", "--pair", "koniq:livec", *words(root)]) == 2
    said = capsys.readouterr().err
    assert "huggingface.co/timm/test_vit.r160_in1k" in said and "pretrained=false" in said and "HF_HUB_OFFLINE" in said
    assert not (root / "runs" / "records").exists() and said.count("\n") <= 2


def test_random_weights_when_asked_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--method", "ssiqa", "--pair", "koniq:livec", "--json", *words(root), "--set=pretrained=false"]
    assert main(command) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["overrides"]["pretrained"] is False
    facts = json.loads((root / "runs" / "records" / run["key"] / "facts.json").read_text())
    assert facts["key_parts"]["weights"] == {}


def test_a_dry_run_says_what_is_missing_and_how_long_it_takes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = root / "suite.yaml"
    block = {"methods": ["ssiqa", "supervised", "ridge-probe", "piqe", "niqe"], "pairs": ["koniq:livec", "koniq:spaq"]}
    suite.write_text(yaml.safe_dump({"title": "T", "runs": [{**block, "seeds": 2}]}))
    where = ["--data-root", str(root / "data"), "--registry", str(root / "own.yaml"), "--store", str(root / "runs")]
    assert main(["sweep", str(suite), "--dry-run", "--json", "--device", "cpu", *where]) == 0
    document = json.loads(capsys.readouterr().out)
    runs = {(run["method"], run["pair"], run["seed"]): run for run in document["runs"]}
    assert len(runs) == 20
    ours = runs["ssiqa", "koniq:livec", 0]
    assert ours["status"] == "blocked" and "deit3_small_patch16_224.fb_in1k" in ours["error"]
    assert "livec" not in ours["error"] and "spaq" in runs["ssiqa", "koniq:spaq", 1]["error"]
    assert runs["piqe", "koniq:livec", 0]["status"] == "to run" and len(runs["piqe", "koniq:livec", 0]["key"]) == 64
    assert "niqe_modelparameters.mat" in runs["niqe", "koniq:livec", 0]["error"]
    seconds = {method: runs[method, "koniq:livec", 0]["estimated_seconds"] for method in block["methods"]}
    assert seconds["niqe"] is None and seconds["piqe"] > 0
    assert seconds["ssiqa"] > seconds["supervised"] > seconds["ridge-probe"] > 0
    assert document["estimate"]["runs_without_estimate"] == 4
    # 30 images of 512×384 and 30 of 500×500 as the registry has them, 11,125 of SPAQ at a short side of 512.
    assert document["estimate"]["decoded_images_bytes"] > 60 * 512 * 384 * 3
    assert not (root / "runs").exists()
    assert main(["sweep", str(suite), "--dry-run", "--device", "cpu", *where]) == 0
    said = capsys.readouterr().out
    assert "for 10 runs: spaq: folder" in said and "On disk: about" in said


def test_forecast_steps_are_those_of_the_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops learned from and read, as the learner states them, against what a run draws."""
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.execute import run
    from ssliqa_bench.runner.plan import make_plan
    from ssliqa_bench.runner.settings import Settings
    from ssliqa_bench.specs import Pair, RunSpec
    from ssliqa_bench.training import quality
    from ssliqa_bench.training.backbones.base import QualityModel

    seen = {True: 0, False: 0}
    forward = QualityModel.forward

    def counted(self: QualityModel, crops: Any) -> Any:
        if len(crops) > 1 or crops.any():  # a first look with one empty crop tells whether the size fits
            seen[quality.torch.is_grad_enabled()] += len(crops)
        return forward(self, crops)

    monkeypatch.setattr(QualityModel, "forward", counted)
    settings = Settings.from_environment(data_root=root / "data", store=root / "runs", device="cpu", quiet=True)
    registry = load_registry([root / "own.yaml"])
    plan = make_plan(RunSpec("ssiqa", Pair("koniq", "livec"), recipe="check"), registry, settings)
    run(plan, settings)
    learner = registry.load(plan.method.class_path)(plan.params)
    work = learner.work(24, 24)
    # After each of four stages: the test images of both sides, and the unlabeled ones for the figures of pseudo-labels.
    predicted = 4 * (12 + 24) * int(plan.params["test_crops"])
    assert seen == {True: work.learned, False: work.read + predicted}
