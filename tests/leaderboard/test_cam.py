"""plot cam: activation maps of CNN and ViT against Grad-CAM worked out here, one row for each stage, clear refusals."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from ssliqa_bench.cli.app import main
from ssliqa_bench.methods.matching.network import LevelModel
from ssliqa_bench.methods.regression.ensembles import Ensemble
from ssliqa_bench.methods.ssliqa.branches import make_branch
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.records import as_store, read_record
from ssliqa_bench.training.backbones.base import QualityModel, network_input
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.quality import build_backbone
from ssliqa_bench.types import Artifact
from tests.leaderboard.typed import write

pytest.importorskip("pytorch_grad_cam")
from ssliqa_bench.integrations.gradcam import activation_map, stage_networks

CNN = {"class": "ssliqa_bench.training.backbones.timm:TimmBackbone", "arguments": {"name": "mobilenetv3_small_050"}}
VIT = {"class": "ssliqa_bench.training.backbones.timm:TimmBackbone",
       "arguments": {"name": "vit_tiny_patch16_224", "depth": 2}}  # fmt: skip
PATCH = {"class": "ssliqa_bench.training.backbones.cnniqa:CNNIQA", "arguments": {"maps": 6, "width": 8}}


BUILDER = "ssliqa_bench.methods.supervised:build_quality"


def network(spec: dict[str, Any], seed: int = 0) -> QualityModel:
    torch.manual_seed(seed)
    return QualityModel(build_backbone(spec)).eval()


def picture(height: int = 96, width: int = 80) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_map_of_a_patch_network_is_gradcam() -> None:
    model, image = network(PATCH), picture(60, 52)
    pixels, found = activation_map(network(PATCH), image, 38)
    assert np.array_equal(pixels, image) and found.shape == (60, 52)
    backbone: Any = model.backbone
    inputs = network_input(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
    maps = backbone.convolution(backbone.normalise(inputs))
    maps.retain_grad()
    flat = maps.flatten(2)
    model.head(backbone.hidden(torch.cat([flat.amax(2), flat.amin(2)], dim=1))).sum().backward()
    weights = maps.grad.mean((2, 3), keepdim=True)
    expected = torch.relu((weights * maps).sum(1))[0].detach().numpy()
    expected = expected - expected.min()
    expected = cv2.resize(expected / (1e-7 + expected.max()), (52, 60))
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(("spec", "size", "shape"), [(CNN, (96, 80), (96, 80)), (VIT, (240, 230), (224, 224))],
                         ids=["cnn", "vit"])  # fmt: skip
def test_cnn_and_vit_give_maps_of_what_they_look_at(
    spec: dict[str, Any], size: tuple[int, int], shape: tuple[int, int]
) -> None:
    pixels, found = activation_map(network(spec), picture(*size), 224)
    assert pixels.shape[:2] == found.shape == shape
    assert found.min() >= 0 and found.max() <= 1 and np.isfinite(found).all()


def stored(made: ModuleType, store: Path, **model: Any) -> str:
    """A record of two stages with weights; its key."""
    told = {"builder": BUILDER, "params": {"backbone": PATCH, "crop": 38, "test_crops": 2}, "scale": None,
            "short_side": None, "references": False, "weights": {}, "features": None, **model}  # fmt: skip
    own = made.record("ssiqa", srcc={"demo-syn": 0.8}, first=0.7, model=told)
    write(store, own)
    for k, stage in enumerate(own["stages"]):
        ArtifactStore(store).save(stage["key"], Artifact(module_tensors(network(PATCH, k))), {})
    return str(own["key"])


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_command_draws_a_row_for_each_stage(made: ModuleType, tmp_path: Path, suffix: str) -> None:
    key = stored(made, tmp_path / "runs")
    names = [str(tmp_path / f"{k}.png") for k in range(2)]
    for name in names:
        Image.fromarray(picture(60, 52)).save(name)
    out = tmp_path / f"cam.{suffix}"
    assert main(["plot", "cam", key[:12], *names, "--store", str(tmp_path / "runs"), "--out", str(out)]) == 0
    assert out.stat().st_size > 2000
    if suffix == "svg":
        text = out.read_text()
        assert all(word in text for word in ("initial", "last", "0.png", "1.png", "Grad-CAM"))


def test_every_network_of_an_ensemble_has_a_row(made: ModuleType, tmp_path: Path) -> None:
    """The first stage leaves one network, the last one two: those of `ucvme` and of an ensemble are named alike."""
    key = stored(made, tmp_path / "runs", builder="ssliqa_bench.methods.regression.supervised_ensemble:build_ensemble",
                 params={"backbone": PATCH, "crop": 38, "test_crops": 2})  # fmt: skip
    members = Ensemble(network(PATCH, k) for k in range(2))
    ArtifactStore(tmp_path / "runs").save("2" * 64, Artifact(module_tensors(members), {}), {})
    drawn = stage_networks(as_store(tmp_path / "runs"), read_record(tmp_path / "runs", key))
    assert list(drawn) == ["initial", "last, network 1", "last, network 2"]
    image = picture(60, 52)
    found = {row: activation_map(own, image, 38)[1] for row, own in drawn.items()}
    assert np.array_equal(found["initial"], found["last, network 1"])  # both of seed 0
    assert not np.allclose(found["last, network 1"], found["last, network 2"])


def test_a_network_of_levels_is_asked_for_the_expected_one(made: ModuleType, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = LevelModel(build_backbone(PATCH), 5).eval()
    params = {"backbone": PATCH, "crop": 38, "test_crops": 2, "policy": "quality_preserving", "levels": 5,
              "label_rule": "mode"}  # fmt: skip
    key = stored(made, tmp_path / "runs", builder="ssliqa_bench.methods.matching.base:build_levels", params=params)
    ArtifactStore(tmp_path / "runs").save("2" * 64, Artifact(module_tensors(model), {}), {})
    drawn = stage_networks(as_store(tmp_path / "runs"), read_record(tmp_path / "runs", key))
    image = picture(60, 52)
    found = activation_map(drawn["last"], image, 38)[1]
    backbone: Any = model.backbone
    inputs = network_input(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
    maps = backbone.convolution(backbone.normalise(inputs))
    maps.retain_grad()
    flat = maps.flatten(2)
    shares = model.head(backbone.hidden(torch.cat([flat.amax(2), flat.amin(2)], dim=1))).softmax(1)
    (shares * torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])).sum().backward()
    expected = torch.relu((maps.grad.mean((2, 3), keepdim=True) * maps).sum(1))[0].detach().numpy()
    assert np.corrcoef(found.ravel(), cv2.resize(expected, (52, 60)).ravel())[0, 1] > 0.999


def test_the_student_of_ssliqa_is_drawn(made: ModuleType, tmp_path: Path) -> None:
    params = {"student_backbone": PATCH, "student_hidden": [6], "levels": 5, "rating_std": 0.5, "crop": 38,
              "test_crops": 2, "size": None, "original_sizes": []}  # fmt: skip
    torch.manual_seed(4)
    branch = make_branch(params, "student").eval()
    key = stored(made, tmp_path / "runs", builder="ssliqa_bench.methods.ssliqa.ssliqa:build_branch_student",
                 params=params)  # fmt: skip
    ArtifactStore(tmp_path / "runs").save("2" * 64, Artifact(module_tensors(branch), {}), {})
    drawn = stage_networks(as_store(tmp_path / "runs"), read_record(tmp_path / "runs", key))
    image = picture(60, 52)
    found = activation_map(drawn["last"], image, 38)[1]
    backbone: Any = branch.backbone
    inputs = network_input(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
    maps = backbone.convolution(backbone.normalise(inputs))
    maps.retain_grad()
    flat = maps.flatten(2)
    shares = branch.head(backbone.hidden(torch.cat([flat.amax(2), flat.amin(2)], dim=1))).softmax(1)
    (shares * torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])).sum().backward()
    expected = torch.relu((maps.grad.mean((2, 3), keepdim=True) * maps).sum(1))[0].detach().numpy()
    assert np.corrcoef(found.ravel(), cv2.resize(expected, (52, 60)).ravel())[0, 1] > 0.999


def test_models_without_a_map_of_pixels_are_refused(
    made: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")

    def refused(key: str) -> str:
        words = [str(tmp_path / "a.png"), "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "b.png")]
        assert main(["plot", "cam", key, *words]) == 2
        return capsys.readouterr().err

    frozen = stored(made, tmp_path / "runs", features={"name": "lite0"})
    assert "features of the frozen network lite0" in refused(frozen)
    regression = "ssliqa_bench.methods.regression.kernel_ridge:build_kernel_ridge"
    for builder in ("own:build", regression):  # a module of a record's choice is not imported
        assert "its model is none that plot cam draws" in refused(stored(made, tmp_path / "runs", builder=builder))
    key = stored(made, tmp_path / "runs")
    for stage in ("1" * 64, "2" * 64):
        ArtifactStore(tmp_path / "runs").remove(stage)
    assert "--keep phases" in refused(key)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pytorch_grad_cam" else True)
    assert "pip install 'ssliqa-bench[cam]'" in refused(key)
