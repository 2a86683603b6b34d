"""Classes from ratings and from scores."""

from __future__ import annotations

import numpy as np
import pytest

from ssliqa_bench.datasets.classes import equal_width_classes, modal_classes
from ssliqa_bench.errors import InputError
from ssliqa_bench.tabular import read_rows
from tests.datasets.annotations import ANNOTATIONS, needs_annotations


def test_the_most_frequent_rating() -> None:
    shares = np.array([[0.1, 0.2, 0.4, 0.2, 0.1], [0.0, 0.0, 0.0, 0.3, 0.7], [1.0, 0, 0, 0, 0]])
    assert modal_classes(shares).tolist() == [2, 4, 0]
    assert modal_classes(shares * 120).tolist() == [2, 4, 0]


def test_at_a_tie_the_worse_class() -> None:
    assert modal_classes(np.array([[0.0, 0.4, 0.4, 0.2], [0.25, 0.25, 0.25, 0.25]])).tolist() == [1, 0]


def test_an_image_without_opinion_has_no_class() -> None:
    assert modal_classes(np.array([[np.nan] * 3, [0.0, 0, 0], [0, 1.0, 0]])).tolist() == [-1, -1, 1]
    assert equal_width_classes(np.array([np.nan, 0.5]), 5).tolist() == [-1, 2]


def test_equal_widths_have_their_lower_ends_and_the_last_its_upper() -> None:
    score01 = np.array([0.0, 0.19, 0.2, 0.4, 0.6, 0.8, 0.999, 1.0])
    assert equal_width_classes(score01, 5).tolist() == [0, 0, 1, 2, 3, 4, 4, 4]
    assert equal_width_classes(np.array([-0.1, 1.2]), 5).tolist() == [0, 4]


@pytest.mark.parametrize("levels", [0, 1])
def test_one_class_is_none(levels: int) -> None:
    with pytest.raises(InputError, match="expected two or more"):
        equal_width_classes(np.array([0.5]), levels)
    with pytest.raises(InputError, match="expected"):
        modal_classes(np.ones((3, levels)))


@needs_annotations
def test_classes_of_koniq_beside_the_printed_counts() -> None:
    rows = read_rows(ANNOTATIONS / "koniq" / "koniq10k_distributions_sets.csv")
    shares = np.stack([rows.numbers(f"c{k}") for k in range(1, 6)], axis=1)
    assert np.bincount(modal_classes(shares), minlength=5).tolist() == [76, 1379, 5150, 3468, 0]
    widths = equal_width_classes(rows.numbers("MOS") / 100, 5)
    assert np.bincount(widths, minlength=5).tolist() == [183, 1189, 3081, 5408, 212]
