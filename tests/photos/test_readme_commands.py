"""The four commands of the README on photographs, as a new user would type them."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ssliqa_bench.cli.app import main

README = Path(__file__).parents[2] / "README.md"
SCENES = ("astronaut", "coffee", "chelsea", "rocket", "retina", "immunohistochemistry")


def commands() -> list[list[str]]:
    """The commands of the section, as words."""
    section = README.read_text().partition("## Your own photographs")[2].partition("\n## ")[0]
    block = re.findall(r"```\n(.*?)```", section, re.DOTALL)[0]
    return [shlex.split(line, comments=True) for line in block.splitlines() if line.strip()]


def test_there_are_four_commands_and_the_first_installs() -> None:
    found = commands()
    assert len(found) == 4 and found[0][:2] == ["pip", "install"]
    assert [words[0] for words in found[1:]] == ["ssliqa-bench"] * 3


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with crops of photographs of scikit-image: 30 scored by how much they are blurred or noisy, 6 more."""
    skimage_data = pytest.importorskip("skimage.data")
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    (tmp_path / "more").mkdir()
    rows = []
    for number, scene in enumerate(SCENES):
        picture = Image.fromarray(getattr(skimage_data, scene)()).resize((420, 300))
        for level in range(6):
            pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.5 * level)) if number % 2 else picture)
            noise = 0 if number % 2 else 14 * level
            made = Image.fromarray((pixels + noise * random.normal(size=pixels.shape)).clip(0, 255).astype(np.uint8))
            name = f"{scene}-{level}.jpg" if level != 3 else f"more-{scene}.jpg"
            made.save(tmp_path / ("photos" if level != 3 else "more") / name, quality=95)
            if level != 3:
                rows.append([name, f"{5 - 0.7 * level + 0.2 * random.normal():.2f}", scene])
    with open(tmp_path / "scores.csv", "w", newline="") as file:
        csv.writer(file).writerows([["image", "score", "group"], *rows])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_they_lead_from_scores_to_a_scored_folder(own: Path, capsys: pytest.CaptureFixture[str],
                                                  parameter_files: Path) -> None:  # fmt: skip
    _, train, score, metric = (words[1:] for words in commands())
    assert main(train) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "SRCC" in printed and "Next: ssliqa-bench score --model my-model" in printed
    assert any(word in printed for word in ("helped", "hurt", "cannot be told"))
    assert printed.count("95 % interval") == 3 and "Apache-2.0" in (own / "my-model" / "README.md").read_text()
    assert main(score) == 0
    with open(own / "scored.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 and all(0 < float(row["score"]) < 6 and float(row["spread"]) > 0 for row in rows)
    assert (own / "scored.html").read_text().count("data:image/jpeg;base64,") == 18
    assert main(metric) == 0
    assert capsys.readouterr().out.count(".jpg") >= 6
