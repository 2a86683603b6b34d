"""`test` and `run --test`: further datasets without training, and the weights that are kept for it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Bench


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["key"] == other["key"] and one["metrics"] == other["metrics"])


def test_keep_says_which_weights_stay(bench: Bench) -> None:
    def kept() -> set[str]:
        return {path.name for path in (bench.store / "artifacts").glob("*")}

    words = ("ssiqa", "--set", "blocks=1")
    first = bench.run(*words, "--keep", "none")
    assert kept() == set()
    entry = bench.run(*words, "--keep", "final", "--no-cache")
    facts = bench.facts(entry["key"])
    assert kept() == {facts["keys"]["model"]} and same(entry, first)
    bench.run(*words, "--no-cache")
    assert kept() == {stage["key"] for stage in facts["stages"]} and len(kept()) == 2


def test_keep_leaves_what_was_there_before(finished: Bench) -> None:
    before = finished.files("artifacts")
    finished.run("ssiqa-baseline", "--keep", "none")
    assert finished.files("artifacts") == before, "Θ_0 belongs to supervised and ssiqa too"


def test_further_datasets_are_added_without_training(finished: Bench) -> None:
    key = finished.key("ssiqa")
    before, artifacts = finished.facts(key), finished.files("artifacts")
    code, out, _ = finished("test", key[:10], "--on", "tiny-c", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["status"] == "done" and entry["key"] == key
    assert entry["metrics"]["tiny-c"]["side"] == "external" and entry["metrics"]["tiny-c"]["n"] == 24
    assert {name: entry["metrics"][name] for name in before["metrics"]} == before["metrics"]
    assert finished.files("artifacts") == artifacts
    assert sum(dataset == "tiny-c" for dataset, _ in finished.predictions(key)) == 24
    files = finished.files()
    code, heavy, out, _ = finished.fresh("test", key[:10], "--on", "tiny-c", "--json")
    (again,) = json.loads(out)["runs"]
    assert code == 0 and again["status"] == "cached" and same(again, entry) and not heavy
    third = finished.run("ssiqa", "--test", "tiny-c")
    assert third["status"] == "cached" and same(third, entry)
    assert finished.files() == files
    assert finished("store", "verify")[0] == 0


def test_run_with_tests_adds_them_to_a_finished_run(finished: Bench) -> None:
    artifacts = finished.files("artifacts")
    entry = finished.run("supervised", "--test", "tiny-c")
    assert entry["status"] == "cached" and entry["key"] == finished.key("supervised"), "tests are no part of the key"
    assert entry["metrics"]["tiny-c"]["side"] == "external"
    assert finished.files("artifacts") == artifacts


def test_tests_asked_at_once_give_what_tests_asked_later_give(finished: Bench, tmp_path: Path) -> None:
    later = finished.run("supervised", "--test", "tiny-c")
    predictions = finished.predictions(later["key"])
    finished.store = tmp_path / "other"
    at_once = finished.run("supervised", "--test", "tiny-c,tiny-b")
    assert at_once["status"] == "done" and same(at_once, later)
    assert finished.predictions(at_once["key"]) == predictions


def test_a_further_dataset_that_changed_is_evaluated_again(own_bench: Bench) -> None:
    first = own_bench.run("supervised", "--test", "tiny-c")
    labels = own_bench.data / "tiny-c" / "labels.csv"
    header, *rows = labels.read_text().splitlines()
    labels.write_text("\n".join([header, *rows[:-4]]) + "\n")
    assert own_bench.run("supervised")["key"] == first["key"]
    entry = own_bench.run("supervised", "--test", "tiny-c")
    assert entry["key"] == first["key"] and entry["metrics"]["tiny-c"]["n"] == 20
    assert sum(dataset == "tiny-c" for dataset, _ in own_bench.predictions(entry["key"])) == 20
    assert own_bench("store", "verify")[0] == 0


def test_weights_that_were_not_kept_cannot_be_tested_further(bench: Bench) -> None:
    entry = bench.run("supervised", "--keep", "none")
    files = bench.files("records")
    code, out, err = bench("test", entry["key"][:8], "--on", "tiny-c")
    assert code == 2 and out == "" and "weights were not kept" in err and "--keep final" in err
    assert bench.files("records") == files


def test_a_further_dataset_with_images_of_the_training_is_refused(own_bench: Bench) -> None:
    entry = own_bench.run("supervised")
    roles = own_bench.plan("supervised")[0].roles["tiny-a"]
    names = own_bench.plan("supervised")[0].tables["tiny-a"].name
    shutil.copy(own_bench.data / "tiny-a" / "images" / names[roles.index("labeled")],
                own_bench.data / "tiny-c" / "images" / "00.png")
    files = own_bench.files("records")
    code, _, err = own_bench("test", entry["key"][:8], "--on", "tiny-c")
    assert code == 2 and "tiny-c/00.png" in err and "two roles" in err
    assert own_bench.files("records") == files


def test_a_record_that_would_be_made_otherwise_today_gets_nothing_added(own_bench: Bench) -> None:
    entry = own_bench.run("supervised")
    labels = own_bench.data / "tiny-a" / "labels.csv"
    labels.write_text(labels.read_text().replace("00.png,4", "00.png,3"))
    files = own_bench.files("records")
    code, out, err = own_bench("test", entry["key"][:8], "--on", "tiny-c")
    assert code == 2 and out == "" and "rows.tiny-a.fingerprint" in err and "store why" in err
    assert own_bench.files("records") == files


@pytest.mark.parametrize(
    ("words", "message"),
    [(("ffffffff", "--on", "tiny-c"), "No record"), (("abc", "--on", "tiny-c"), "No record|too short"),
     (("KEY", "--on", "tiny-x"), "tiny-c")],
)
def test_wrong_words_for_test(finished: Bench, words: tuple[str, ...], message: str) -> None:
    code, out, err = finished("test", *(finished.key("ssiqa")[:8] if word == "KEY" else word for word in words))
    assert code == 2 and out == "" and re.search(message, err)


def written(file: Path) -> dict[str, float]:
    """The scores of a file by name; its lines must be sorted and have six decimals."""
    rows = [line.split(",") for line in file.read_text().splitlines()]
    assert [name for name, _ in rows] == sorted(name for name, _ in rows)
    assert all(re.fullmatch(r"-?\d+\.\d{6}", score) for _, score in rows)
    return {name: float(score) for name, score in rows}


def unscored(bench: Bench) -> Path:
    """A registry file in which the images of tiny-c stand without scores."""
    folder = str(bench.data / "tiny-c")
    entry = {
        "kind": "unlabeled",
        "reader": "ssliqa_bench.datasets.readers.folder:read_folder",
        "folder": folder,
    }
    return bench.registry({"datasets": {"nameless": entry}})


def test_predictions_are_written_in_the_units_of_a(finished: Bench, tmp_path: Path) -> None:
    key, file = finished.key("supervised"), tmp_path / "scored.txt"
    assert finished("test", key[:10], "--on", "tiny-c", "--write", str(file))[0] == 0
    low, high = finished.plan()[0].entries["tiny-a"].scale
    held = {image: value for (dataset, image), value in finished.predictions(key).items() if dataset == "tiny-c"}
    found = written(file)
    assert found.keys() == held.keys() and len(found) == 24
    for name, value in held.items():
        assert found[name] == pytest.approx(low + value * (high - low), abs=1e-6)


def test_predictions_without_scores_are_written_and_nothing_is_evaluated(finished: Bench, tmp_path: Path) -> None:
    key, file, own = finished.key("supervised"), tmp_path / "unscored.txt", str(unscored(finished))
    records = finished.files("records")
    code, out, err = finished("test", key[:10], "--on", "nameless", "--registry", own, "--write", str(file))
    assert code == 0 and out == "" and "predictions, in the units of tiny-a" in err
    assert finished.files("records") == records
    scored = tmp_path / "scored.txt"
    assert finished("test", key[:10], "--on", "tiny-c", "--write", str(scored))[0] == 0
    by_file = {Path(name).name: value for name, value in written(file).items()}
    assert {Path(name).name: value for name, value in written(scored).items()} == by_file


def test_what_a_metric_says_is_written_as_it_is(finished: Bench, tmp_path: Path) -> None:
    pytest.importorskip("pyiqa")
    entry = finished.run("piqe", pair="tiny-a")
    file = tmp_path / "piqe.txt"
    assert finished("test", entry["key"][:10], "--on", "tiny-c", "--write", str(file))[0] == 0
    held = {image: value for (dataset, image), value in finished.predictions(entry["key"]).items()
            if dataset == "tiny-c"}  # fmt: skip
    assert written(file) == pytest.approx(held, abs=1e-6)


def test_images_that_were_learned_from_are_said(finished: Bench, tmp_path: Path) -> None:
    own = str(unscored(finished))
    key = finished.run("ssiqa-baseline", "--registry", own, pair="tiny-a:nameless")["key"]
    file = str(tmp_path / "seen.txt")
    code, _, err = finished("test", key[:10], "--on", "nameless", "--registry", own, "--write", file)
    assert code == 0 and "24 of these images are among the unlabeled ones" in err


@pytest.mark.parametrize(
    ("on", "words", "said"),
    [
        ("nameless", [], "nameless has no scores to evaluate on; --write FILE"),
        ("tiny-b,tiny-c", ["--write", "x.txt"], "--write: takes the predictions for one dataset; --on names 2"),
    ],
)
def test_what_cannot_be_written(finished: Bench, on: str, words: list[str], said: str) -> None:
    own = str(unscored(finished))
    code, _, err = finished("test", finished.key("supervised")[:10], "--on", on, "--registry", own, *words)
    assert code == 2 and said in err
