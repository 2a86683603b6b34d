"""SPAQ: a second Brightness, a workbook of another name, a picture cut short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook, load_workbook

from ssliqa_bench.registry.load import load_registry
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.spaq import LAYOUTS, write_workbook
from tests.datasets.reading import read, read_annotations, refusal


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["official"](tmp_path / "data")


def test_a_second_brightness_changes_nothing(made: Miniature) -> None:
    expected = read(made)
    book = load_workbook(made.labels[0])
    sheet = book.active
    assert sheet is not None
    sheet.cell(1, 9, "Brightness")
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, 9, -4.0)
    book.save(made.labels[0])
    np.testing.assert_array_equal(read(made).score, expected.score)


def test_two_columns_of_scores(made: Miniature) -> None:
    book = load_workbook(made.labels[0])
    sheet = book.active
    assert sheet is not None
    sheet.cell(1, 9, "MOS")
    book.save(made.labels[0])
    assert "column MOS occurs twice" in refusal(made)


def test_the_workbook_of_exif_tags_is_no_substitute(made: Miniature) -> None:
    made.labels[0].unlink()
    said = refusal(made)
    assert "No workbook of scores" in said and "MOS and Image attribute scores.xlsx" in said
    (made.labels[0].with_name("EXIF_tags.xlsx")).rename(made.labels[0])
    assert "no sheet with the columns Image name, MOS" in refusal(made)


def test_headings_in_other_letters(made: Miniature) -> None:
    write_workbook(made, made.labels[0], "image name", "mos")
    assert len(read(made)) == len(made.names)


def test_an_empty_score(made: Miniature) -> None:
    book = load_workbook(made.labels[0])
    sheet = book.active
    assert sheet is not None
    sheet["B5"] = None
    book.save(made.labels[0])
    assert "scores.xlsx[Sheet]:5: MOS is nothing; expected a finite number" in refusal(made)


def test_a_damaged_sheet_is_no_empty_one(made: Miniature) -> None:
    Workbook().save(made.labels[0])
    assert "no sheet with the columns" in refusal(made)


def test_pictures_are_reduced() -> None:
    size = load_registry().dataset("spaq").working_size
    assert size is not None and size.short_side == 512


@needs_annotations
def test_real_labels(tmp_path: Path) -> None:
    found = read_annotations("spaq", tmp_path / "official", {"rebuilt/SPAQ": "."}, ("TestImage",))
    assert len(found.name) == 11125 and found.name[0] == "00001.jpg"
    assert (found.score.min(), found.score.max()) == (2, 96)
    scores = dict(zip(found.name, found.score, strict=True))
    assert (scores["00914.jpg"], scores["05293.jpg"]) == (87.21, 9.14)  # as the authors' demonstration has them
    mirror = read_annotations(
        "spaq",
        tmp_path / "mirror",
        {"reexported/spaq/meta_info_SPAQDataset.csv": "../meta_info/meta_info_SPAQDataset.csv"},
        ("TestImage",),
    )
    assert mirror.name == found.name
    np.testing.assert_array_equal(mirror.score, found.score)
    lines = (ANNOTATIONS / "reexported/spaq/SPAQ_mos_std.txt").read_text().splitlines()
    listed = {line.split()[0]: float(line.split()[1]) for line in lines}
    np.testing.assert_allclose(found.score, [listed[name] for name in found.name], atol=1e-9)
