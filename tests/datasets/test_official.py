"""Every reader on a miniature of every layout: what it reads, and what it says when the folder is broken."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.cache import open_pixels
from ssliqa_bench.errors import DataError
from ssliqa_bench.types import Table
from tests.datasets.miniatures import Miniature, layouts

LAYOUTS = layouts()


@pytest.fixture(params=sorted(LAYOUTS))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Miniature:
    """A fresh folder of each layout in turn."""
    return LAYOUTS[request.param](tmp_path / "data")


def table(made: Miniature, cache: str = "cache") -> Table:
    return load_table(made.entry(), made.root, made.root.parent / cache)


def refused(made: Miniature) -> str:
    with pytest.raises(DataError) as caught:
        table(made, "other-cache")
    return str(caught.value)


def text_labels(made: Miniature) -> list[Path]:
    return [path for path in made.labels if path.suffix.lower() in (".csv", ".txt")]


def test_what_is_read(made: Miniature) -> None:
    found = table(made)
    entry = made.entry()
    assert set(found.name) == set(made.names) and len(found.name) == len(made.names)
    sign = 1 if entry.higher_is_better else -1
    for name, path, score in zip(found.name, found.path, found.score, strict=True):
        assert os.path.samefile(path, made.images[name])
        expected = made.scores[name]
        assert (math.isnan(score) and math.isnan(expected)) or score == pytest.approx(sign * expected, abs=1e-9)
    order = [made.names.index(name) for name in found.name]
    for column, values in made.facts.items():
        if not hasattr(found, column):
            continue
        own = getattr(found, column)
        if values is None:
            assert own is None, column
        elif isinstance(values, np.ndarray):
            assert own is not None, column
            np.testing.assert_allclose(own, values[order], rtol=1e-6, atol=1e-6, err_msg=column)
        else:
            assert own == tuple(values[k] for k in order), column


def test_subsets_and_levels_mean_what_they_say(made: Miniature) -> None:
    found = table(made)
    for rule in made.entry().subsets.values():
        assert set(rule.distortion) <= set(found.distortion or ())
    if found.level is not None and np.isfinite(found.score).all():
        assert np.corrcoef([float(level) for level in found.level], found.score)[0, 1] < -0.8


def test_read_again_it_is_the_same(made: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    first = table(made)
    kept = list((made.root.parent / "cache" / "tables").glob("*.json"))
    again = table(made)
    assert again.name == first.name and again.path == first.path and again.group == first.group
    np.testing.assert_array_equal(again.score, first.score)
    for column in ("rating_std", "distribution"):
        one, other = getattr(first, column), getattr(again, column)
        assert (one is None) == (other is None) and (one is None or np.array_equal(one, other, equal_nan=True))
    if kept and text_labels(made):
        path = text_labels(made)[0]
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        np.testing.assert_array_equal(table(made).score, first.score)


def test_a_label_file_that_is_missing(made: Miniature) -> None:
    for path in made.labels:
        kept = path.read_bytes()
        path.unlink()
        said = refused(made)
        assert made.dataset in said and path.name in said
        path.write_bytes(kept)
    assert table(made).name


@pytest.mark.parametrize("change", ["windows line ends", "byte order mark"])
def test_text_as_other_systems_write_it(made: Miniature, change: str) -> None:
    expected = table(made)
    for path in text_labels(made):
        content = path.read_bytes()
        changed = content.replace(b"\n", b"\r\n") if change == "windows line ends" else b"\xef\xbb\xbf" + content
        path.write_bytes(changed)
    found = table(made, "other-cache")
    assert found.name == expected.name
    np.testing.assert_array_equal(found.score, expected.score)


def test_a_label_file_cut_short(made: Miniature) -> None:
    for path in made.labels:
        kept = path.read_bytes()
        lines = kept.splitlines(keepends=True)
        text = path in text_labels(made)
        path.write_bytes(b"".join(lines[:-2]) if text and len(lines) > 3 else kept[: len(kept) // 2])
        said = refused(made)
        assert made.dataset in said or path.name in said
        path.write_bytes(kept)


def test_an_image_that_is_missing(made: Miniature) -> None:
    gone = sorted(made.names)[1]
    made.images[gone].unlink()
    said = refused(made)
    assert made.dataset in said and Path(gone).name in said and f"1 of {len(made.names)} images" in said
    assert f"ssliqa-bench data check {made.dataset}" in said


def test_capitals_differ(made: Miniature) -> None:
    name = sorted(made.names)[2]
    path = made.images[name]
    other = path.with_name(path.name.swapcase())
    path.rename(other)
    found = table(made)
    assert os.path.samefile(found.path[found.name.index(name)], other)


def test_an_image_too_many_changes_nothing(made: Miniature) -> None:
    expected = table(made)
    path = made.images[made.names[0]]
    shutil.copy(path, path.with_name("stranger" + path.suffix))
    assert table(made, "other-cache").name == expected.name


def test_a_truncated_image_is_named(made: Miniature) -> None:
    name = made.names[3]
    path = made.images[name]
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError) as caught:
        open_pixels(table(made), "0" * 64, None, made.root.parent / "cache")
    assert path.name in str(caught.value) and made.dataset in str(caught.value)


def test_no_folder_at_all(made: Miniature, tmp_path: Path) -> None:
    entry = made.entry()
    with pytest.raises(DataError) as caught:
        load_table(entry, tmp_path / "elsewhere", tmp_path / "cache")
    said = str(caught.value)
    assert entry.folder in said and "--data-root" in said and f"ssliqa-bench show {entry.name}" in said


def test_another_count_than_the_registry(made: Miniature) -> None:
    entry: Any = made.entry().model_copy(update={"images": len(made.names) + 3})
    with pytest.raises(DataError, match=f"{len(made.names)} images; expected {len(made.names) + 3}"):
        load_table(entry, made.root, made.root.parent / "cache")
