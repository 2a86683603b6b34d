"""Tables as read from disk, and every way in which a folder can contradict its entry."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.errors import DataError
from ssliqa_bench.registry.schema import DatasetEntry

Entry = Callable[..., DatasetEntry]
Folder = Callable[..., Path]
HEADER = ["image", "score"]


def test_columns_of_a_table(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    header = ["image", "score", "rating_std", "c1", "c2", "group", "distortion", "level", "split", "role", "note"]
    rows = [["b.png", "2.5", "0.5", "3", "1", "g", "blur", "1", "train", "", "x"],
            ["a.png", "10", "0.25", "0", "4", "", "jpeg", "2", "test", "test", "y"]]
    root = make_folder(header, rows)
    table = load_table(make_entry(rating_statistics=True), root, tmp_path)
    assert table.dataset == "toy"
    assert table.name == ("b.png", "a.png")
    assert table.path == tuple(str(root / "toy" / "images" / name) for name in table.name)
    assert table.score.tolist() == [2.5, 10.0] and table.score01.tolist() == [0.25, 1.0]
    assert table.rating_std is not None and table.rating_std.tolist() == [0.5, 0.25]
    assert table.distribution is not None and table.distribution.tolist() == [[0.75, 0.25], [0.0, 1.0]]
    # An image without a group stands on its own.
    assert table.group == ("g", "a.png")
    assert (table.distortion, table.level) == (("blur", "jpeg"), ("1", "2"))
    assert (table.split, table.role) == (("train", "test"), ("", "test"))
    assert load_table(make_entry(split_by="image"), root, tmp_path).group == table.name
    assert table.part is None and table.n_ratings is not None and table.n_ratings.tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        (["c1", "c2"], [["3", "1"], ["2", "5"]], [4.0, 7.0]),
        (["c1", "c2"], [["30", "70"], ["55", "45"]], None),  # percentages
        (["c1", "c2"], [["0.75", "0.25"], ["0", "1"]], None),  # shares
        (["c1", "c2"], [["1", "0"], ["0", "1"]], None),  # shares that are all 0 or 1
        (["n_ratings"], [["24"], ["30"]], [24.0, 30.0]),
        (["c1", "c2", "n_ratings"], [["0.5", "0.5", "24"], ["0.5", "0.5", "30"]], [24.0, 30.0]),
        (["part"], [["web"], ["film"]], None),
    ],
)
def test_the_number_of_ratings_is_stated_or_counted(
    header: list[str], cells: list[list[str]], expected: list[float] | None, make_entry: Entry, make_folder: Folder,
    tmp_path: Path,
) -> None:
    rows = [["a.png", "1", *cells[0]], ["b.png", "2", *cells[1]]]
    table = load_table(make_entry(), make_folder([*HEADER, *header], rows), tmp_path)
    found = None if table.n_ratings is None else table.n_ratings.tolist()
    assert found == expected
    assert table.part == (("web", "film") if header == ["part"] else None)
    taken = table.take([1])
    assert taken.part == (None if table.part is None else ("film",))
    assert taken.n_ratings is None if expected is None else taken.n_ratings.tolist() == expected[1:]


def test_lower_is_better_is_turned_once(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    rows = [["a.png", "0", "6", "3", "1"], ["b.png", "8", "0", "0", "5"]]
    root = make_folder(["image", "score", "c1", "c2", "c3"], rows)
    table = load_table(make_entry(direction="lower_is_better"), root, tmp_path)
    assert table.score.tolist() == [0.0, -8.0] and math.copysign(1, table.score[0]) == 1
    np.testing.assert_allclose(table.score01, [1.0, 0.2])
    # A native score of 3 is the worst here, so its share comes first.
    assert table.distribution is not None and table.distribution.tolist() == [[0.1, 0.3, 0.6], [1.0, 0.0, 0.0]]


def test_scores_may_leave_the_scale_but_not_the_valid_range(make_entry: Entry, make_folder: Folder,
                                                           tmp_path: Path) -> None:
    root = make_folder(HEADER, [["a.png", "-1"], ["b.png", "11"], ["c.png", "5"]])
    table = load_table(make_entry(valid_range=[-2, 12]), root, tmp_path)
    assert table.score01.tolist() == [-0.1, 1.1, 0.5]
    with pytest.raises(DataError, match=r"2 of 3 scores lie outside the valid range 0 to 10 "
                                        r"\(first: line 2 a\.png -1, line 3 b\.png 11\)"):
        load_table(make_entry(), root, tmp_path)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (["image", "mos"], [["a.png", "1"]], r'labels\.csv:1: no column "score"; found image, mos'),
        (["name", "score"], [["a.png", "1"]], r'labels\.csv:1: no column "image"'),
        (["image", "scores"], [["a.png", "1"]], r'Is it "scores"\?'),
        (HEADER, [["a.png", "1"], ["b.png", "nan"]], r'labels\.csv:3: score is "nan"; expected a finite number'),
        (HEADER, [["a.png", "inf"]], r'labels\.csv:2: score is "inf"'),
        (HEADER, [["a.png", "good"]], r'labels\.csv:2: score is "good"'),
        (HEADER, [["a.png", ""]], r"labels\.csv:2: score is nothing"),
        (HEADER, [["a.png", "1"], ["b.png", "2"], ["a.png", "3"]],
         r'2 of 3 rows share their image name with another row \(first: line 2 "a\.png", line 4 "a\.png"\)'),
        (HEADER, [["a.png", "1", "2"]], r"labels\.csv:2: 3 cells; expected 2"),
        (["image", "score", "score"], [["a.png", "1", "2"]], r"column score occurs twice"),
        (["image", "score", "c1", "c2"], [["a.png", "1", "0", "0"]], r"1 of 1 rating distributions .*line 2 a\.png"),
        (["image", "score", "c1", "c2"], [["a.png", "1", "3", "-1"]], r"1 of 1 rating distributions"),
        (["image", "score", "c1", "c2"],
         [["a.png", "1", "0", "0"], ["b.png", "1", "1", "1"], ["c.png", "1", "-1", "5"]],
         r"2 of 3 rating distributions are negative, empty or not finite \(first: line 2 a\.png, line 4 c\.png\)"),
        (["image", "score", "c1", "c2", "c4"], [["a.png", "1", "1", "1", "1"]],
         r"labels\.csv:1: has 3 columns of ratings per level up to c4, but no c3; expected c1 to cP"),
        (["image", "score", "c2", "c3"], [["a.png", "1", "1", "1"]], r"up to c3, but no c1"),
        (HEADER, [], r"lists no image"),
    ],
)
def test_bad_labels(make_entry: Entry, make_folder: Folder, tmp_path: Path, header: list[str], rows: list[list[str]],
                    message: str) -> None:
    root = make_folder(header, rows)
    with pytest.raises(DataError, match=message):
        load_table(make_entry(), root, tmp_path)


@pytest.mark.parametrize("name", ["", "../a.png", "/etc/a.png"])
def test_names_stay_below_the_image_folder(make_entry: Entry, make_folder: Folder, tmp_path: Path, name: str) -> None:
    root = make_folder(HEADER, [["a.png", "1"], [name, "1"]], images=False)
    with pytest.raises(DataError, match=r"labels\.csv:3: image name is"):
        load_table(make_entry(), root, tmp_path)


def test_missing_files_are_counted(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    root = make_folder(HEADER, [[f"{k}.png", "1"] for k in range(6)])
    for k in (1, 2, 4, 5):
        (root / "toy" / "images" / f"{k}.png").unlink()
    with pytest.raises(DataError, match=r'toy: .*4 of 6 images have no file under .*images '
                                        r'\(first: line 3 "1\.png", line 4 "2\.png", line 6 "4\.png"\)'):
        load_table(make_entry(), root, tmp_path)


def test_missing_folder_label_file_and_reference(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"toy: folder .*nothing/toy not found.*--data-root"):
        load_table(make_entry(), tmp_path / "nothing", tmp_path)
    root = make_folder(["image", "score", "reference"], [["a.png", "1", "r.png"], ["b.png", "1", ""]])
    with pytest.raises(DataError, match=r"other\.csv: no such file"):
        load_table(make_entry(options={"labels": "other.csv"}), root, tmp_path)
    with pytest.raises(DataError, match=r"1 of 2 reference images have no file \(first: line 2 .*r\.png"):
        load_table(make_entry(), root, tmp_path)
    table = load_table(make_entry(options={"references": "images", "columns": {"reference": "image"}}), root, tmp_path)
    assert table.reference == table.path


def test_wrong_number_of_images(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    root = make_folder(HEADER, [["a.png", "1"], ["b.png", "2"]])
    with pytest.raises(DataError, match="lists 2 images; expected 3"):
        load_table(make_entry(images=3), root, tmp_path)


def test_reference_is_the_group_where_there_is_no_group(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    rows = [["a.png", "1", "a.png"], ["b.png", "2", "a.png"], ["c.png", "3", ""]]
    root = make_folder(["image", "score", "reference"], rows)
    table = load_table(make_entry(options={"references": "images"}), root, tmp_path)
    assert table.group == ("a.png", "a.png", "c.png")
    assert table.reference is not None and table.reference[2] == ""


def test_images_without_score(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    root = make_folder(HEADER, [["a.png", "1"], ["b.png", ""]])
    table = load_table(make_entry(options={"unlabeled": True}), root, tmp_path)
    assert table.score[0] == 1 and math.isnan(table.score[1]) and math.isnan(table.score01[1])
    with pytest.raises(DataError, match='score is "nan"'):
        load_table(make_entry(options={"unlabeled": True}), make_folder(HEADER, [["a.png", "nan"]]), tmp_path)
    root = make_folder(["image"], [["a.png"], ["b.png"]])
    table = load_table(make_entry(kind="unlabeled", options={"unlabeled": True}), root, tmp_path)
    assert np.isnan(table.score).all()


def test_byte_order_mark_line_ends_and_spaces(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    root = make_folder(HEADER, [["a.png", " 1 "], ["", ""], ["b b.png", "2"]], end="\r\n", start=b"\xef\xbb\xbf")
    table = load_table(make_entry(), root, tmp_path)
    assert table.name == ("a.png", "b b.png") and table.score.tolist() == [1, 2]


def test_column_names_and_separator(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    root = make_folder(HEADER, [["a.png", "1"]])
    (root / "toy" / "labels.csv").write_text("dist_img\tdmos\tvar\na.png\t4\t0.5\n")
    columns = {"image": "dist_img", "score": "dmos", "rating_std": "var"}
    entry = make_entry(options={"columns": columns, "separator": "\t"}, rating_statistics=True)
    table = load_table(entry, root, tmp_path)
    assert table.score.tolist() == [4] and table.rating_std is not None and table.rating_std.tolist() == [0.5]
    # The spread of a mean is no rating statistic: the registry decides what the column is.
    assert load_table(entry.model_copy(update={"rating_statistics": False}), root, tmp_path).rating_std is None
    with pytest.raises(DataError, match='no column "group_id"'):
        load_table(make_entry(options={"columns": {**columns, "group": "group_id"}, "separator": "\t"}), root, tmp_path)
    with pytest.raises(DataError, match="option columns names scroe"):
        load_table(make_entry(options={"columns": {"scroe": "dmos"}}), root, tmp_path)
    with pytest.raises(DataError, match='option unlabeled is "DIR"; expected true or false'):
        load_table(make_entry(options={"unlabeled": "DIR"}), root, tmp_path)
    with pytest.raises(DataError, match="unknown option image"):
        load_table(make_entry(options={"image": "x"}), root, tmp_path)


def test_not_text(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    root = make_folder(HEADER, [["a.png", "1"]])
    (root / "toy" / "labels.csv").write_bytes(b"image,score\n\xff\xfe,1\n")
    with pytest.raises(DataError, match="not UTF-8 text"):
        load_table(make_entry(), root, tmp_path)
    (root / "toy" / "labels.csv").write_bytes(b"\n\n")
    with pytest.raises(DataError, match="is empty; expected a header"):
        load_table(make_entry(), root, tmp_path)


def test_a_reader_of_ones_own(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    """A reader is any function of folder and options; the checks are not its business."""
    from ssliqa_bench.datasets.table import RawTable

    def read(folder: Path, options: dict[str, str]) -> RawTable:
        return RawTable(("a.png",), (str(folder / "images" / "a.png"),), np.array([float(options["value"])]), "made up")

    root = make_folder(HEADER, [["a.png", "1"]])
    entry = make_entry(reader="mine:read", options={"value": "7"})
    assert load_table(entry, root, tmp_path, load={"mine:read": read}.__getitem__).score.tolist() == [7]
    with pytest.raises(DataError, match=r"made up: 1 of 1 scores lie outside .*first: a\.png 70"):
        load_table(make_entry(reader="mine:read", options={"value": "70"}), root, tmp_path,
                   load={"mine:read": read}.__getitem__)


def test_absolute_folder(make_entry: Entry, make_folder: Folder, tmp_path: Path) -> None:
    root = make_folder(HEADER, [["a.png", "1"]])
    table = load_table(make_entry(folder=str(root / "toy")), Path("elsewhere"), tmp_path)
    assert os.path.isabs(table.path[0])
