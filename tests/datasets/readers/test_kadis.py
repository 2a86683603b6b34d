"""KADIS-700k: no scores, distorted images that are there in part."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.readers.kadis import read_kadis
from ssliqa_bench.errors import DataError
from tests.datasets.annotations import needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.kadis import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal, rewrite


@pytest.fixture
def distorted(tmp_path: Path) -> Miniature:
    return LAYOUTS["distorted"](tmp_path / "data")


def test_nothing_has_a_score(distorted: Miniature, tmp_path: Path) -> None:
    for made in (distorted, LAYOUTS["pristine"](tmp_path / "other")):
        assert np.isnan(read(made).score).all()


def test_five_levels_of_a_photograph_are_a_group(distorted: Miniature) -> None:
    assert set(Counter(read(distorted).group).values()) == {5}


def test_both_in_one_table(distorted: Miniature) -> None:
    found = read_kadis(distorted.folder, {"images": "both"})
    assert len(found.name) == 12 + 20 == len(set(found.name))
    assert found.level is not None and Counter(found.level) == {"": 12, **dict.fromkeys("12345", 4)}
    # A photograph and what was made from it are one group.
    assert found.group is not None and Counter(found.group)["photo-0.png"] == 6


def test_a_photograph_not_yet_distorted_is_no_error(distorted: Miniature) -> None:
    stem = distorted.names[0].rsplit("_", 1)[0]
    for path in (distorted.folder / "dist_imgs").glob(f"{stem}_*"):
        path.unlink()
    found = read_kadis(distorted.folder, {"images": "distorted"})
    assert len(found.name) == 15


def test_an_interrupted_photograph_is_one(distorted: Miniature) -> None:
    distorted.images[distorted.names[7]].unlink()
    said = refusal(distorted)
    assert "1 of 20 images have no file" in said and distorted.names[7] in said


def test_no_distorted_image_at_all(tmp_path: Path) -> None:
    made = LAYOUTS["pristine"](tmp_path / "data")
    with pytest.raises(DataError, match="The archive ships none") as caught:
        read_kadis(made.folder, {"images": "distorted"})
    assert "ssliqa-bench data prepare kadis --distort" in str(caught.value)


def test_the_pristine_photographs_need_not_be_there(distorted: Miniature) -> None:
    for path in (distorted.folder / "ref_imgs").iterdir():
        path.unlink()
    (distorted.folder / "ref_imgs").rmdir()
    found = read(distorted)
    assert found.reference is not None and not any(found.reference)


def test_no_folder_of_photographs(tmp_path: Path) -> None:
    made = LAYOUTS["pristine"](tmp_path / "data")
    (made.folder / "ref_imgs").rename(made.folder / "images")
    assert "looked for ref_imgs" in refusal(made)


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("ref_im,", "image,", 'no column "ref_im"'),
    ("dist_type_1", "type", 'no column "dist_type_1"'),
    ("png,23,", "png,blur,", 'dist_type_1 is "blur"; expected 1 to 25'),
])  # fmt: skip
def test_cells_that_are_not_as_expected(distorted: Miniature, old: str, new: str, expected: str) -> None:
    rewrite(distorted.labels[0], old, new)
    assert expected in refusal(distorted)


def test_an_option_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected one of pristine, distorted, both"):
        read_kadis(tmp_path, {"images": "all"})


@needs_annotations
def test_the_real_list(tmp_path: Path) -> None:
    found = read_annotations("kadis", tmp_path, {"kadis700k": "."}, ("ref_imgs",))
    assert len(found.name) == len(set(found.name)) == 140000
    assert all(name.endswith(".png") for name in found.name)
    assert np.isnan(found.score).all() and found.distortion is None
    # One photograph whose second type is 8: its images are named after the first.
    place = tmp_path / "dataset" / "dist_imgs"
    place.mkdir()
    for level in range(1, 6):
        (place / f"121-cc-774921_23_0{level}.bmp").touch()
        (place / f"19-199047_07_0{level}.bmp").touch()
    made = read_kadis(tmp_path / "dataset", {"images": "distorted", "photographs": 140000})
    assert Counter(made.distortion) == {"23": 5, "07": 5}
