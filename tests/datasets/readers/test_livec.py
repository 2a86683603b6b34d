"""LIVE Challenge: training pictures that are no part of it, and lists that lost too much with them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.livec import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["official"](tmp_path / "data")


def change(path: Path, **columns: object) -> None:
    content = {name: values for name, values in loadmat(path).items() if not name.startswith("__")}
    savemat(path, {**content, **columns})


def test_training_pictures_are_left_out_wherever_they_are(made: Miniature, tmp_path: Path) -> None:
    found = read(made)
    for name in ("without training pictures", "pyiqa", "pyiqa without training pictures"):
        other = read(LAYOUTS[name](tmp_path / name.replace(" ", "-")))
        assert other.name == found.name
        np.testing.assert_allclose(other.score, found.score)
    assert not any(name.startswith("t") for name in found.name)


@pytest.mark.parametrize("layout", ["pyiqa", "pyiqa without training pictures"])
def test_seven_real_images_that_were_cut_off(tmp_path: Path, layout: str) -> None:
    made = LAYOUTS[layout](tmp_path / "data")
    header, *rows = made.labels[0].read_text().splitlines()
    real = [row for row in rows if not row.startswith("t")]
    made.labels[0].write_text("\n".join([header, *real[7:]]))
    said = refusal(made)
    assert "100.bmp, 101.bmp" in said and "seven real images are missing" in said


@pytest.mark.parametrize("name", ["AllImages_release", "AllMOS_release", "AllStdDev_release"])
def test_a_variable_that_has_another_name(made: Miniature, name: str) -> None:
    path = made.folder / "Data" / f"{name}.mat"
    savemat(path, {"renamed": loadmat(path)[name]})
    said = refusal(made)
    assert f'no variable "{name}"' in said and "renamed" in said


def test_lists_that_disagree_in_length(made: Miniature) -> None:
    path = made.folder / "Data" / "AllMOS_release.mat"
    change(path, AllMOS_release=loadmat(path)["AllMOS_release"][:, :-1])
    assert "36 values for 37 names in AllImages_release.mat" in refusal(made)


def test_a_score_that_is_not_finite(made: Miniature) -> None:
    path = made.folder / "Data" / "AllMOS_release.mat"
    scores = loadmat(path)["AllMOS_release"]
    scores[0, 9] = np.nan
    change(path, AllMOS_release=scores)
    said = refusal(made)
    assert "1 of 30 scores are no finite number" in said and made.names[2] in said


def test_what_is_no_matlab_file(made: Miniature) -> None:
    (made.folder / "Data" / "AllMOS_release.mat").write_text("<html>fill in the form</html>")
    assert "AllMOS_release.mat: not readable as a MATLAB file" in refusal(made)


@needs_annotations
def test_real_labels(tmp_path: Path) -> None:
    found = read_annotations("livec", tmp_path / "a", {"rebuilt/ChallengeDB_release": "."}, ("Images",))
    assert len(found.name) == 1162 and (found.name[0], found.name[-1]) == ("100.bmp", "1164.bmp")
    assert Counter(name.rpartition(".")[2] for name in found.name) == {"bmp": 535, "JPG": 627}
    assert found.score.min() == pytest.approx(3.42, abs=1e-3)
    assert found.score.max() == pytest.approx(92.432, abs=1e-3)
    assert found.rating_std is not None
    assert found.rating_std.min() == pytest.approx(6.76, abs=5e-3)
    assert found.rating_std.max() == pytest.approx(28.59, abs=5e-3)
    content = json.loads((ANNOTATIONS / "reexported/livec/sind_livec_all.json").read_text())["files"]
    listed = {row["image"].rpartition("/")[2]: row["score"] for row in content}
    np.testing.assert_allclose(found.score, [listed[name] for name in found.name], atol=1e-12)


@needs_annotations
def test_the_real_list_of_the_mirror_agrees(tmp_path: Path) -> None:
    found = read_annotations("livec", tmp_path / "a", {"rebuilt/ChallengeDB_release": "."}, ("Images",))
    mirror = read_annotations(
        "livec",
        tmp_path / "b",
        {"reexported/livec/meta_info_LIVEChallengeDataset.csv": "../meta_info/meta_info_LIVEChallengeDataset.csv"},
        ("Images",),
    )
    assert mirror.name == found.name
    np.testing.assert_allclose(mirror.score, found.score, atol=6e-9)
    np.testing.assert_allclose(mirror.rating_std, found.rating_std, atol=6e-9)
