"""KOKA10K: the scores and ratings of KonIQ-10k, photographs without score, labels of one's own, classes."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.classes import classes_of, modal_classes
from ssliqa_bench.datasets.readers.koka10k import read_koka10k
from ssliqa_bench.datasets.readers.koniq import read_koniq
from ssliqa_bench.datasets.splits import assign_roles
from ssliqa_bench.errors import DataError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import ClassFields
from ssliqa_bench.specs import Pair
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures import koniq as koniq_layouts
from tests.datasets.miniatures.koka10k import LAYOUTS
from tests.datasets.reading import read, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["own labels"](tmp_path / "data")


def test_photographs_of_ones_own_list_are_rated_alike_by_all(made: Miniature) -> None:
    found = read(made)
    assert np.isfinite(found.score).sum() == 32 and found.distribution is not None
    row = {name: k for k, name in enumerate(found.name)}
    for name, own in (("photo-3.png", 4), ("121-cc-774921.png", 0)):
        assert found.score[row[name]] == 25 * own
        assert found.distribution[row[name]].tolist() == np.eye(5)[own].tolist()
    assert np.array_equal(np.isnan(found.distribution).all(1), np.isnan(found.score))


def test_classes_are_the_most_frequent_rating_or_equal_parts_of_the_scale(made: Miniature) -> None:
    found = read(made)
    shares = made.facts["distribution"]
    modal = classes_of(found, ClassFields(rule="modal"))
    assert modal.tolist() == [int(own.argmax()) if np.isfinite(own).all() else -1 for own in shares]
    equal = classes_of(found, ClassFields(rule="equal_width"))
    assert equal.tolist() == [min(int(made.scores[n] // 20), 4) if made.scores[n] == made.scores[n] else -1
                              for n in made.names]
    assert (classes_of(found, ClassFields(rule="modal", levels=4)) == -1).all(), "rated on five levels, not on four"


def test_a_stratified_split_keeps_its_share_in_every_class(made: Miniature) -> None:
    found, protocol = read(made), load_registry().protocol("koka10k")
    roles = assign_roles(Pair("koka10k", "koka10k"), {"koka10k": found}, protocol, 0)["koka10k"]
    assert protocol.classes is not None
    own = classes_of(found, protocol.classes)
    by_class = {k: Counter(role for role, value in zip(roles, own, strict=True) if value == k) for k in range(-1, 5)}
    six, seven = ({"labeled": labeled, "validation": 1, "test": 1} for labeled in (4, 5))
    assert by_class == {-1: {"unlabeled": 10}, 0: seven, 1: six, 2: six, 3: six, 4: seven}


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("photo-3.png,4", "photo-99.png,4", '"photo-99.png" is no photograph of KADIS-700k that is at hand'),
    ("photo-3.png,4", "photo-3.png,5", "class is 5; expected 0 to 4"),
    ("photo-3.png,4", "photo-3.png,2.5", "class is 2.5; expected 0 to 4"),
    ("photo-3.png,4", "121-cc-774921.png,4", "occurs twice"),
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
    scored = np.isfinite(found.score)
    assert found.distribution is not None and scored.sum() == 10073
    assert np.bincount(modal_classes(found.distribution[scored]), minlength=5).tolist() == [76, 1379, 5150, 3468, 0]
    koniq = read_koniq(tmp_path / "koniq", {})
    assert np.array_equal(found.score[scored], koniq.score)
