"""KOKA10K: classes instead of scores, photographs without class, labels of one's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.readers.koka10k import read_koka10k
from ssliqa_bench.errors import DataError
from ssliqa_bench.registry.load import load_registry
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures import koniq as koniq_layouts
from tests.datasets.miniatures.koka10k import LAYOUTS
from tests.datasets.reading import read, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["own labels"](tmp_path / "data")


def test_scores_are_whole_classes(made: Miniature) -> None:
    found = read(made)
    labeled = found.score[np.isfinite(found.score)]
    assert len(labeled) == 32 and set(labeled) <= {0, 1, 2, 3, 4}
    assert found.score01.max(where=np.isfinite(found.score), initial=0) <= 1


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("photo-3.png,4", "photo-99.png,4", '"photo-99.png" is no photograph of KADIS-700k that is at hand'),
    ("photo-3.png,4", "photo-3.png,5", "class is 5; expected 0 to 4"),
    ("photo-3.png,4", "photo-3.png,2.5", "class is 2.5; expected 0 to 4"),
    ("photo-3.png,4", "121-cc-774921.png,4", "stands there twice"),
    ("image,class", "image,label", 'no column "class"'),
])  # fmt: skip
def test_labels_that_do_not_fit(made: Miniature, old: str, new: str, expected: str) -> None:
    rewrite(made.folder / "koka10k_labels.csv", old, new)
    said = refusal(made)
    assert "koka10k_labels.csv:" in said and expected in said


def test_labels_without_the_photographs(made: Miniature) -> None:
    shutil.rmtree(made.root / "kadis700k")
    assert "no photograph of KADIS-700k that is at hand" in refusal(made)


def test_the_most_frequent_rating_needs_ratings(tmp_path: Path) -> None:
    mirror = koniq_layouts.LAYOUTS["pyiqa"](tmp_path / "data")
    with pytest.raises(DataError, match="has no ratings per level"):
        read_koka10k(mirror.folder, {})
    assert len(read_koka10k(mirror.folder, {"classes": "equal-width"}).name) == 30


def test_an_option_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected modal or equal-width"):
        read_koka10k(tmp_path, {"classes": "quantiles"})


@needs_annotations
def test_real_classes_and_photographs(tmp_path: Path) -> None:
    for source, target in (("koniq", "koniq"), ("kadis700k", "kadis700k")):
        shutil.copytree(ANNOTATIONS / source, tmp_path / target)
    (tmp_path / "koniq" / "512x384").mkdir()
    (tmp_path / "kadis700k" / "ref_imgs").mkdir()
    entry = load_registry().dataset("koka10k")
    found = read_koka10k(tmp_path / "koniq", entry.options)
    assert entry.images is not None and entry.optional_images is not None
    assert len(found.name) == len(set(found.name)) == entry.images + entry.optional_images
    labeled = found.score[np.isfinite(found.score)].astype(int)
    assert np.bincount(labeled, minlength=5).tolist() == [76, 1379, 5150, 3468, 0]
