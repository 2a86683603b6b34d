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
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.training.backbones.base import QualityModel, network_input
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.quality import build_backbone
from ssliqa_bench.types import Artifact
from tests.leaderboard.typed import write

pytest.importorskip("pytorch_grad_cam")
from ssliqa_bench.integrations.gradcam import BUILDER, activation_map

CNN = {"class": "ssliqa_bench.training.backbones.timm:TimmBackbone", "arguments": {"name": "mobilenetv3_small_050"}}
VIT = {"class": "ssliqa_bench.training.backbones.timm:TimmBackbone",
       "arguments": {"name": "vit_tiny_patch16_224", "depth": 2}}  # fmt: skip
PATCH = {"class": "ssliqa_bench.training.backbones.cnniqa:CNNIQA", "arguments": {"maps": 6, "width": 8}}


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
    told = {"builder": BUILDER, "params": {"backbone": PATCH, "crop": 38}, "scale": None, "short_side": None,
            "references": False, "weights": {}, "features": None, **model}  # fmt: skip
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
    assert "not one network with one output" in refused(stored(made, tmp_path / "runs", builder="own:build"))
    key = stored(made, tmp_path / "runs")
    for stage in ("1" * 64, "2" * 64):
        ArtifactStore(tmp_path / "runs").remove(stage)
    assert "--keep phases" in refused(key)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pytorch_grad_cam" else True)
    assert "pip install 'ssliqa-bench[cam]'" in refused(key)
