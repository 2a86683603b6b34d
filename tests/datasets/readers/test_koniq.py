"""KonIQ-10k: one heading for two scales, and images of two sizes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.tabular import read_rows
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.koniq import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["official"](tmp_path / "data")


def test_both_files_give_the_same_scores_and_spread(made: Miniature, tmp_path: Path) -> None:
    other = read(LAYOUTS["scores"](tmp_path / "other"))
    found = read(made)
    np.testing.assert_allclose(other.score, found.score, atol=1e-9)
    np.testing.assert_allclose(other.rating_std, found.rating_std, atol=1e-9)
    np.testing.assert_allclose(other.distribution, found.distribution, atol=1e-9)
    assert found.split is not None and other.split is None


@pytest.mark.parametrize("layout", ["official", "scores", "pyiqa"])
def test_mean_ratings_in_the_place_of_scores_are_refused(tmp_path: Path, layout: str) -> None:
    made = LAYOUTS[layout](tmp_path / "data")
    path = made.labels[0]
    lines = [line.split(",") for line in path.read_text().splitlines()]
    column = next(k for k, name in enumerate(lines[0]) if name in ("MOS_zscore", "mos")) if layout != "official" else 7
    for line, mean in zip(lines[1:], made.facts.get("mean", np.linspace(1, 5, len(made.names))), strict=True):
        line[column] = f"{mean:.6f}"
    path.write_text("\n".join(map(",".join, lines)))
    said = refusal(made)
    assert "mean rating on 1 to 5" in said and "0 to 100" in said


def test_images_of_the_other_size_are_another_dataset(made: Miniature) -> None:
    (made.folder / "512x384").rename(made.folder / "1024x768")
    said = refusal(made)
    assert "No folder" in said and "1024x768" in said and "another size" in said


@pytest.mark.parametrize("column", ["image_name", "MOS", "set"])
def test_a_column_of_another_name(made: Miniature, column: str) -> None:
    rewrite(made.labels[0], column, "other")
    assert f'koniq10k_distributions_sets.csv:1: no column "{column}"' in refusal(made)


@pytest.mark.parametrize(("cell", "found"), [("nan", '"nan"'), ("", "nothing"), ("inf", '"inf"'), ("7,5", "cells")])
def test_a_score_that_is_no_number(made: Miniature, cell: str, found: str) -> None:
    score = repr(made.scores[made.names[4]])
    lines = made.labels[0].read_text().splitlines()
    lines[5] = lines[5].replace(f",{score},", f",{cell},")
    made.labels[0].write_text("\n".join(lines))
    said = refusal(made)
    assert "koniq10k_distributions_sets.csv:6" in said and found in said


def test_ratings_that_are_negative(made: Miniature) -> None:
    lines = made.labels[0].read_text().splitlines()
    cells = lines[3].split(",")
    cells[1] = "-0.1"
    made.labels[0].write_text("\n".join([*lines[:3], ",".join(cells), *lines[4:]]))
    said = refusal(made)
    assert "1 of 30 rating distributions" in said and made.names[2] in said


def test_a_renamed_label_file_is_pointed_at(made: Miniature) -> None:
    made.labels[0].rename(made.folder / "koniq10k_distribution_sets.csv")
    assert 'There is "koniq10k_distribution_sets.csv"' in refusal(made)


@pytest.fixture
def real(tmp_path: Path) -> RawTable:
    return read_annotations("koniq", tmp_path, {"koniq": "."}, ("512x384",))


@needs_annotations
def test_real_labels(real: RawTable) -> None:
    assert len(real.name) == 10073 and all(name.removesuffix(".jpg").isdigit() for name in real.name)
    assert real.score.min() == pytest.approx(3.912, abs=1e-3)
    assert real.score.max() == pytest.approx(88.389, abs=1e-3)
    assert Counter(real.split) == {"training": 7058, "validation": 1000, "test": 2015}
    assert real.rating_std is not None and real.distribution is not None
    assert real.rating_std.min() / 25 == pytest.approx(0.296, abs=1e-3)
    assert real.rating_std.max() / 25 == pytest.approx(1.098, abs=1e-3)
    np.testing.assert_allclose(real.distribution.sum(axis=1), 1, atol=1e-9)


@needs_annotations
def test_the_real_spread_is_that_of_the_ratings(real: RawTable) -> None:
    total = read_rows(ANNOTATIONS / "koniq/koniq10k_distributions_sets.csv").numbers("c_total")
    assert real.distribution is not None
    levels = np.arange(1, 6)
    mean = real.distribution @ levels
    variance = ((levels - mean[:, None]) ** 2 * real.distribution).sum(axis=1) * total / (total - 1)
    np.testing.assert_allclose(real.rating_std, 25 * np.sqrt(variance), atol=1e-9)


@needs_annotations
def test_the_larger_images_have_the_same_labels(tmp_path: Path, real: RawTable) -> None:
    larger = read_annotations("koniq-1024", tmp_path / "larger", {"koniq": "."}, ("1024x768",))
    assert larger.name == real.name and larger.split == real.split
    assert "1024x768" in larger.path[0] and "512x384" in real.path[0]
