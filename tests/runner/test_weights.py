"""Pretrained weights: found, or said where to get them, before any data is read."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.weights import WeightsFile, resolve_weights

BACKBONE = "timm:deit3_small_patch16_224.fb_in1k"


def resolve(name: str = BACKBONE, **params: Any) -> WeightsFile | None:
    return resolve_weights(load_registry().resolve_backbone(name), params)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, int]]:
    """No network, empty caches; gives the addresses that were tried."""
    tried: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], timeout: float) -> None:
        assert timeout <= 10
        tried.append(address)
        raise OSError("unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tried


def test_random_weights_need_no_file() -> None:
    assert resolve(pretrained=False) is None
    assert resolve("cnniqa") is None


def test_a_file_of_ones_own_is_known_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"weights")
    found = resolve(pretrained=True, weights_file=str(tmp_path / "w.pth"))
    assert found == WeightsFile(str(tmp_path / "w.pth"), hashlib.sha256(b"weights").hexdigest())
    assert resolve(pretrained=True, weights_file=f"sha256:{found.sha256}") == WeightsFile(None, found.sha256)
    with pytest.raises(InputError, match="no such file"):
        resolve(pretrained=True, weights_file=str(tmp_path / "none.pth"))


def test_a_backbone_without_published_weights_says_so() -> None:
    with pytest.raises(InputError, match="pretrained=false"):
        resolve("cnniqa", pretrained=True)
    with pytest.raises(InputError, match="publishes no weights"):
        resolve("timm:no_such_network", pretrained=True)
    with pytest.raises(InputError, match="does not know it"):
        resolve("torchvision:no_such_network", pretrained=True)


@pytest.mark.parametrize(
    ("name", "host", "file"),
    [(BACKBONE, "huggingface.co", "model.safetensors"), ("torchvision:resnet18", "download.pytorch.org", "resnet18-")],
)
def test_without_a_network_the_message_names_file_address_and_place(
    offline: list[tuple[str, int]], name: str, host: str, file: str
) -> None:
    with pytest.raises(InputError) as caught:
        resolve(name, pretrained=True)
    message = str(caught.value)
    assert host in message and file in message and "put it at" in message and "pretrained=false" in message
    assert len(offline) == 1, "one short attempt"


def test_offline_mode_is_respected(offline: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"huggingface\.co"):
        resolve(pretrained=True)
    assert offline == []


def test_what_lies_in_the_local_cache_is_taken(offline: list[tuple[str, int]], tmp_path: Path) -> None:
    import torch
    from torchvision import models

    address = models.get_model_weights("resnet18").DEFAULT.url  # type: ignore[attr-defined]
    place = Path(torch.hub.get_dir()) / "checkpoints" / address.rsplit("/", 1)[1]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"cached")
    assert resolve("torchvision:resnet18", pretrained=True) == WeightsFile(
        str(place), hashlib.sha256(b"cached").hexdigest()
    )
    assert offline == []


def test_each_backbone_of_a_method_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    for role in ("student", "teacher"):
        (tmp_path / f"{role}.pth").write_bytes(role.encode())
    params = {
        "pretrained": True,
        "student_weights_file": str(tmp_path / "student.pth"),
        "teacher_weights_file": str(tmp_path / "teacher.pth"),
    }
    backbone = load_registry().resolve_backbone("cnniqa")
    for role in ("student", "teacher"):
        found = resolve_weights(backbone, params, f"{role}_backbone")
        assert found is not None and found.sha256 == hashlib.sha256(role.encode()).hexdigest()
    with pytest.raises(InputError, match="--set teacher_weights_file=.*no such file"):
        resolve_weights(backbone, {**params, "teacher_weights_file": str(tmp_path / "none")}, "teacher_backbone")
    with pytest.raises(InputError, match="--set student_weights_file=FILE"):
        resolve_weights(backbone, {**params, "student_weights_file": None}, "student_backbone")
    shared = {"pretrained": True, "weights_file": str(tmp_path / "student.pth")}
    assert resolve_weights(backbone, shared, "other_backbone") is not None


def test_tres_starts_from_the_weights_of_its_resnet(offline: list[tuple[str, int]]) -> None:
    with pytest.raises(InputError, match=r"torchvision:resnet50 are not on this machine.*resnet50-\w+\.pth"):
        resolve("tres", pretrained=True)
    assert [address for address, _ in offline] == ["download.pytorch.org"]
