"""What decoding converts, transparent pixels and colour profiles, is counted by `data add`, `data check` and runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.cli.app import main
from tests.pixels.test_decode import wide_gamut_profile

CONTRAST = Path(__file__).parents[2] / "docs/examples/contrast.yaml"
PHRASE = "2 with transparent pixels, blended onto white; 1 with an embedded ICC profile, converted to sRGB"


def write_photographs(folder: Path) -> None:
    """Twenty pictures of noise; two half transparent, one with an opaque alpha channel, one with a colour profile."""
    (folder / "photos").mkdir()
    rows = ["image,score"]
    for k in range(20):
        pixels = np.random.default_rng(k).integers(0, 256, (24, 32, 4 if k < 3 else 3), dtype=np.uint8)
        if k < 3:
            pixels[:, :, 3] = 255 if k == 2 else np.where(np.arange(32) < 9, 0, 255)
        profile = {"icc_profile": wide_gamut_profile()} if k == 3 else {}
        Image.fromarray(pixels).save(folder / "photos" / f"{k}.png", **profile)
        rows.append(f"{k}.png,{1 + k % 5}")
    (folder / "labels.csv").write_text("\n".join([*rows, ""]))


def test_conversions_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    write_photographs(tmp_path)
    assert main(["data", "add", "mine", "--labels", "labels.csv", "--images", "photos", "--jobs", "1"]) == 0
    assert f"mine: {PHRASE}" in capsys.readouterr().out
    mine = ["--registry", "mine.yaml"]
    assert main(["data", "check", "mine", *mine, "--jobs", "1"]) == 0
    assert PHRASE in capsys.readouterr().out
    words = ["run", "--method", "contrast", "--pair", "mine", "--store", "runs", *mine, "--registry", str(CONTRAST)]
    assert main(words) == 0
    (facts,) = (tmp_path / "runs/records").glob("*/facts.json")
    assert f"mine, images used: {PHRASE}" in json.dumps(json.loads(facts.read_text()), ensure_ascii=False)
