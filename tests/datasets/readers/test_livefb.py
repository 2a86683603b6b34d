"""LIVE-FB: official parts from two lists, patches that belong to pictures, a score of exactly 0."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.readers.livefb import read_livefb
from ssliqa_bench.datasets.splits import split_table
from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.registry.schema import SplitFields
from ssliqa_bench.tabular import read_rows
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature, write_meta_info
from tests.datasets.miniatures.livefb import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["official"](tmp_path / "data")


def test_pictures_in_no_part_are_unused(made: Miniature) -> None:
    found = read(made)
    parts = split_table(found, SplitFields(rule="official"), 0)
    assert {name.split("/")[0] for name, part in zip(found.name, parts, strict=True) if part == "unused"} == {"EE371R"}
    assert set(parts) == {"train", "validation", "test", "unused"}


def test_patches_stand_in_the_part_of_their_picture(tmp_path: Path) -> None:
    pictures = read(LAYOUTS["official"](tmp_path / "pictures"))
    patches = read(LAYOUTS["patches"](tmp_path / "patches"))
    part = dict(zip(pictures.name, pictures.split or (), strict=True))
    assert pictures.group == pictures.name
    assert patches.split == tuple(part[group] for group in patches.group)
    assert set(Counter(patches.group).values()) == {2}


@pytest.mark.parametrize("missing", ["labels640.csv", "labels=640_padded.csv"])
def test_without_a_list_of_parts_there_is_no_official_split(
    made: Miniature, missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    (made.folder / "database" / missing).unlink()
    with caplog.at_level(logging.WARNING):
        found = read(made)
    assert found.split is None and missing in caplog.text
    with pytest.raises(InputError, match="no official split"):
        split_table(found, SplitFields(rule="official"), 0)


def test_the_mirror_tells_the_parts_where_the_lists_are_missing(made: Miniature) -> None:
    expected = read(made)
    (made.folder / "database" / "labels640.csv").unlink()
    words = {"validation": "val", "unused": "train"}
    rows = [(name, 50.0, words.get(part, part)) for name, part in zip(made.names, expected.split or (), strict=True)]
    write_meta_info(made.root, "FLIVE", "img_name,mos,official_split", rows)
    split = SplitFields(rule="official")
    assert split_table(read(made, "other-cache"), split, 0) == split_table(expected, split, 0)


def test_lists_with_the_signs_of_the_authors(made: Miniature) -> None:
    expected = read(made)
    database = made.folder / "database"
    (database / "labels640.csv").rename(database / "labels>640.csv")
    (database / "labels=640_padded.csv").rename(database / "labels<=640_padded.csv")
    assert read(made, "other-cache").split == expected.split


def test_a_score_of_zero_is_a_score(made: Miniature) -> None:
    assert (read(made).score == 0).sum() == 1


@pytest.mark.parametrize(("file", "old", "new", "expected"), [
    ("labels_image.csv", "name,mos", "image,mos", 'no column "name"'),
    ("labels_image.csv", "name,mos", "name,score", 'no column "mos"'),
    ("database/labels640.csv", "name_image", "name", 'no column "name_image"'),
    ("database/labels=640_padded.csv", "is_valid", "valid", 'no column "is_valid"'),
    ("database/labels=640_padded.csv", "True", "perhaps", 'is_valid is "perhaps"; expected True or False'),
])  # fmt: skip
def test_columns_that_are_not_as_expected(made: Miniature, file: str, old: str, new: str, expected: str) -> None:
    rewrite(made.folder / file, old, new)
    assert expected in refusal(made)


def test_a_picture_in_two_parts(made: Miniature) -> None:
    path = made.folder / "database" / "labels=640_padded.csv"
    test = (made.folder / "database" / "labels640.csv").read_text().splitlines()[1].split(",")[1]
    path.write_text(path.read_text() + f"{test},50.0,False\n")
    said = refusal(made)
    assert f"{test} is in the test part of labels640.csv as well" in said


def test_a_patch_of_no_picture(tmp_path: Path) -> None:
    made = LAYOUTS["patches"](tmp_path / "data")
    path = made.labels[0]
    path.write_text(path.read_text().replace("_patch_1.jpg", ".jpg", 1))
    assert "expected the name of its picture, _patch_ and a number" in refusal(made)


def test_an_option_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected pictures or patches"):
        read_livefb(tmp_path, {"parts": "halves"})


@needs_annotations
def test_real_labels(tmp_path: Path) -> None:
    found = read_annotations("livefb", tmp_path, {"flive": "."})
    assert len(found.name) == 39810
    assert found.score.min() == 0 and found.score.max() == pytest.approx(94.333, abs=1e-3)
    assert found.score.mean() == pytest.approx(72.1, abs=0.05) and found.score.std() == pytest.approx(6.2, abs=0.05)
    assert int((found.score == 0).sum()) == 1 and found.rating_std is None
    folders = Counter(name.split("/")[0] for name in found.name)
    assert folders == {"voc_emotic_ava": 38808, "blur_dataset": 999, "EE371R": 3}
    stems = {name.split("/")[1].rsplit(".", 1)[0] for name in found.name}
    assert len(stems) == 39810  # what patches and parts are matched by


@needs_annotations
def test_the_real_official_split(tmp_path: Path) -> None:
    # The list of the other pictures is not at hand: one in its form is made from another project's indices.
    whole = read_annotations("livefb", tmp_path, {"flive": "."})
    held_out = {part: set(np.load(ANNOTATIONS / f"reexported/flive/arniqa_splits_{part}.npy").tolist())
                for part in ("val", "test")}  # fmt: skip
    rows = [f"{name},{k in held_out['val']}" for k, name in enumerate(whole.name)
            if k not in held_out["test"] and not name.startswith("EE371R/")]  # fmt: skip
    padded = tmp_path / "dataset" / "database" / "labels=640_padded.csv"
    padded.write_text("\n".join(["name_image,is_valid", *rows]))
    found = read_livefb(tmp_path / "dataset", {})
    assert Counter(found.split) == {"train": 30253, "validation": 7727, "test": 1827, "unused": 3}
    assert {k for k, part in enumerate(found.split or ()) if part == "test"} == held_out["test"]


@needs_annotations
def test_real_labels_agree_with_the_list_of_the_test_part(tmp_path: Path) -> None:
    found = read_annotations("livefb", tmp_path, {"flive": "."})
    scores = dict(zip(found.name, found.score, strict=True))
    rows = read_rows(ANNOTATIONS / "flive/database/labels640.csv")
    np.testing.assert_allclose(rows.numbers("mos_image"), [scores[name] for name in rows.column("name_image")],
                               atol=1e-8)  # fmt: skip
