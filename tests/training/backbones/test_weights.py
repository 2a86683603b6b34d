"""Weights files: both formats, classifiers left out, and what is said of a file that does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.backbones.cnniqa import CNNIQA
from ssliqa_bench.training.backbones.timm import TimmBackbone
from ssliqa_bench.training.backbones.torchvision import TorchvisionBackbone
from ssliqa_bench.training.backbones.weights import load_weights

Tensors = dict[str, torch.Tensor]


def published(name: str = "test_resnet") -> Tensors:
    """Weights as timm publishes them, classifier included."""
    torch.manual_seed(4)
    return timm.create_model(name, pretrained=False).state_dict()


def write_pth(tensors: Any, path: Path) -> None:
    torch.save(tensors, path)


FORMATS: dict[str, Callable[[Tensors, Path], None]] = {
    "model.safetensors": save_file,
    "model.pth": write_pth,
    "pytorch_model.bin": write_pth,
    "wrapped.pth": lambda tensors, path: write_pth({"state_dict": tensors, "epoch": 3}, path),
    "nested.pth": lambda tensors, path: write_pth({"model": tensors}, path),
    "parallel.pth": lambda tensors, path: write_pth({f"module.{n}": v for n, v in tensors.items()}, path),
    "parallel.safetensors": lambda tensors, path: save_file({f"module.{n}": v for n, v in tensors.items()}, path),
}


@pytest.mark.parametrize("file", FORMATS)
def test_a_file_with_its_classifier_fills_the_network(tmp_path: Path, file: str) -> None:
    tensors = published()
    FORMATS[file](tensors, tmp_path / file)
    backbone = TimmBackbone("test_resnet")
    load_weights(backbone, str(tmp_path / file))
    own = backbone.network.state_dict()
    assert 0 < len(own) < len(tensors)
    for name, value in own.items():
        assert torch.equal(value, tensors[name]), name


def test_files_of_other_backbones(tmp_path: Path) -> None:
    torch.manual_seed(5)
    source = CNNIQA(maps=3, width=4)
    save_file(source.state_dict(), tmp_path / "cnniqa.safetensors")
    target = CNNIQA(maps=3, width=4)
    load_weights(target, str(tmp_path / "cnniqa.safetensors"))
    assert torch.equal(target.convolution.weight, source.convolution.weight)


def test_older_names_of_published_densenets_are_understood(tmp_path: Path) -> None:
    torch.manual_seed(6)
    tensors = models.densenet121(weights=None).state_dict()
    older = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): value for name, value in tensors.items()}
    assert sum(name not in tensors for name in older) == 58 * 12
    save_file(older, tmp_path / "densenet.safetensors")
    backbone = TorchvisionBackbone("densenet121")
    load_weights(backbone, str(tmp_path / "densenet.safetensors"))
    for name, value in backbone.network.state_dict().items():
        assert torch.equal(value, tensors[name]), name


def test_weights_for_another_crop_are_resized_as_timm_does(tmp_path: Path) -> None:
    torch.manual_seed(7)
    tensors = timm.create_model("test_vit", pretrained=False).state_dict()
    save_file(tensors, tmp_path / "vit.safetensors")
    backbone = TimmBackbone("test_vit", img_size=96)
    load_weights(backbone, str(tmp_path / "vit.safetensors"))
    changes = {"img_size": 96, "num_classes": 0, "pretrained_cfg_overlay": {"file": str(tmp_path / "vit.safetensors")}}
    expected = timm.create_model("test_vit", pretrained=True, **changes)
    for name, value in backbone.network.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name]), name


def test_a_file_without_batch_counters_fits(tmp_path: Path) -> None:
    source = TorchvisionBackbone("resnet18").network.state_dict()
    older = {name: value for name, value in source.items() if not name.endswith("num_batches_tracked")}
    assert len(older) < len(source)
    torch.save(older, tmp_path / "resnet18.pth")
    target = TorchvisionBackbone("resnet18")
    load_weights(target, str(tmp_path / "resnet18.pth"))
    assert all(torch.equal(value, source[name]) for name, value in target.network.state_dict().items())


def test_another_shape_is_said(tmp_path: Path) -> None:
    tensors = published()
    tensors["bn1.weight"] = torch.zeros(2)
    torch.save(tensors, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth has another shape for bn1\.weight: \(2,\), expected \("):
        load_weights(TimmBackbone("test_resnet"), str(tmp_path / "w.pth"))


def test_tensors_that_lack_are_counted(tmp_path: Path) -> None:
    torch.save(published("test_vit"), tmp_path / "w.pth")
    backbone = TimmBackbone("test_resnet")
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with pytest.raises(InputError, match=r"w\.pth lacks \d+ of \d+ tensors \(first: bn1.*--set pretrained=false"):
        load_weights(backbone, str(tmp_path / "w.pth"))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize("file", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all"])
def test_a_file_that_is_no_weights_file_is_said(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=f"{file}: (not readable as safetensors|is a pickle of more than tensors)"):
        load_weights(CNNIQA(), str(tmp_path / file))


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3)])
def test_something_else_than_named_tensors_is_said(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth: expected a dictionary of tensors"):
        load_weights(CNNIQA(), str(tmp_path / "w.pth"))


def test_a_file_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"weight": _Payload(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="a pickle can run code"):
        load_weights(CNNIQA(), str(tmp_path / "w.pth"))
    assert not (tmp_path / "ran").exists()


class _Payload:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)
