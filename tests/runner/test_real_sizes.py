"""At the sizes of real data: memory of classical scoring, and the ordinary loop with a ViT-S at 224 pixels."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from PIL import Image


def made_photos(root: Path, count: int) -> Path:
    """A registry file with a dataset of so many images of 1024×768."""
    folder = root / f"photos-{count}"
    (folder / "images").mkdir(parents=True)
    y, x = np.mgrid[:768, :1024]
    rows = ["image,score"]
    for k in range(count):
        waves = 128 + 100 * np.sin(x / (5 + k % 17) + k) * np.cos(y / (7 + k % 11))
        Image.fromarray(np.stack([waves, waves[::-1], waves[:, ::-1]], axis=2).astype(np.uint8)).save(
            folder / "images" / f"{k}.jpg", quality=80
        )
        rows.append(f"{k}.jpg,{k % 10}")
    (folder / "labels.csv").write_text("\n".join([*rows, ""]))
    entry = {"about": {"title": "Photos"}, "kind": "authentic", "scale": [0, 10], "direction": "higher_is_better",
             "folder": folder.name}  # fmt: skip
    path = root / f"{folder.name}.yaml"
    path.write_text(yaml.safe_dump({"datasets": {folder.name: entry}}))
    return path


def peak(registry: Path, store: Path) -> int:
    """Peak memory that the record of a run of piqe states, in a process of its own, images already decoded."""
    name = registry.stem
    words = ["run", "--method", "piqe", "--pair", "demo-syn", "--test", name, "--jobs", "1", "--json",
             "--registry", str(registry), "--store", str(store), "--device", "cpu"]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "ssliqa_bench", *words], capture_output=True, text=True, check=True)
    (run,) = json.loads(done.stdout)["runs"]
    facts = json.loads((store / "records" / run["key"] / "facts.json").read_text())
    return int(facts["peak_memory_bytes"])


@pytest.mark.slow
def test_memory_of_classical_scoring_does_not_grow_with_the_images(tmp_path: Path) -> None:
    few, many = (peak(made_photos(tmp_path, count), tmp_path / str(count)) for count in (100, 400))
    assert many < 1.05 * few, f"{few / 2**20:.0f} MiB for 100 images, {many / 2**20:.0f} MiB for 400"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "speed" / "vit_epoch.py"
    spec = importlib.util.spec_from_file_location("vit_epoch", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_two_steps_of_a_vit_s_on_a_cpu(script: ModuleType, tmp_path: Path) -> None:
    told = script.epoch(16, 8, "cpu", 1, tmp_path)
    assert (told["device"], told["precision"], told["steps"]) == ("cpu", "float32", 2)
    assert told["images_per_second"] > 0


@pytest.mark.gpu
def test_an_epoch_of_a_vit_s_on_a_gpu(script: ModuleType, tmp_path: Path) -> None:
    told = script.epoch(512, 32, "cuda", 1, tmp_path)
    assert (told["device"], told["precision"], told["steps"]) == ("cuda", "bfloat16", 16)
    assert told["images_per_second"] > 0
