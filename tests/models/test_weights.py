"""Pretrained weights: found, or said where to get them, before any data is read."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.models.weights import (
    WeightsFile,
    backbone_weights,
    own_weights,
    resolve_method_weights,
    resolve_weights,
)
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import ResolvedMethod

Resolve = Callable[..., WeightsFile | None]
BACKBONE = "timm:deit3_small_patch16_224.fb_in1k"


@pytest.fixture
def resolve(tmp_path: Path) -> Callable[..., WeightsFile | None]:
    """Look for weights with a cache folder of its own."""

    def look(name: str = BACKBONE, **params: Any) -> WeightsFile | None:
        return resolve_weights(load_registry().resolve_backbone(name), params, tmp_path / "cache")

    return look


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
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tried


def test_random_weights_need_no_file(resolve: Resolve) -> None:
    assert resolve(pretrained=False) is None
    assert resolve("cnniqa") is None


def test_a_file_of_ones_own_is_known_by_what_it_holds(resolve: Resolve, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"PK weights")
    found = resolve(pretrained=True, weights_file=str(tmp_path / "w.pth"))
    assert found == WeightsFile(str(tmp_path / "w.pth"), hashlib.sha256(b"PK weights").hexdigest())
    assert resolve(pretrained=True, weights_file=f"sha256:{found.sha256}") == WeightsFile(None, found.sha256)
    with pytest.raises(InputError, match="no such file"):
        resolve(pretrained=True, weights_file=str(tmp_path / "none.pth"))


def test_a_backbone_without_published_weights_says_so(resolve: Resolve) -> None:
    with pytest.raises(InputError, match="pretrained=false"):
        resolve("cnniqa", pretrained=True)
    with pytest.raises(InputError, match="publishes no weights"):
        resolve("timm:no_such_network", pretrained=True)
    with pytest.raises(InputError, match="does not know"):
        resolve("torchvision:no_such_network", pretrained=True)


@pytest.mark.parametrize(
    ("name", "host", "file"),
    [(BACKBONE, "huggingface.co", "model.safetensors"), ("torchvision:resnet18", "download.pytorch.org", "resnet18-")],
)
def test_without_a_network_the_message_names_file_address_and_place(
    resolve: Resolve, offline: list[tuple[str, int]], name: str, host: str, file: str
) -> None:
    with pytest.raises(InputError) as caught:
        resolve(name, pretrained=True)
    message = str(caught.value)
    for words in (host, file, "put it", "weights_file=FILE", "pretrained=false"):
        assert words in message
    assert len(offline) == 1, "one short attempt"


def test_offline_mode_is_respected(
    resolve: Resolve, offline: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"huggingface\.co"):
        resolve(pretrained=True)
    assert offline == []


def test_what_lies_in_the_local_cache_is_taken(
    resolve: Resolve, offline: list[tuple[str, int]], tmp_path: Path
) -> None:
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


def test_a_metrics_parameter_file(offline: list[tuple[str, int]], tmp_path: Path) -> None:
    method = load_registry().resolve_method("niqe")
    assert method.weights is not None

    def look(**params: Any) -> WeightsFile:
        assert method.weights is not None
        return resolve_method_weights("niqe", method.weights, {**method.params, **params}, tmp_path / "cache")

    with pytest.raises(InputError) as caught:
        look()
    place = tmp_path / "torch" / "hub" / "pyiqa" / "niqe_modelparameters.mat"
    message = str(caught.value)
    assert method.weights.source in message and f"put it at: {place}" in message and "pretrained" not in message
    place.parent.mkdir(parents=True)
    place.write_bytes(b"PK parameters")
    assert look() == WeightsFile(str(place), hashlib.sha256(b"PK parameters").hexdigest())
    (tmp_path / "own.mat").write_bytes(b"PK own")
    assert look(weights_file=str(tmp_path / "own.mat")).sha256 == hashlib.sha256(b"PK own").hexdigest()


LOOK = """
import sys
from pathlib import Path
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.models.weights import resolve_weights
found = resolve_weights(load_registry().resolve_backbone(sys.argv[1]), {"pretrained": True}, Path(sys.argv[2]))
print(found.path, sorted({"torch", "timm", "torchvision"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", [BACKBONE, "timm:resnet18.a1_in1k"])
def test_weights_that_are_here_are_found_without_torch(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a name that the registry does not know, from the second time on."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    home = tmp_path / "hub" / f"models--timm--{name.partition(':')[2]}"
    file = home / "snapshots" / "0123" / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"PK weights")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0123")
    said = []
    for _ in range(2):
        command = [sys.executable, "-c", LOOK, name, str(tmp_path / "cache")]
        said.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(" ", 1))
    assert said[0][0] == said[1][0] == str(file)
    assert said[1][1].strip() == "[]"


def resolved(method: str, **params: Any) -> ResolvedMethod:
    """A method with other values of its parameters, cnniqa for all networks."""
    networks = dict.fromkeys(load_registry().resolve_method(method).named("backbone"), "cnniqa")
    return load_registry().resolve_method(method, None, {**networks, **params})


def test_each_backbone_of_a_method_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    params = {}
    for role in ("student", "teacher"):
        (tmp_path / f"{role}.pth").write_bytes(b"PK" + role.encode())
        params[f"{role}_weights_file"] = str(tmp_path / f"{role}.pth")
    backbone = load_registry().resolve_backbone("cnniqa")
    for role in ("student", "teacher"):
        found = backbone_weights(resolved("ssliqa", **params), f"{role}_backbone", backbone, tmp_path)
        assert found is not None and found.sha256 == hashlib.sha256(b"PK" + role.encode()).hexdigest()
    with pytest.raises(InputError, match="--set teacher_weights_file: .*no such file"):
        absent = {**params, "teacher_weights_file": str(tmp_path / "none")}
        backbone_weights(resolved("ssliqa", **absent), "teacher_backbone", backbone, tmp_path)
    with pytest.raises(InputError, match="--set student_weights_file=FILE"):
        backbone_weights(resolved("ssliqa"), "student_backbone", backbone, tmp_path)


def test_a_backbone_with_a_switch_of_its_own_follows_that(tmp_path: Path) -> None:
    backbone = load_registry().resolve_backbone("cnniqa")
    teacher = resolved("noisy-student", pretrained=False)
    assert backbone_weights(teacher, "backbone", backbone, tmp_path) is None
    with pytest.raises(InputError, match="--set extractor_pretrained=false .*--set extractor_weights_file=FILE"):
        backbone_weights(teacher, "extractor_backbone", backbone, tmp_path)
    student = resolved("noisy-student", extractor_pretrained=False)
    assert backbone_weights(student, "extractor_backbone", backbone, tmp_path) is None


def test_a_file_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    """Missing or not: random values were asked for, or are the default of the recipe."""
    backbone = load_registry().resolve_backbone("cnniqa")
    (tmp_path / "w.pth").write_bytes(b"PK")
    for file, said in (("w.pth", "would not be read, since pretrained is false.*--set pretrained=true"),
                       ("none.pth", "no such file")):  # fmt: skip
        given = resolved("supervised", pretrained=False, weights_file=str(tmp_path / file))
        with pytest.raises(InputError, match=said):
            backbone_weights(given, "backbone", backbone, tmp_path)


def test_without_parameters_that_choose_them_a_network_starts_from_random_values(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("methods:\n  own: {class: 'm:C', params: {backbone: cnniqa}}\n")
    registry = load_registry([own])
    method = registry.resolve_method("own")
    assert backbone_weights(method, "backbone", registry.resolve_backbone("cnniqa"), tmp_path) is None
    assert own_weights(method, tmp_path) is None


def test_tres_starts_from_the_weights_of_its_resnet(resolve: Resolve, offline: list[tuple[str, int]]) -> None:
    said = r"torchvision:resnet50\.IMAGENET1K_V1 are not on this machine.*resnet50-0676ba61\.pth"
    with pytest.raises(InputError, match=said):
        resolve("tres", pretrained=True)
    assert [address for address, _ in offline] == ["download.pytorch.org"]


def test_a_tag_names_the_weights_of_a_torchvision_network(resolve: Resolve, offline: list[tuple[str, int]]) -> None:
    models = importlib.import_module("torchvision.models")
    for tag in ("IMAGENET1K_V1", "IMAGENET1K_V2"):
        file = Path(models.ResNet50_Weights[tag].url).name
        with pytest.raises(InputError, match=rf"torchvision:resnet50\.{tag} are not on this machine.*{file}"):
            resolve(f"torchvision:resnet50.{tag}", pretrained=True)
    with pytest.raises(InputError, match="no weights IMAGENET1K_V9 for resnet50; expected one of IMAGENET1K_V1, "):
        resolve("torchvision:resnet50.IMAGENET1K_V9", pretrained=True)


def test_all_pretrained_weights_of_the_registry_are_pinned_by_tag() -> None:
    registry = load_registry()
    named: dict[str, str] = {}
    for name in (name for name, entry in registry.methods.items() if entry.prefix is None):
        for recipe in registry.recipes(name):
            for parameter, value in registry.resolve_method(name, recipe).params.items():
                if parameter.endswith("backbone"):
                    named[f"{name}, recipe {recipe}: {parameter}"] = str(value)
    for name, backbone in registry.backbones.items():
        named[f"{name}: weights_of"] = backbone.weights_of or ""
        named[f"{name}: stands_for"] = backbone.stands_for or ""
    unpinned = {
        where: value
        for where, value in named.items()
        if value.startswith(("timm:", "torchvision:")) and "." not in value
    }
    assert unpinned == {}


def test_tres_starts_from_the_weights_that_pyiqa_names() -> None:
    assert load_registry().resolve_backbone("tres").weights_of == "torchvision:resnet50.IMAGENET1K_V1"
    source = importlib.util.find_spec("pyiqa")
    if source is None or not source.submodule_search_locations:
        pytest.skip("pyiqa is not installed")
    code = (Path(source.submodule_search_locations[0]) / "archs" / "tres_arch.py").read_text(encoding="utf-8")
    assert "models.resnet50(weights='IMAGENET1K_V1')" in code
