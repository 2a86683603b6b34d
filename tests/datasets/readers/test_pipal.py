"""PIPAL: lists per reference, a validation set that not everybody has, scores that somebody scaled."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets.readers.pipal import read_pipal
from ssliqa_bench.errors import DataError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.suite import load_suite
from ssliqa_bench.store.records import iter_records, read_record
from tests.conftest import Bench
from tests.datasets.annotations import ANNOTATIONS, needs_annotations
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.pipal import LAYOUTS
from tests.datasets.reading import read, read_annotations, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["with the validation set"](tmp_path / "data")


def test_the_validation_set_is_the_official_test_part(made: Miniature) -> None:
    found = read(made)
    assert found.split is not None and found.distortion is not None
    assert Counter(found.split) == {"train": 27, "test": 5}
    parts = {part: {group for group, own in zip(found.group, found.split, strict=True) if own == part}
             for part in ("train", "test")}  # fmt: skip
    assert not parts["train"] & parts["test"]


def test_without_the_validation_set_the_rest_is_read(made: Miniature) -> None:
    next((made.folder / "Val_Label").iterdir()).unlink()
    found = read(made)
    assert len(found) == 27 and set(found.split or ()) == {"train"}


def test_images_without_scores_are_not_read(made: Miniature) -> None:
    expected = read(made)
    path = made.images[made.names[-1]]
    path.with_name("A0007_10_00.bmp").write_bytes(path.read_bytes())
    assert read(made, "other-cache").name == expected.name


def test_part_of_the_validation_set(made: Miniature) -> None:
    path = next((made.folder / "Val_Label").iterdir())
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    said = refusal(made)
    assert "lists 30 images; expected 27, or 32 with the optional part" in said


def test_the_validation_set_beside_the_mirror(tmp_path: Path) -> None:
    whole = LAYOUTS["with the validation set"](tmp_path / "official")
    made = LAYOUTS["pyiqa"](tmp_path / "data")
    for folder in ("Val_Label", "Val_Dist", "Val_Ref"):
        (whole.folder / folder).rename(made.folder / folder)
    found = read(made)
    assert found.name == whole.names and Counter(found.split) == {"train": 27, "test": 5}


def test_an_empty_folder_of_lists(made: Miniature) -> None:
    for folder in ("Train_Label", "Val_Label", *(f"Distortion_{k}" for k in (1, 2, 3))):
        for path in (made.folder / folder).iterdir():
            path.unlink()
    assert "lists no image" in refusal(made)


def test_the_index_is_no_level(made: Miniature) -> None:
    assert read(made).level is None


def test_comma_and_space(made: Miniature) -> None:
    expected = read(made)
    rewrite(made.labels[0], ",", ", ")
    np.testing.assert_array_equal(read(made, "other-cache").score, expected.score)


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("A0001_04_01.bmp", "A0001.bmp", "expected a name as A0001_00_00.bmp"),
    (",", ";", "1 cells; expected 2 (image, score)"),
])  # fmt: skip
def test_lines_that_are_not_as_expected(made: Miniature, old: str, new: str, expected: str) -> None:
    rewrite(made.labels[0], old, new)
    said = refusal(made)
    assert "A0001.txt:" in said and expected in said


def test_scores_that_were_scaled(tmp_path: Path) -> None:
    made = LAYOUTS["pyiqa"](tmp_path / "data")
    rows = [line.split(",") for line in made.labels[0].read_text().splitlines()]
    for row in rows[1:]:
        row[2] = str((float(row[2]) - 900) / 1000)
    made.labels[0].write_text("\n".join(",".join(row) for row in rows))
    assert "they were scaled to 0 to 1; expected the Elo scores" in refusal(made)


def test_no_lists_at_all(made: Miniature) -> None:
    (made.folder / "Train_Label").rename(made.folder / "Labels")
    said = refusal(made)
    assert "looked for Train_Label, training/Train_Label" in said and "meta_info_PIPALDataset.csv" in said


def test_the_challenges_pairs_have_no_scores(tmp_path: Path) -> None:
    made = LAYOUTS["challenge"](tmp_path / "data")
    found = read(made)
    assert np.isnan(found.score).all() and set(found.distortion or ()) == {"10"}
    next(iter((made.folder / "NTIRE2022_FR_Testing_Ref").iterdir())).unlink()
    assert "4 of 8 reference images have no file" in refusal(made)


def test_a_part_that_is_none() -> None:
    with pytest.raises(DataError, match='part is "valid"; expected one of scored, challenge'):
        read_pipal(Path("PIPAL"), {"part": "valid"})


@needs_annotations
def test_real_labels(tmp_path: Path) -> None:
    found = read_annotations("pipal", tmp_path, {"rebuilt/PIPAL": "."})
    assert len(found.name) == 23200
    assert set(Counter(found.group).values()) == {116} and len(set(found.group or ())) == 200
    assert (found.score.min(), found.score.max()) == (916.7136, 1835.9856)
    kinds = dict(zip(("00", "01", "02", "03", "04", "05", "06"), (12, 16, 10, 24, 13, 14, 27), strict=True))
    assert Counter(found.distortion) == {kind: 200 * count for kind, count in kinds.items()}
    assert set(found.split or ()) == {"train"}
    lines = (ANNOTATIONS / "reexported/pipal/pipal22_train.txt").read_text().splitlines()
    listed = {name: float(score) for name, score in (line.split(", ") for line in lines)}
    np.testing.assert_array_equal(found.score, [listed[name] for name in found.name])


@needs_annotations
def test_real_labels_of_both_parts(tmp_path: Path) -> None:
    files = {"rebuilt/PIPAL": ".", "reexported/pipal/pipal21_val.txt": "pipal21_val.txt"}
    found = read_annotations("pipal", tmp_path, files)
    assert Counter(found.split) == {"train": 23200, "test": 1000}
    test = np.array([part == "test" for part in found.split or ()])
    assert (found.score[test].min(), found.score[test].max()) == (868.2988, 1857.0)
    groups = np.array(found.group)
    assert len(set(groups[test])) == 25 and not set(groups[test]) & set(groups[~test])
    assert set(Counter(groups[test]).values()) == {40}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_scores_of_the_validation_set_are_unofficial(
    tmp_path: Path, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = LAYOUTS[layout](tmp_path / "data")
    found = read(made)
    of_test = {name for name in made.names if "_10_" in name and not np.isnan(made.scores[name])}
    assert found.facts["unofficial"] == of_test
    assert ("unofficial labels" in caplog.text) == bool(of_test)


TWO = """
protocols:
  official: {about: {title: Its test part}, split: {rule: official}}
  abroad: {about: {title: Other datasets}, split: {rule: official}, tests: [tiny-a]}
  inside: {about: {title: Its training part}, split: {rule: random, train: 0.7, by: group, within: train}}
