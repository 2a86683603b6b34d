"""What `run` does with bad data, with damage in the store and with a full disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.store.records import read_predictions, read_record, write_result
from tests.resealed import reseal

if TYPE_CHECKING:
    from tests.conftest import Bench


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["key"] == other["key"] and one["metrics"] == other["metrics"])


def test_images_shared_by_both_sides_stop_the_run(own_bench: Bench) -> None:
    plan, _ = own_bench.plan("supervised")
    name = plan.tables["tiny-a"].name[plan.roles["tiny-a"].index("labeled")]
    shutil.copy(own_bench.data / "tiny-a" / "images" / name, own_bench.data / "tiny-b" / "images" / "00.png")
    code, err = own_bench.fails("supervised")
    assert code == 2 and f"tiny-a/{name}" in err and "tiny-b/00.png" in err and "Nothing was run" in err
    assert own_bench.files() == {}
    assert own_bench.run("supervised", pair="tiny-a")["status"] == "done", "each alone is fine"


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_unreadable_image_stops_the_run_or_is_counted(own_bench: Bench, content: bytes | None) -> None:
    image = own_bench.data / "tiny-b" / "images" / "31.png"
    image.write_bytes(image.read_bytes()[:100] if content is None else content)
    code, err = own_bench.fails("supervised")
    assert code == 2 and "31.png" in err and "--skip-bad" in err and "1 of 24" in err
    assert own_bench.files() == {}
    if content is not None:
        return
    code, out, err = own_bench("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--skip-bad", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and "31.png skipped" in err
    facts = own_bench.facts(entry["key"])
    assert {name: dataset["skipped"] for name, dataset in facts["datasets"].items()} == {"tiny-a": 0, "tiny-b": 1}
    assert sum(facts["datasets"]["tiny-b"]["roles"].values()) == 24
    assert ("tiny-b", "31.png") not in own_bench.predictions(entry["key"])
    assert own_bench.run("supervised", "--skip-bad")["status"] == "cached"
    code, err = own_bench.fails("supervised")
    assert code == 2 and "31.png" in err, "a record that skipped images answers only who skips them"


def test_a_labeled_image_that_is_missing_stops_the_run_or_is_counted(own_bench: Bench) -> None:
    folder = own_bench.data / "tiny-b" / "images"
    (folder / "31.png").unlink()
    (folder / "30.png").unlink()
    (folder / "30.png").symlink_to(folder / "no such file.png")
    code, err = own_bench.fails("supervised")
    assert code == 2 and "2 of 24 images have no file" in err and "--skip-bad" in err
    assert own_bench.files() == {}
    code, out, err = own_bench("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--skip-bad", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and "2 of 24 images have no file and are left out (first: 30.png)" in err
    facts = own_bench.facts(entry["key"])
    assert {name: dataset["skipped"] for name, dataset in facts["datasets"].items()} == {"tiny-a": 0, "tiny-b": 2}
    assert sum(facts["datasets"]["tiny-b"]["roles"].values()) == 22
    assert not {"30.png", "31.png"} & {image for name, image in own_bench.predictions(entry["key"]) if name == "tiny-b"}
    assert own_bench.run("supervised", "--skip-bad")["status"] == "cached"


def test_a_dataset_without_any_of_its_images_is_refused(own_bench: Bench) -> None:
    for image in (own_bench.data / "tiny-b" / "images").iterdir():
        image.unlink()
    code, err = own_bench.fails("supervised", "--skip-bad")
    assert code == 2 and "24 of 24 images have no file" in err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("image,score", "image,mos", "score"), ("00.png,", "01.png,", "01.png"), ("00.png,", "99.png,", "99.png"),
     ("00.png,4", "00.png,7", "valid range"), ("00.png,4", "00.png,nan4", "score"), ("00.png,4.", "00.png,,", "cells")],
)
def test_a_broken_label_file_stops_the_run(own_bench: Bench, old: str, new: str, message: str) -> None:
    labels = own_bench.data / "tiny-a" / "labels.csv"
    text = labels.read_text()
    assert old in text
    labels.write_text(text.replace(old, new, 1))
    code, err = own_bench.fails("supervised", pair="tiny-a")
    assert code == 2 and message in err and "labels.csv" in err
    assert own_bench.files() == {}


@pytest.mark.parametrize("file", ["facts.json", "tiny-b/metrics.json", "tiny-a/predictions-*.parquet"])
def test_a_damaged_record_is_set_aside_and_made_again(finished: Bench, file: str) -> None:
    key = finished.key("ssiqa")
    before, artifacts = finished.facts(key), finished.files("artifacts")
    (path,) = finished.record(key).glob(file)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    code, out, err = finished("run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["status"] == "done" and same(entry, before)
    assert "Set aside" in err and f"{key}.corrupt-1" in err
    assert (finished.store / "records" / f"{key}.corrupt-1").is_dir()
    assert finished.files("artifacts") == artifacts, "its stages were not trained again"
    assert finished.run("ssiqa")["status"] == "cached"
    assert finished("store", "verify")[0] == 0


def test_a_record_of_another_schema_stops_the_run_and_stays(finished: Bench) -> None:
    path = finished.record(finished.key("ssiqa")) / "facts.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 1}))
    before = finished.files()
    code, err = finished.fails("ssiqa")
    assert code == 2 and "schema 1; this version reads schema 2" in err and "make the run again" in err
    assert finished.files() == before


def test_metrics_of_an_older_evaluation_are_computed_again_without_training(finished: Bench) -> None:
    key = finished.key("ssiqa")
    before, artifacts = finished.facts(key), finished.files("artifacts")
    shutil.rmtree(finished.store / "predictions")  # those of the record are enough
    for dataset in ("tiny-a", "tiny-b"):
        file = finished.record(key) / dataset / "metrics.json"
        reseal(file, lambda result: result.update(evaluation_version=0))
        reseal(file, lambda result: result["metrics"].update(srcc=0.0, extra={}))
        reseal(file, lambda result: result["stages"]["initial"].update(krcc=0.0))
    entry = finished.run("ssiqa")
    assert entry["status"] == "cached" and same(entry, before)
    after = finished.facts(key)
    assert after["created"] == before["created"] and after["stages"] == before["stages"]
    assert after["results"] == before["results"]
    assert finished.files("artifacts") == artifacts and not (finished.store / "predictions").exists()


def test_what_another_version_evaluated_is_not_evaluated_again_from_forged_rows(finished: Bench) -> None:
    key = finished.key("ssiqa")
    record = read_record(finished.store, key)
    rows = read_predictions(finished.store, key, "tiny-a")
    forged = replace(rows, prediction=tuple(score or 0.0 for score in rows.score))
    older = record.results["tiny-a"].model_copy(update={"evaluation_version": 0})
    write_result(finished.store, "tiny-a", older, forged)
    code, out, err = finished("run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--json")
    assert code == 0 and "not those its metrics were computed from" in err and f"{key}.corrupt-1" in err
    assert json.loads(out)["runs"][0]["metrics"]["tiny-a"]["srcc"] == record.metrics["tiny-a"].srcc


def test_a_damaged_artifact_is_set_aside_and_computed_again(finished: Bench) -> None:
    key = finished.key("supervised")
    predictions, theta = finished.predictions(key), finished.facts(key)["keys"]["model"]
    (path,) = (finished.store / "artifacts" / theta).glob("tensors-*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)
    shutil.rmtree(finished.store / "records")
    code, out, err = finished("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["key"] == key and f"{theta}.corrupt-1" in err
    assert finished.facts(key)["stages"][0]["cached"] is False
    assert finished.predictions(key) == predictions
    assert path.read_bytes()[-1] == content[-1] ^ 4


def test_a_full_disk_stops_the_run_and_leaves_what_was_there(finished: Bench) -> None:
    before = finished.files()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        code, err = finished.fails("supervised", "--set", "epochs=2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1 and "Could not write" in err and "untouched" in err
    assert finished.files() == before
    assert finished.run("supervised", "--set", "epochs=2")["status"] == "done"


def test_a_record_for_which_no_room_is_left(finished: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(finished.store / "records" / finished.key("supervised"))
    before = finished.files()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        code, err = finished.fails("supervised")
    assert code == 1 and "the disk is full" in err
    assert finished.files() == before
