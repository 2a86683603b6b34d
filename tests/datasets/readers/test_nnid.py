"""NNID: the same file name in two folders, and a folder with a capital letter."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.nnid import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["official"](tmp_path / "data")


def test_one_name_in_two_folders_is_two_images(made: Miniature) -> None:
    found = read(made)
    rows = [found.name.index(f"{subset}/D1_IC01_img1.jpg") for subset in ("sub1024", "Sub2048")]
    assert len({found.path[row] for row in rows}) == len({found.score[row] for row in rows}) == 2
    assert len({found.group[row] for row in rows}) == 2


def test_five_pictures_of_a_scene_are_a_group(made: Miniature) -> None:
    assert set(Counter(read(made).group).values()) == {5}


@pytest.mark.parametrize("subset", ["sub512", "sub1024", "Sub2048"])
def test_a_folder_that_is_missing(made: Miniature, subset: str) -> None:
    (made.folder / subset).rename(made.folder / "elsewhere")
    said = refusal(made)
    assert "10 of 30 images have no file" in said and f'"{subset}/' in said


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("\tD1_IC01_img2.jpg", " D1_IC01_img2.jpg", "1 cells; expected 2 (mos, image)"),
    ("D1_IC01_img2.jpg", "night2.jpg", 'image name is "night2.jpg"; expected device, content and picture'),
    ("D1_IC01_img2.jpg", "D1_IC01_img1.jpg", "2 of 30 rows share their image name"),
])  # fmt: skip
def test_lines_that_are_not_as_expected(made: Miniature, old: str, new: str, expected: str) -> None:
    rewrite(made.folder / "mos1024_with_names.txt", old, new)
    assert expected in refusal(made)


@needs_annotations
def test_real_labels(tmp_path: Path) -> None:
    found = read_annotations("nnid", tmp_path, {"rebuilt/NNID": "."})
    assert len(found.name) == 2240
    assert found.score.min() == 0.08 and found.score.max() == pytest.approx(0.8553, abs=1e-4)
    assert found.rating_std is None
    groups = Counter(found.group)
    assert len(groups) == 448 and set(groups.values()) == {5}
    assert Counter(name.split("/")[0] for name in found.name) == {"sub512": 1340, "sub1024": 450, "Sub2048": 450}
    assert Counter(name.split("/")[1][:2] for name in found.name) == {"D1": 1400, "D2": 640, "D3": 200}
    names = {subset: [name.split("/")[1] for name in found.name if name.startswith(subset)]
             for subset in ("sub1024", "Sub2048")}  # fmt: skip
    assert sorted(names["sub1024"]) == sorted(names["Sub2048"])


@needs_annotations
def test_real_labels_agree_with_other_lists(tmp_path: Path) -> None:
    found = read_annotations("nnid", tmp_path, {"rebuilt/NNID": "."})
    content = json.loads((ANNOTATIONS / "reexported/nnid/sind_nnid_all.json").read_text())["files"]
    listed = {row["image"].removeprefix("NNID/").lower(): row["score"] for row in content}
    np.testing.assert_allclose(found.score, [listed[name.lower()] for name in found.name], atol=1e-12)
    last = [score for name, score in zip(found.name, found.score, strict=True) if name.startswith("Sub2048")]
    np.testing.assert_allclose(last, loadmat(ANNOTATIONS / "nnid/2048mos.mat")["mos2048"].ravel(), atol=1e-9)