"""


@pytest.mark.parametrize(("layout", "protocol", "code"), [
    ("official", "official", 2),
    ("official", "abroad", 0),
    ("official", "inside", 0),
    ("pyiqa", "abroad", 0),
    ("with the validation set", "official", 0),
    ("with the validation set", "inside", 0),
])  # fmt: skip
def test_only_what_tests_on_the_validation_set_needs_it(
    own_bench: Bench, tmp_path: Path, layout: str, protocol: str, code: int
) -> None:
    made = LAYOUTS[layout](tmp_path / "pipal")
    (tmp_path / "p.yaml").write_text(TWO)
    for path in (own_bench.data / "tiny-a",):
        (made.root / path.name).symlink_to(path)
    given, _, err = own_bench(
        "run", "--method", "ridge-probe", "--recipe", "check", "--pair", "pipal", "--protocol", protocol, "--data-root",
        str(made.root), "--registry", str(made.registry_file()), "--registry", str(tmp_path / "p.yaml"),
    )  # fmt: skip
    assert given == code, err
    if code:
        assert "optional 5 images are not there" in err and "ntire2022" in err and "decoding" not in err
        return
    (folder,) = (own_bench.store / "records").iterdir()
    record = read_record(own_bench.store, folder.name)
    used = protocol == "official"
    assert record.datasets["pipal"].unofficial_labels == used
    if used:
        _check_submission(own_bench, made, tmp_path)
    assert set(record.results) == ({"tiny-a"} if protocol == "abroad" else {"pipal"})


def _check_submission(bench: Bench, made: Miniature, folder: Path) -> None:
    """Predictions that were handed in are marked as a run is."""
    tested = sorted(name for name in made.names if "_10_" in name)
    file = folder / "theirs.csv"
    file.write_text("image,prediction\n" + "".join(f"{name},{k}\n" for k, name in enumerate(tested)))
    code, _, err = bench("submit", str(file), "--name", "theirs", "--dataset", "pipal", "--protocol", "official",
                         "--data-root", str(made.root), "--registry", str(made.registry_file()), "--registry",
                         str(folder / "p.yaml"), "--registry", str(bench.data / "registry.yaml"),
                         "--higher-is-better")  # fmt: skip
    assert code == 0, err
    record = next(own for own in iter_records(bench.store) if own.submitted)
    assert record.datasets["pipal"].unofficial_labels


def test_no_run_of_the_papers_tables_needs_scores_that_no_download_brings() -> None:
    registry = load_registry()
    used = {run.protocol for run in load_suite("bns_tables", registry).runs}
    assert used == {"ntire2022", "pipal-cross", "pipal-train", "pipal-train-2k"}
    for name in used:
        protocol = registry.protocol(name)
        assert protocol.tests or protocol.split.within == "train", name
    for ours, theirs in (("pipal-train", "pipal"), ("pipal-train-2k", "pipal-2k")):
        one, other = (registry.protocol(name).model_dump(exclude={"about", "split", "name"}) for name in (ours, theirs))
        assert one == other
