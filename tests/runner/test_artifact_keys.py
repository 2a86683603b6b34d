"""Keys of stages and predictions follow the files and what is told of them; no image is decoded for them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from ssliqa_bench.runner.keys import image_part, set_digest

if TYPE_CHECKING:
    from tests.conftest import Bench


def keys_of(bench: Bench, method: str = "ssiqa", **asked: Any) -> dict[str, str]:
    """The stage keys of a method on the tiny pair, and the keys of the last model's predictions, as `test NAME`."""
    from ssliqa_bench.runner.artifact_keys import dataset_prediction_key, readable_roles, stage_keys
    from ssliqa_bench.runner.learners import make_learner

    plan, settings = bench.plan(method, **asked)
    learner = make_learner(plan)
    roles = readable_roles(plan, settings)
    if roles is None:
        return {}
    found = stage_keys(plan, learner, roles)
    rows = {name: [row for row, role in enumerate(own) if role == "test"] for name, own in roles.items()}
    tests = {f"test {name}": dataset_prediction_key(plan, learner, "model", name, own) for name, own in rows.items()}
    return {**found, **tests}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name, key in before.items() if after[name] != key}


def rows_with(bench: Bench, role: str, dataset: str) -> list[str]:
    """Names of the images with a role."""
    plan, _ = bench.plan("ssiqa")
    return [name for name, own in zip(plan.tables[dataset].name, plan.roles[dataset], strict=True) if own == role]


def edit(bench: Bench, dataset: str, change: Callable[[dict[str, str]], dict[str, str] | None]) -> None:
    """Change the rows of a label file."""
    labels = bench.data / dataset / "labels.csv"
    rows = [row for old in csv.DictReader(labels.open()) if (row := change(dict(old))) is not None]
    with labels.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


ALL = {"initial", "phase-1", "phase-2", "phase-3"}


def test_no_image_is_decoded(own_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("an image was opened"))
    assert set(keys_of(own_bench)) == {*ALL, "test tiny-a", "test tiny-b"}
    assert not (tmp_path / "cache" / "pixels").exists()


def test_a_finished_run_has_the_keys_that_were_foretold(finished: Bench) -> None:
    from ssliqa_bench.runner.artifact_keys import dataset_prediction_key, stage_keys
    from ssliqa_bench.runner.learners import make_learner

    plan, _ = finished.plan("ssiqa")
    facts, learner = finished.facts(plan.key), make_learner(plan)
    assert [stage["key"] for stage in facts["stages"]] == list(stage_keys(plan, learner).values())
    for name, key in facts["keys"]["predictions"].items():
        rows = [row for row, role in enumerate(plan.roles[name]) if role == "test"]
        assert dataset_prediction_key(plan, learner, facts["keys"]["model"], name, rows) == key


def test_names_and_order_of_files_change_no_stage(own_bench: Bench) -> None:
    before = keys_of(own_bench)
    labels = own_bench.data / "tiny-b" / "labels.csv"
    header, *rows = labels.read_text().splitlines()
    labels.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert changed(before, keys_of(own_bench)) == set()


@pytest.mark.parametrize(
    ("dataset", "role", "expected"),
    [
        ("tiny-a", "labeled", {*ALL, "test tiny-a"}),
        ("tiny-a", "test", {"test tiny-a"}),
        ("tiny-b", "unlabeled", {"test tiny-b"}),
        ("tiny-b", "test", {"test tiny-b"}),
    ],
)
def test_a_score_changes_the_stages_that_are_told_it(
    own_bench: Bench, dataset: str, role: str, expected: set[str]
) -> None:
    """Predictions are named by the fingerprint of the dataset, scores included."""
    before, name = keys_of(own_bench), rows_with(own_bench, role, dataset)[0]
    edit(own_bench, dataset, lambda row: {**row, "score": "1.5"} if row["image"] == name else row)
    assert changed(before, keys_of(own_bench)) == expected


@pytest.mark.parametrize(
    ("dataset", "role", "expected"),
    [
        ("tiny-a", "labeled", {*ALL, "test tiny-a"}),
        ("tiny-a", "test", {"test tiny-a"}),
        ("tiny-b", "unlabeled", {"phase-1", "phase-2", "phase-3", "test tiny-b"}),
        ("tiny-b", "test", {"test tiny-b"}),
    ],
)
def test_a_file_changes_the_stages_that_see_it(own_bench: Bench, dataset: str, role: str, expected: set[str]) -> None:
    before, name = keys_of(own_bench), rows_with(own_bench, role, dataset)[0]
    path = own_bench.data / dataset / "images" / name
    with Image.open(path) as image:
        turned = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    turned.save(path)
    assert changed(before, keys_of(own_bench)) == expected


