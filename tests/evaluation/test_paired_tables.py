from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, spearmanr

import ssliqa_bench
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.comparisons import compare_fixed, holm


def tables(n: int = 120, seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A good and a poor method on the same images, in unlike orders."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    frame = pd.DataFrame({
        "image": [f"{row:03d}.png" for row in range(n)], "score": score,
        "group": [f"g{row // 2}" for row in range(n)],
        "distortion": ["blur" if row % 3 else "noise" for row in range(n)],
        "level": [str(row % 12) for row in range(n)],
    })  # fmt: skip
    first = frame.assign(prediction=score + 0.3 * rng.normal(size=n))
    second = frame.assign(prediction=100 + 7 * (score + 1.5 * rng.normal(size=n))).sample(frac=1, random_state=1)
    return first, second[["image", "prediction"]]


def test_the_difference_is_that_of_compare_fixed_on_rows_of_one_order() -> None:
    first, second = tables()
    found = ssliqa_bench.compare(first, second)
    aligned = second.set_index("image").loc[first["image"], "prediction"].to_numpy()
    assert found.overall == compare_fixed(first["prediction"], aligned, first["score"], list(first["group"]))
    assert found.first == pytest.approx(spearmanr(first["prediction"], first["score"]).statistic)
    assert found.second == pytest.approx(spearmanr(aligned, first["score"]).statistic)
    assert found.overall.mean == pytest.approx(found.first - found.second)
    assert found.n == 120 and found.overall.n == 60 and found.overall.verdict == "better"


def test_parts_are_corrected_for_their_number_and_small_ones_left_out() -> None:
    first, second = tables()
    found = ssliqa_bench.compare(first, second)
    assert list(found.by) == ["distortion", "level"]
    assert list(found.by["level"]) == [str(level) for level in range(12)]
    aligned = second.set_index("image").loc[first["image"], "prediction"].to_numpy()
    alone = {}
    for kind in ("blur", "noise"):
        at = (first["distortion"] == kind).to_numpy()
        alone[kind] = compare_fixed(
            first["prediction"][at], aligned[at], first["score"][at], list(first["group"][at])
        )
    assert found.by["distortion"] == holm(alone)
    few = ssliqa_bench.compare(first.assign(level=["9"] * 9 + ["10"] * 111), second)
    assert list(few.by["level"]) == ["9", "10"] and few.by["level"]["9"] is None


def test_images_are_ordered_by_the_distance_of_their_places() -> None:
    first, second = tables()
    found = ssliqa_bench.compare(first, second, images=120)
    aligned = second.set_index("image").loc[first["image"], "prediction"].to_numpy()
    gap = (rankdata(first["prediction"]) - rankdata(aligned)) / 119
    expected = sorted(zip(first["image"], gap), key=lambda one: (-round(abs(one[1]), 9), one[0]))
    assert [one.image for one in found.images] == [name for name, _ in expected]
    assert [one.gap for one in found.images] == pytest.approx([value for _, value in expected])
    assert found.images[0].score == first.set_index("image").loc[found.images[0].image, "score"]


def test_files_and_columns_give_the_same_in_any_order(tmp_path: Path) -> None:
    first, second = tables()
    first.to_csv(tmp_path / "a.csv", index=False)
    second.sample(frac=1, random_state=5).to_csv(tmp_path / "b.csv", index=False)
    found = ssliqa_bench.compare(tmp_path / "a.csv", str(tmp_path / "b.csv"))
    assert found == ssliqa_bench.compare(first.to_dict("list"), second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: (a, b.iloc[1:]), r"1 images of first table are not in second table \(first: "),
        (lambda a, b: (a.iloc[1:], b), r"1 images of second table are not in first table \(first: 000.png"),
        (lambda a, b: (a, pd.concat([b, b.iloc[:1]])), r"second table: image \"\d+.png\" occurs twice"),
        (lambda a, b: (a.drop(columns="score"), b), 'no column "score"; expected it in at least one'),
        (lambda a, b: (a.drop(columns="prediction"), b), 'first table: no column "prediction"'),
        (lambda a, b: (a, a.assign(score=a["score"] + 1)), "120 images have another score in second table"),
        (lambda a, b: (a.assign(prediction=np.nan), b), "120 of 120 values are not finite"),
        (lambda a, b: (a.assign(group=""), b), "first table: group: a cell is empty"),
        (lambda a, b: (7, b), "first table: got int; expected a file, a mapping of columns or a data frame"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_paired_are_refused(change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ssliqa_bench.compare(*change(*tables()))
