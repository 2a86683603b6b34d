"""What a cache of features is found under: the code of the frozen network, wherever it is."""

from __future__ import annotations

from pathlib import Path

from ssliqa_bench.models.weights import WeightsFile
from ssliqa_bench.registry.lookup import ResolvedBackbone
from ssliqa_bench.registry.schema import About
from ssliqa_bench.runner.features import feature_network

SOURCE = """from torch import nn


class Net(nn.Module):
    def forward(self, crops):
        # mean over the map
        return crops.mean((2, 3))
"""


def key_of(folder: Path, module: str, source: str) -> str:
    (folder / module).mkdir(parents=True)
    (folder / module / "__init__.py").write_text(source)
    backbone = ResolvedBackbone("net", f"{module}:Net", {"width": 3}, About(title="T", description="D"))
    weights = WeightsFile(path="net.safetensors", sha256="0" * 64)
    return feature_network(backbone, weights, 3, [folder]).key


def test_features_are_found_under_the_code_of_their_network_and_not_under_its_path(tmp_path: Path) -> None:
    first = key_of(tmp_path / "first", "one_network", SOURCE)
    assert first == key_of(tmp_path / "moved", "another_name", SOURCE)
    assert first == key_of(tmp_path / "reworded", "one_network", SOURCE.replace("mean over the map", "pooled"))
    assert first != key_of(tmp_path / "negated", "one_network", SOURCE.replace("return crops", "return -crops"))
