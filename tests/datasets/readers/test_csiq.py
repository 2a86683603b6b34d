"""CSIQ: a reference called 1600, broken formulas, capitals of folders, sources that agree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook, load_workbook

from ssliqa_bench.datasets.table import RawTable
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures.csiq import LAYOUTS, write_workbook
from tests.datasets.reading import read, read_annotations, refusal, rewrite


def test_the_reference_called_1600_stays_a_text(tmp_path: Path) -> None:
    found = read(LAYOUTS["workbook"](tmp_path / "data"))
    assert "1600.AWGN.1.png" in found.name and "1600.png" in found.group


def test_every_layout_gives_the_same_names_and_groups(tmp_path: Path) -> None:
    tables = [read(make(tmp_path / str(k))) for k, make in enumerate(LAYOUTS.values())]
    for other in tables[1:]:
        assert (other.name, other.group, other.distortion, other.level) == (
            tables[0].name, tables[0].group, tables[0].distortion, tables[0].level)  # fmt: skip
        np.testing.assert_array_equal(other.score, tables[0].score)


def test_the_table_on_another_sheet_is_found(tmp_path: Path) -> None:
    made = LAYOUTS["workbook"](tmp_path / "data")
    write_workbook(made, made.labels[0], sheet="Tabelle1")
    assert len(read(made)) == len(made.names)


def test_a_workbook_with_another_heading(tmp_path: Path) -> None:
    made = LAYOUTS["workbook"](tmp_path / "data")
    write_workbook(made, made.labels[0], heading="score")
    said = refusal(made)
    assert "csiq.DMOS.xlsx: no sheet with the columns image" in said and "all_by_image" in said


def test_a_broken_formula_in_a_score(tmp_path: Path) -> None:
    made = LAYOUTS["workbook"](tmp_path / "data")
    book = load_workbook(made.labels[0])
    book["all_by_image"]["I7"] = "#REF!"
    book.save(made.labels[0])
    said = refusal(made)
    assert "csiq.DMOS.xlsx[all_by_image]:7" in said and '"#REF!"' in said and "finite number" in said


def test_an_empty_workbook(tmp_path: Path) -> None:
    made = LAYOUTS["workbook"](tmp_path / "data")
    Workbook().save(made.labels[0])
    assert "no sheet with the columns" in refusal(made)


def test_what_is_no_workbook(tmp_path: Path) -> None:
    made = LAYOUTS["workbook"](tmp_path / "data")
    made.labels[0].write_text("<html>log in first</html>")
    assert "csiq.DMOS.xlsx: not readable as a workbook" in refusal(made)


def test_a_renamed_label_file_is_pointed_at(tmp_path: Path) -> None:
    made = LAYOUTS["workbook"](tmp_path / "data")
    made.labels[0].rename(made.folder / "csiq_DMOS.xlsx")
    said = refusal(made)
    assert "csiq.DMOS.xlsx, csiq.beta.xlsx, csiq.beta.txt" in said and 'There is "csiq_DMOS.xlsx"' in said


def test_a_distortion_that_is_none(tmp_path: Path) -> None:
    made = LAYOUTS["capital folders, text"](tmp_path / "data")
    rewrite(made.labels[0], "\tfnoise\t", "\tpink\t")
    said = refusal(made)
    assert 'csiq.beta.txt:10: dst_type is "pink"; expected one of noise' in said


def test_a_name_that_says_nothing(tmp_path: Path) -> None:
    made = LAYOUTS["one folder, list"](tmp_path / "data")
    rewrite(made.labels[0], "1600.JPEG.3.png", "photo.png")
    assert 'image name is "photo.png"; expected REFERENCE.TYPE.LEVEL.png' in refusal(made)


def test_no_image_folder(tmp_path: Path) -> None:
    made = LAYOUTS["workbook"](tmp_path / "data")
    (made.folder / "dst_imgs").rename(made.folder / "images")
    assert "looked for dst_imgs, dst_imgs_all" in refusal(made)


SOURCES = {
    "csiq/csiq.beta.xlsx": ("csiq.DMOS.xlsx", 1e-12),
    "csiq/csiq.beta.txt": ("csiq.beta.txt", 5.1e-4),
    "reexported/csiq/csiq_label.txt": ("csiq_label.txt", 5.1e-7),
}


def official(tmp_path: Path, source: str) -> RawTable:
    return read_annotations("csiq", tmp_path, {source: SOURCES[source][0]}, ("dst_imgs",))


@needs_annotations
@pytest.mark.parametrize("source", list(SOURCES))
def test_real_labels_in_three_forms_agree(tmp_path: Path, source: str) -> None:
    exact = official(tmp_path / "exact", "csiq/csiq.beta.xlsx")
    found = official(tmp_path / "found", source)
    assert set(found.name) == set(exact.name) and len(found.name) == 866
    by_name = dict(zip(exact.name, exact.score, strict=True))
    np.testing.assert_allclose(found.score, [by_name[name] for name in found.name], atol=SOURCES[source][1])
    assert (found.score.min(), found.score.max()) == (0, 1)
    assert found.rating_std is None and len(set(found.group or ())) == 30
    kinds = dict.fromkeys(("AWGN", "JPEG", "jpeg2000", "fnoise", "BLUR"), 150) | {"contrast": 116}
    assert Counter(found.distortion) == kinds
    assert set(found.level or ()) == set("12345")


@needs_annotations
def test_lower_is_better(tmp_path: Path) -> None:
    found = official(tmp_path, "csiq/csiq.beta.xlsx")
    mean = [found.score[[own == level for own in found.level or ()]].mean() for level in "12345"]
    assert mean == sorted(mean)
    # A list of another project has 1 - DMOS of the text export.
    inverted = {}
    for line in (ANNOTATIONS / "reexported/csiq/liqe_csiq_all.txt").read_text().splitlines():
        name, score, _ = line.split("\t")
        inverted[name.rpartition("/")[2]] = float(score)
    np.testing.assert_allclose(1 - found.score, [inverted[name] for name in found.name], atol=5.1e-4)
