"""KADID-10k: a column called dmos that is higher-better, a column called var that is a standard deviation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.annotations import needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.kadid import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["official"](tmp_path / "data")


def test_higher_is_better(made: Miniature) -> None:
    found = read(made)
    assert found.level is not None
    mean = [found.score[[own == level for own in found.level]].mean() for level in "12345"]
    assert mean == sorted(mean, reverse=True) and (found.score > 0).all()


def test_no_spread_at_all_is_a_spread(made: Miniature) -> None:
    found = read(made)
    assert found.rating_std is not None and found.rating_std[found.name.index("I01_01_01.png")] == 0


@pytest.mark.parametrize("column", ["dist_img", "dmos", "var"])
def test_a_column_of_another_name(made: Miniature, column: str) -> None:
    rewrite(made.labels[0], column, "other")
    said = refusal(made)
    assert f'dmos.csv:1: no column "{column}"; found' in said


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("I01_09_03.png", "I01_9_3.png", "expected IRR_TT_LL.png"),
    (",4.20,", ",nan,", "dmos is \"nan\"; expected a finite number"),
    (",4.20,", ",42.0,", "outside the valid range 1 to 5"),
    ("I01_09_03.png", "I01_09_02.png", "share their image name"),
])  # fmt: skip
def test_cells_that_are_not_as_expected(made: Miniature, old: str, new: str, expected: str) -> None:
    text = made.labels[0].read_text()
    assert old in text
    made.labels[0].write_text(text.replace(old, new, 1))
    assert expected in refusal(made)


def test_no_image_folder(made: Miniature) -> None:
    (made.folder / "images").rename(made.folder / "pictures")
    assert "looked for images, kadid10k_part1/images" in refusal(made)


@needs_annotations
def test_real_labels(tmp_path: Path) -> None:
    found = read_annotations("kadid", tmp_path / "official", {"rebuilt/kadid10k": "."}, ("images",))
    assert len(found.name) == 10125 and len(set(found.group or ())) == 81
    assert (found.score.min(), found.score.max()) == (1.0, 4.93)
    assert found.rating_std is not None
    assert (found.rating_std.min(), found.rating_std.max()) == (0.0, 1.593)
    assert int((found.rating_std == 0).sum()) == 2
    assert Counter(found.distortion) == {f"{k:02d}": 405 for k in range(1, 26)}
    assert Counter(found.level) == dict.fromkeys("12345", 2025)
    first = found.name.index("I01_01_01.png")
    # 17 ratings of five and 13 of four: the printed spread is their standard deviation, not their variance.
    assert (found.score[first], found.rating_std[first]) == (4.57, 0.496)
    assert np.std([5] * 17 + [4] * 13) == pytest.approx(found.rating_std[first], abs=5e-4)
    mirror = read_annotations(
        "kadid",
        tmp_path / "mirror",
        {"reexported/kadid10k/meta_info_KADID10kDataset.csv": "../meta_info/meta_info_KADID10kDataset.csv"},
        ("images",),
    )
    assert mirror.name == found.name and mirror.group == found.group and mirror.level == found.level
    np.testing.assert_array_equal(mirror.score, found.score)
    np.testing.assert_array_equal(mirror.rating_std, found.rating_std)