def test_what_decodes_an_image_is_keyed(own_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from ssliqa_bench.runner import artifact_keys

    before = keys_of(own_bench)
    with monkeypatch.context() as patch:
        patch.setattr(artifact_keys, "PIXELS_VERSION", artifact_keys.PIXELS_VERSION + 1)
        assert changed(before, keys_of(own_bench)) == set(before)
    with monkeypatch.context() as patch:
        patch.setattr(artifact_keys.PIL, "__version__", "0.0")
        assert changed(before, keys_of(own_bench)) == set(before)
    registry = own_bench.data / "registry.yaml"
    registry.write_text(registry.read_text().replace("  tiny-b:\n", "  tiny-b:\n    working_size: {short_side: 40}\n"))
    assert changed(before, keys_of(own_bench)) == {"phase-1", "phase-2", "phase-3", "test tiny-b"}


def test_an_optional_decoder_is_keyed_for_sets_with_its_files_alone(
    own_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installing it, or another version of it, must not train a model on other formats again."""
    from ssliqa_bench.runner import keys
    from ssliqa_bench.store import provenance

    def versions(heif: str) -> None:
        real = metadata.version
        monkeypatch.setattr(provenance.metadata, "version",
                            lambda name: heif if name == "pillow_heif" else real(name))  # fmt: skip

    before = keys_of(own_bench)
    versions("1.0")
    assert keys_of(own_bench) == before
    monkeypatch.setattr(keys, "FORMAT_DECODERS", {"pillow_heif": (".png",)})  # as if the images were HEIC files
    first = keys_of(own_bench)
    monkeypatch.undo()
    monkeypatch.setattr(keys, "FORMAT_DECODERS", {"pillow_heif": (".png",)})
    versions("2.0")
    second = keys_of(own_bench)
    assert changed(before, first) == set(before) == changed(first, second)


def test_copies_of_one_file_count_as_often_as_they_are_there() -> None:
    one, two = image_part(file="1", short_side=None, told=[0.5]), image_part(file="1", short_side=None, told=[0.7])
    other = image_part(file="2", short_side=None, told=[0.5])
    found = [set_digest(images, {}) for images in ([one, other], [one, one, other], [one, two, other], [two, other],
                                                    [one, other, other])]
    assert len(set(found)) == len(found)
    assert set_digest([two, other, one], {}) == set_digest([one, two, other], {})


def test_an_image_keeps_its_reference_and_what_is_told_of_it() -> None:
    """Two images that change their scores, or their references, make another set."""
    def both(first: dict[str, Any], second: dict[str, Any]) -> str:
        images = [image_part(file=file, short_side=None, **own) for file, own in (("1", first), ("2", second))]
        return set_digest(images, {})

    shares = ([0.1, [0.0, 1.0]], [0.1, [1.0, 0.0]])
    for field, values in (("reference", ("r", "s")), ("told", ([0.1], [0.2])), ("told", shares)):
        one, two = ({field: value} for value in values)
        assert both(one, two) != both(two, one)


def test_which_images_are_skipped_is_unknown_until_decoded(own_bench: Bench, monkeypatch: pytest.MonkeyPatch,
                                                          tmp_path: Path) -> None:
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    before = keys_of(own_bench)
    assert keys_of(own_bench, skip_bad=True) == {}
    name = rows_with(own_bench, "labeled", "tiny-a")[0]
    words = ("run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--dry-run", "--json", "--skip-bad")
    code, out, _ = own_bench(*words)
    assert code == 0
    assert json.loads(out)["runs"][0]["unreadable"] == dict.fromkeys(("tiny-a", "tiny-b"), "unknown until decoded")
    (own_bench.data / "tiny-a" / "images" / name).write_bytes(b"no image")
    entry = own_bench.run("ssiqa", "--skip-bad")
    facts = own_bench.facts(entry["key"])
    after = keys_of(own_bench, skip_bad=True)
    assert changed(before, after) == {*ALL, "test tiny-a"}
    assert [stage["key"] for stage in facts["stages"]] == [after[stage["name"]] for stage in facts["stages"]]
    code, out, _ = own_bench(*words)
    assert json.loads(out)["runs"][0]["unreadable"] == {"tiny-a": 1, "tiny-b": 0}
