"""Tables of individual ratings as input: labels that follow from them, and what is said of ratings that are off."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import fingerprint
from ssliqa_bench.datasets.ratings import AUTO, COLUMNS, labels_csv, rated_images
from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.tabular import read_rows

Make = Callable[..., Any]
SHARED = Path(os.environ.get("SSLIQA_SHARED") or Path(__file__).parents[2].parent / "shared")
AVT = SHARED / "realdata" / "avt-ai-subset"
HEADER = ["image", "rater", "rating"]
NAMED = {name: name for name in COLUMNS}


def complete(images: int = 6, raters: int = 4) -> list[list[str]]:
    rng = np.random.default_rng(3)
    return [[f"{k}.png", f"r{r}", str(rng.integers(1, 6))] for k in range(images) for r in range(raters)]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Any]:
    """Read rows of text as a table of ratings."""

    def read(rows: list[list[str]], model: str = AUTO, levels: int | None = None) -> Any:
        path = tmp_path / "ratings.csv"
        with open(path, "w", newline="") as handle:
            csv.writer(handle).writerows([HEADER, *rows])
        return rated_images(read_rows(path), NAMED, model, levels)

    return read


def test_a_complete_design_gives_the_mean(table: Make) -> None:
    rows = complete()
    found = table(rows[::-1], levels=5)
    own = defaultdict(list)
    for name, _, rating in rows:
        own[name].append(int(rating))
    assert found.model == "mean" and set(found.image) == set(own)
    for k, name in enumerate(found.image):
        assert found.score[k] == pytest.approx(np.mean(own[name]))
        assert found.rating_std[k] == pytest.approx(np.std(own[name], ddof=1))
        assert found.distribution[k].tolist() == [own[name].count(level) for level in range(1, 6)]
    assert found.n_ratings.tolist() == [4] * 6


def test_a_sparse_design_gives_the_model_and_says_so(table: Make, caplog: pytest.LogCaptureFixture) -> None:
    found = table(complete()[:-1])
    assert found.model == "bias-and-inconsistency"
    assert "23 ratings of 6 images by 4 raters (95% of all pairs); scores by the model bias-and-inc" in caplog.text
    assert table(complete()[:-1], "mean").model == "mean"


def test_only_a_complete_design_is_called_so(table: Make, caplog: pytest.LogCaptureFixture) -> None:
    rows = complete(60, 20)
    table(rows, "mean")
    assert "1,200 ratings of 60 images by 20 raters (100% of all pairs)" in caplog.text
    caplog.clear()
    table(rows[:-2], "mean")  # 99.8 %
    assert "1,198 ratings of 60 images by 20 raters (99% of all pairs)" in caplog.text
    caplog.clear()
    table([[f"{k}.png", f"r{k}", "3"] for k in range(200)], "mean")
    assert "(less than 1% of all pairs)" in caplog.text
    with pytest.raises(DataError, match=r"89% of the pairs have one, expected 90%"):
        table([row for k, row in enumerate(rows) if k % 9 != 4 or k >= 1100], "bt500")  # 89.8 %


def test_one_of_a_kind_is_told_in_the_singular(
    table: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table([["a.png", "r", "3"]])
    assert "1 rating of 1 image by 1 rater (100% of all pairs)" in caplog.text
    assert "1 of 1 image has one rating (a.png)" in caplog.text
    with pytest.raises(DataError, match=r"expected a name \(1 such row\)\."):
        table([["a.png", "", "3"]])
    with pytest.raises(DataError, match=r"on line 2; 2 ratings are such repetitions\."):
        table([["a.png", "r", "3"]] * 3)
    with pytest.raises(DataError, match=r"on line 2; 1 rating is such a repetition\."):
        table([["a.png", "r", "3"]] * 2)
    (tmp_path / "one.csv").write_text("image,rater,rating\na.png,r,3\na.png,s,4\n")
    assert main(["data", "ratings", str(tmp_path / "one.csv"), "--write", str(tmp_path / "labels.csv")]) == 0
    assert "labels.csv: 1 image, scores 3.500 to 3.500." in capsys.readouterr().out


def test_ratings_between_levels_have_no_distribution(table: Make) -> None:
    assert table([[*row[:2], f"{row[2]}.5"] for row in complete()]).distribution is None
    assert table([[*row[:2], str(20 * int(row[2]))] for row in complete()]).distribution is None
    with pytest.raises(DataError, match=r"ratings go from 1 to 5; expected whole numbers from 1 to 3"):
        table([["a.png", "r", "1"], ["a.png", "s", "5"]], levels=3)


def test_a_rater_of_one_value_is_named_and_kept(table: Make, caplog: pytest.LogCaptureFixture) -> None:
    rows = [[name, rater, "3" if rater == "r2" else rating] for name, rater, rating in complete()]
    found = table(rows)
    assert "1 of 4 raters gave one value throughout (r2); their ratings are used like the others'" in caplog.text
    assert found.n_ratings.tolist() == [4] * 6


def test_an_image_rated_once_is_named_and_has_no_spread(table: Make, caplog: pytest.LogCaptureFixture) -> None:
    rows = complete()
    found = table([*rows, ["9.png", "r0", "4"]], "mean")
    assert "1 of 7 images has one rating (9.png), and no spread of ratings." in caplog.text
    assert found.n_ratings.tolist() == [4] * 6 + [1] and np.isnan(found.rating_std[-1])
    np.testing.assert_array_equal(found.rating_std[:-1], table(rows, "mean").rating_std)
    cells = [line.split(",")[2] for line in labels_csv(found).splitlines()]
    assert cells[0] == "rating_std" and cells[-1] == "" and all(map(float, cells[1:-1]))
    assert table([[name, "r0", "4"] for name in found.image], "mean").rating_std is None


def test_labels_with_an_image_rated_once_are_read_back(make_entry: Make, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder(HEADER, [*complete(), ["6.png", "r0", "4"]])
    made = rated_images(read_rows(root / "toy" / "labels.csv"), NAMED, "mean")
    (root / "toy" / "stated.csv").write_text(labels_csv(made))
    fields = {"scale": [1, 5], "rating_statistics": True}
    rated, stated = (
        load_table(make_entry(options=options, **fields), root, tmp_path / "cache")
        for options in ({"ratings": "mean"}, {"labels": "stated.csv"})
    )
    assert rated.rating_std is not None and np.isnan(rated.rating_std).tolist() == [False] * 6 + [True]
    np.testing.assert_array_equal(rated.rating_std, stated.rating_std)
    # Learners get spreads of all images with a score or none, whichever of them they learn from.
    assert rated.rating_std01 is None and rated.take(range(6)).rating_std01 is not None


def test_a_rater_twice_on_one_image_is_refused_with_both_lines(table: Make) -> None:
    with pytest.raises(DataError, match=r'ratings\.csv:26: rater "r1" rates "2\.png" again, first on line 11; 1 rati'):
        table([*complete(), ["2.png", "r1", "5"]])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["0.png", "r9", ""], r"ratings\.csv:26: rating is nothing; expected a finite number"),
        (["0.png", "r9", "good"], 'rating is "good"'),
        (["0.png", "", "3"], r"ratings\.csv:26: the rater is nothing"),
        (["", "r1", "3"], r"ratings\.csv:26: the image is nothing"),
    ],
)
def test_cells_that_are_off_are_named(table: Make, row: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        table([*complete(), row])


def test_no_ratings_and_no_such_model(table: Make) -> None:
    with pytest.raises(DataError, match="has no rating"):
        table([])
    with pytest.raises(InputError, match="expected one of auto, mean, bias-and-inconsistency, bt500"):
        table(complete(), "best")


def test_raters_that_screening_rejects_are_named(table: Make, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(5)
    quality = rng.uniform(2, 4, 60)
    rated = np.clip(np.round(quality[:, None] + 0.5 * rng.normal(size=(60, 20))), 1, 5).astype(int)
    rated[:, 0] = rng.choice([1, 5], 60)
    rows = [[f"{i}.png", f"r{r}", str(rated[i, r])] for i in range(60) for r in range(20)]
    found = table(rows, "bt500")
    assert "without 1 rater that its screening rejects (r0)" in caplog.text
    assert found.n_ratings.tolist() == [19] * 60


def test_a_dataset_may_have_ratings_in_place_of_labels(
    make_entry: Make, make_folder: Make, tmp_path: Path
) -> None:
    rows = complete()
    root = make_folder(HEADER, rows)
    fields = {"scale": [1, 5], "rating_statistics": True}
    entry = make_entry(options={"levels": 5}, **fields)
    found = load_table(entry, root, tmp_path / "cache")
    assert found.name == tuple(f"{k}.png" for k in range(6))
    assert found.rating_std is not None and found.distribution is not None and found.n_ratings is not None
    assert found.distribution.sum(axis=1) == pytest.approx(1)
    assert found.distribution @ np.arange(1, 6) == pytest.approx(found.score)
    # The same scores as stated labels are another dataset to a key: how they came about counts.
    text = labels_csv(rated_images(read_rows(root / "toy" / "labels.csv"), NAMED, AUTO, 5))
    (root / "toy" / "stated.csv").write_text(text)
    stated = load_table(make_entry(options={"labels": "stated.csv"}, **fields), root, tmp_path / "cache")
    for column in ("score", "rating_std", "distribution", "n_ratings"):
        np.testing.assert_allclose(getattr(stated, column), getattr(found, column), err_msg=column)
    other = load_table(make_entry(options={"ratings": "bias-and-inconsistency"}, **fields), root, tmp_path / "cache")
    marks = {fingerprint(one, tmp_path / "cache") for one in (found, stated, other)}
    assert len(marks) == 3


@pytest.mark.parametrize("header", [["image", "rater", "score"], ["image", "score"], ["image", "rating"]])
def test_a_row_for_each_rating_is_recognised_by_its_images(
    make_entry: Make, make_folder: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, header: list[str]
) -> None:
    rows = complete()
    root = make_folder(header, [[row[0], *row[3 - len(header) + 1 :]] for row in rows])
    found = load_table(make_entry(scale=[1, 5], rating_statistics=True), root, tmp_path / "cache")
    own = defaultdict(list)
    for name, _, rating in rows:
        own[name].append(int(rating))
    assert found.name == tuple(own) and found.score.tolist() == pytest.approx([np.mean(own[name]) for name in own])
    assert found.rating_std is not None and found.n_ratings is not None
    assert found.rating_std.tolist() == pytest.approx([np.std(own[name], ddof=1) for name in own])
    assert found.n_ratings.tolist() == [4] * 6 and "24 ratings of 6 images" in caplog.text


@pytest.mark.parametrize("rows", [
    [["0.png", "3"], ["1.png", "4"], ["0.png", "2"]],  # one image alone is named twice
    [["0.png", "3"], ["1.png", "4"], ["0.png", "3"], ["1.png", "4"]],  # the table is there twice
])  # fmt: skip
def test_images_named_twice_are_no_ratings_unless_all_are_and_differ(
    make_entry: Make, make_folder: Make, tmp_path: Path, rows: list[list[str]]
) -> None:
    root = make_folder(["image", "score"], rows)
    with pytest.raises(DataError, match=r"0\.png"):
        load_table(make_entry(scale=[1, 5]), root, tmp_path / "cache")


def test_columns_about_the_image_must_agree(make_entry: Make, make_folder: Make, tmp_path: Path) -> None:
    rows = [[*row, f"g{row[0][0]}"] for row in complete()]
    root = make_folder([*HEADER, "group"], rows)
    assert load_table(make_entry(), root, tmp_path / "cache").group == tuple(f"g{k}" for k in range(6))
    rows[2][3] = "gx"
    root = make_folder([*HEADER, "group"], rows)
    with pytest.raises(DataError, match=r'labels\.csv:4: group of "0\.png" is "gx", on line 2 "g0"; expected one'):
        load_table(make_entry(), root, tmp_path / "cache")


@pytest.mark.data
@pytest.mark.skipif(not AVT.is_dir(), reason=f"no {AVT}; SSLIQA_SHARED names the folder above realdata")
def test_ratings_of_a_real_study() -> None:
    """146 pictures, 25 raters, complete but for two of them; means as the authors published them."""
    rows = read_rows(AVT / "ratings.csv")
    columns = {**NAMED, "rating": "quality"}
    found = rated_images(rows, columns, "mean", 5)
    assert len(found.image) == 146 and found.n_ratings.min() == 24
    # Three pictures were answered twice by one rater, and the authors' means count both.
    published = read_rows(AVT / "quality.csv")
    means = dict(zip(published.column("image_key"), published.numbers("rating")))
    apart = [abs(means[name.removesuffix(".png")] - score) for name, score in zip(found.image, found.score.tolist())]
    assert sorted(apart)[-4] < 1e-9 and max(apart) <= 0.08
    modelled = rated_images(rows, columns)
    assert modelled.model == "bias-and-inconsistency"
    assert np.corrcoef(modelled.score, found.score)[0, 1] == pytest.approx(0.99744, abs=1e-5)
    screened = rated_images(rows, columns, "bt500", 5)
    np.testing.assert_array_equal(screened.score, found.score)  # nobody is rejected
