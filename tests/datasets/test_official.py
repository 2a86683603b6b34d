"""Every reader on a miniature of every layout: what it reads, and what it says when the folder is broken."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpyxl import load_workbook
from scipy.io import loadmat, savemat

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError
from ssliqa_bench.pixels.cache import open_pixels
from ssliqa_bench.registry.load import load_registry
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


def test_every_reader_of_the_registry_has_a_miniature() -> None:
    modules = {entry.reader.partition(":")[0].rpartition(".")[2] for entry in load_registry().datasets.values()}
    # Labels in a table of our own form, as users write them, are read by the tests of `data add`.
    missing = modules - {"table", "folder"} - {layout.partition("/")[0] for layout in LAYOUTS}
    assert not missing, f"tests/datasets/miniatures/ has no module for the readers {sorted(missing)}"


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
    if not made.labels:  # the folder is the list, and only the registry's count tells that one is missing
        assert said.startswith(f"{made.dataset}: ") and f"lists {len(made.names) - 1} images; expected" in said
        return
    assert made.dataset in said and Path(gone).name in said and f"1 of {len(made.names)} images" in said
    assert f"ssliqa-bench data check {made.dataset}" in said


def test_capitals_differ(made: Miniature) -> None:
    name = sorted(made.names)[2]
    path = made.images[name]
    other = path.with_name(path.name.swapcase())
    path.rename(other)
    found = table(made)
    assert os.path.samefile(found.path[found.name.index(name if made.labels else other.name)], other)


def test_an_image_too_many_changes_nothing(made: Miniature) -> None:
    expected = table(made)
    path = made.images[made.names[0]]
    shutil.copy(path, path.with_name("stranger" + path.suffix))
    if not made.labels:  # nothing but its name says that it does not belong there
        assert "stranger" in refused(made)
        return
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


def rename_columns(path: Path) -> None:
    """Give a label file other columns: other headings, one cell more where there are none, or another variable."""
    if path.suffix == ".mat":
        content = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
        savemat(path, {f"x_{name}": value for name, value in content.items()})
    elif path.suffix == ".xlsx":
        workbook = load_workbook(path)
        for sheet in workbook.worksheets:
            for row in sheet.iter_rows():
                for cell in row:
                    if isinstance(cell.value, str) and cell.value in ("image", "dmos", "Image name", "MOS"):
                        cell.value = f"x {cell.value}"
        workbook.save(path)
    else:
        first, *lines = path.read_text().splitlines()
        separator = next(mark for mark in ("\t", ",", " ") if mark in first)
        if any(cell.replace(".", "", 1).isdigit() for cell in first.split(separator)):  # no heading
            path.write_text("\n".join(f"{line}{separator}more" for line in (first, *lines)))
        else:
            renamed = separator.join(cell and f"x_{cell}" for cell in first.split(separator))
            path.write_text("\n".join([renamed, *lines]))


def test_a_label_file_that_is_renamed(made: Miniature) -> None:
    for path in made.labels:
        other = path.with_name(f"{path.stem}-2{path.suffix}")
        path.rename(other)
        said = refused(made)
        assert said.startswith(f"{made.dataset}: ") and path.name in said
        if made.dataset != "pipal":  # its lists are any files of a folder, and one is missed by its images
            assert f'There is "{other.name}"' in said or str(path.parent) in said
        other.rename(path)


def test_a_label_file_with_other_columns(made: Miniature) -> None:
    for path in made.labels:
        kept = path.read_bytes()
        rename_columns(path)
        said = refused(made)
        assert said.startswith(f"{made.dataset}: ") and path.name in said
        expected, found = {
            ".mat": ('no variable "', "; found x_"),
            ".xlsx": ("no sheet with the columns", "its sheets are"),
        }.get(path.suffix, ("; expected ", " cells") if " cells" in said else ("no column", "; found x_"))
        assert expected in said and found in said
        path.write_bytes(kept)
    assert table(made).name


def test_lists_of_another_length(made: Miniature) -> None:
    for path in (path for path in made.labels if path.suffix == ".mat"):
        kept = path.read_bytes()
        content = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
        longest = max(value.size for value in content.values())
        savemat(path, {name: value.reshape(1, -1)[:, :-1] for name, value in content.items()})
        said = refused(made)
        assert said.startswith(f"{made.dataset}: ") and path.name in said
        assert str(longest - 1) in said and str(longest) in said
        path.write_bytes(kept)


def test_variables_of_another_kind(made: Miniature) -> None:
    for path in (path for path in made.labels if path.suffix == ".mat"):
        kept = path.read_bytes()
        content = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
        for wrong in ({"a": np.ones(3)}, np.array([["text"]], dtype=object), np.zeros((0, 0), dtype=object), "text"):
            savemat(path, dict.fromkeys(content, wrong))
            said = refused(made)
            assert said.startswith(f"{made.dataset}: {path}") or path.name in said
            assert "expected a" in said or "; expected" in said or " values for " in said
            assert "its reader" not in said
        path.write_bytes(kept)


def test_the_same_file_name_in_two_subfolders(made: Miniature) -> None:
    expected = table(made)
    first, second = (made.images[name] for name in made.names[:2])
    other = first.parent / "again" / first.name
    other.parent.mkdir()
    shutil.copy(first, other)
    assert table(made, "third-cache").name == expected.name, "a copy is the same file"
    shutil.copy(second, other)
    # Found by their names alone, wherever they were unpacked.
    if made.dataset in ("csiq", "pipal", "pipal-ntire2022", "kadis-distorted"):
        said = refused(made)
        assert said.startswith(f"{made.dataset}: ") and str(first) in said and str(other) in said
        assert "expected one file of that name" in said
    else:
        found = table(made, "other-cache")
        assert os.path.samefile(found.path[found.name.index(made.names[0])], first)
