"""`run`: computed once, then answered from the store; wrong words and bad input stop it with one message."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.conftest import Bench

HEAVY = {"torch", "scipy", "sklearn", "skimage", "pyiqa", "timm", "torchvision", "cv2", "pandas"}
FRESH = """
import json, sys
from ssliqa_bench.cli.app import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)
"""
LEARNER = '''
from ssliqa_bench.methods.supervised import Supervised, run_initial
from ssliqa_bench.training.stages import Stage

SHIFT = 0.0


def run_own(context):
    """Supervised training, its result moved by a constant."""
    artifact = run_initial(context)
    artifact.tensors["model.head.bias"] += SHIFT
    return artifact


class Own(Supervised):
    def stages(self):
        (initial,) = super().stages()
        return [Stage("initial", run_own, sets=initial.sets, params=initial.params)]
'''


def fresh(bench: Bench, *words: str) -> tuple[int, set[str], str, str]:
    """Exit code, packages loaded, stdout and stderr of a command in a process of its own."""
    where = ("--store", str(bench.store), "--registry", str(bench.data / "registry.yaml"))
    command = [sys.executable, "-c", FRESH, *words, *where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules), done.stdout, done.stderr


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["key"] == other["key"] and one["metrics"] == other["metrics"])


# The document


def test_the_json_document_has_the_documented_shape(finished: Bench) -> None:
    code, out, _ = finished("run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--json")
    document = json.loads(out)
    assert code == 0 and document.keys() == {"runs"}
    (entry,) = document["runs"]
    assert list(entry) == ["key", "method", "recipe", "overrides", "pair", "protocol", "seed", "status", "error",
                           "seconds", "device", "n_parameters", "metrics"]
    assert {name: entry[name] for name in list(entry)[1:9]} == {
        "method": "ssiqa", "recipe": "check", "overrides": {}, "pair": "tiny-a:tiny-b", "protocol": "standard",
        "seed": 0, "status": "cached", "error": None,
    }
    assert len(entry["key"]) == 64 and entry["seconds"] > 0 and entry["n_parameters"] > 100_000
    assert {name: metrics["side"] for name, metrics in entry["metrics"].items()} == {
        "tiny-a": "labeled", "tiny-b": "unlabeled"
    }
    for metrics in entry["metrics"].values():
        assert metrics.keys() == {"side", "n", "srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped", "mapping",
                                  "extra"}
        assert metrics["n"] == 8 and -1 <= metrics["srcc"] <= 1 and metrics["extra"] == {}


def test_without_json_people_get_a_table(finished: Bench) -> None:
    code, out, err = finished("run", "--method", "supervised", "--pair", "tiny-a:tiny-b")
    key = finished.key("supervised")
    assert code == 0 and key[:12] in out and "cached" in out and "SRCC" in out and "tiny-b" in out
    assert f"answered from the store (record {key[:12]}" in err


def test_the_table_shows_names_and_values_as_they_are(bench: Bench) -> None:
    words = (*plain_method(bench, kinds=["[red]", ":b:"]), "--set", 'kinds=[":b:", "[b]"]')
    code, out, err = bench("run", "--method", "contrast", "--pair", "tiny-a:tiny-b", *words)
    assert code == 0, err
    assert "kinds=[':b:', '[b]'] tiny-a:tiny-b" in out


def test_several_seeds_are_several_runs(bench: Bench) -> None:
    code, out, _ = bench("run", "--method", "supervised", "--pair", "tiny-a", "--seeds", "2", "--json")
    entries = json.loads(out)["runs"]
    assert code == 0 and [entry["seed"] for entry in entries] == [0, 1]
    assert entries[0]["key"] != entries[1]["key"]
    assert [list(entry["metrics"]) for entry in entries] == [["tiny-a"], ["tiny-a"]]


def test_one_dataset_on_both_sides_is_one_entry(bench: Bench) -> None:
    entry = bench.run("ssiqa", "--budget", "6", pair="tiny-a:tiny-a")
    assert {name: metrics["side"] for name, metrics in entry["metrics"].items()} == {"tiny-a": "labeled"}
    facts = bench.facts(entry["key"])
    assert facts["datasets"]["tiny-a"]["roles"] == {"labeled": 6, "test": 8, "unlabeled": 10}
    code, err = bench.fails("ssiqa", pair="tiny-a:tiny-a")
    assert code == 2 and "no image is left unlabeled" in err and "budget" in err


def test_a_record_names_no_machine_and_no_absolute_path(finished: Bench) -> None:
    text = (finished.record(finished.key("ssiqa")) / "facts.json").read_text()
    assert str(finished.data) not in text and str(Path.home()) not in text and '"/' not in text


# From the store


def test_the_same_run_again_is_answered_without_heavy_packages(finished: Bench) -> None:
    facts = finished.facts(finished.key("ssiqa"))
    before = finished.files()
    code, modules, out, err = fresh(finished, "run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["status"] == "cached" and "answered from the store" in err
    assert same(entry, facts) and entry["seconds"] == facts["seconds"]["train"], "seconds of the training"
    assert not HEAVY & modules
    assert finished.files() == before


def test_correcting_a_citation_runs_nothing_again(finished: Bench) -> None:
    about = {"citation": "@misc{corrected}", "title": "Another title", "trained_on": "unknown"}
    file = finished.registry({"methods": {"ssiqa": {"about": about}}})
    before = finished.files()
    entry = finished.run("ssiqa", "--registry", str(file))
    assert entry["status"] == "cached" and entry["key"] == finished.key("ssiqa")
    assert finished.files() == before


def test_editing_a_loss_runs_again_and_names_the_file(bench: Bench) -> None:
    file = bench.registry({"methods": {"own": {"about": {"title": "Own"}, "class": "own_learner:Own",
                                               "extends": "supervised"}}})
    source = file.parent / "own_learner.py"
    source.write_text(LEARNER)
    words = ("--registry", str(file))
    first = bench.run("own", *words)
    assert bench.run("own", *words)["status"] == "cached"
    commented = LEARNER.replace('"""Supervised training', '"""Training').replace("\nSHIFT", "\n# moved by\nSHIFT")
    source.write_text(commented)
    run = ("run", "--method", "own", "--pair", "tiny-a:tiny-b", "--json", *words)
    code, modules, out, _ = fresh(bench, *run)
    assert code == 0 and same(json.loads(out)["runs"][0], first), "comments and docstrings are no code"
    source.write_text(LEARNER.replace("SHIFT = 0.0", "SHIFT = 0.5"))
    code, modules, out, _ = fresh(bench, "store", "why", first["key"][:8], *words)
    assert code == 0 and "another key" in out and "code own_learner.py (changed)" in out
    assert out.count("(changed)") == 1 and not HEAVY & modules
    code, _, out, err = fresh(bench, *run)
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["status"] == "done" and entry["key"] != first["key"]
    assert f"Stored run {first['key'][:12]} differs in: code own_learner.py (changed)" in err
    old, new = bench.predictions(first["key"]), bench.predictions(entry["key"])
    assert {round(new[image] - old[image], 5) for image in old} == {0.5}


def test_two_methods_with_one_model_keep_records_of_their_own(finished: Bench) -> None:
    artifacts = finished.files("artifacts")
    entry = finished.run("ssiqa-baseline")
    supervised = finished.facts(finished.key("supervised"))
    assert entry["method"] == "ssiqa-baseline" and entry["status"] == "done" and entry["key"] != supervised["key"]
    assert entry["metrics"] == supervised["metrics"] and entry["seconds"] == supervised["seconds"]["train"]
    assert finished.files("artifacts") == artifacts, "nothing was trained"


def test_another_value_of_the_default_is_a_row_of_its_own(finished: Bench) -> None:
    entry = finished.run("supervised", "--set", "epochs=1")
    assert entry["overrides"] == {"epochs": 1} and entry["status"] == "done"
    assert entry["key"] != finished.key("supervised")


def test_no_cache_computes_everything_again(finished: Bench) -> None:
    before = finished.facts(finished.key("supervised"))
    old = {path: where for path, where in finished.files().items() if before["keys"]["model"] in path}
    entry = finished.run("supervised", "--no-cache")
    assert entry["status"] == "done" and same(entry, before)
    assert old and all(finished.files()[path] != where for path, where in old.items())
    assert finished.facts(entry["key"])["created"] > before["created"]


def test_a_dry_run_touches_nothing(bench: Bench) -> None:
    code, out, _ = bench("run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--dry-run")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["status"] == "to run" and entry["key"] == bench.key("ssiqa")
    assert entry["roles"] == {"tiny-a": {"labeled": 16, "test": 8}, "tiny-b": {"test": 8, "unlabeled": 16}}
    assert not bench.store.exists()


def test_a_dry_run_says_what_is_stored_and_leaves_damage_alone(finished: Bench) -> None:
    words = ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--dry-run")
    assert json.loads(finished(*words)[1])["runs"][0]["status"] == "stored"
    facts = finished.record(finished.key("supervised")) / "facts.json"
    facts.write_text(facts.read_text().replace("0.", "1.", 1))
    before = finished.files()
    assert json.loads(finished(*words)[1])["runs"][0]["status"] == "to run"
    assert finished.files() == before


# Weights that are kept


def test_keep_says_which_weights_stay(bench: Bench) -> None:
    def kept() -> set[str]:
        return {path.name for path in (bench.store / "artifacts").iterdir()}

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


# Further datasets


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
    code, modules, out, _ = fresh(finished, "test", key[:10], "--on", "tiny-c", "--json")
    (again,) = json.loads(out)["runs"]
    assert code == 0 and again["status"] == "cached" and same(again, entry) and not HEAVY & modules
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


@pytest.mark.parametrize(
    ("words", "message"),
    [(("ffffffff", "--on", "tiny-c"), "No record"), (("abc", "--on", "tiny-c"), "No record|too short"),
     (("KEY", "--on", "tiny-x"), "tiny-c")],
)
def test_wrong_words_for_test(finished: Bench, words: tuple[str, ...], message: str) -> None:
    import re

    code, out, err = finished("test", *(finished.key("ssiqa")[:8] if word == "KEY" else word for word in words))
    assert code == 2 and out == "" and re.search(message, err)


# Wrong words


@pytest.mark.parametrize(
    ("method", "words", "pair", "message"),
    [
        ("ssiqua", (), "tiny-a:tiny-b", "ssiqa"),
        ("supervised", (), "tiny-a:tinyb", "tiny-b"),
        ("supervised", (), "tiny-a:", "expected A or A:B"),
        ("supervised", (), "a:b:c", "expected A or A:B"),
        ("supervised", ("--protocol", "standart"), "tiny-a", "standard"),
        ("supervised", ("--recipe", "chek"), "tiny-a", "check"),
        ("supervised", ("--test", "tiny-d"), "tiny-a", "tiny-"),
        ("supervised", ("--set", "epoch=3"), "tiny-a", "epochs"),
        ("supervised", ("--set", "epochs"), "tiny-a", "key=value"),
        ("supervised", ("--set", "epochs=many"), "tiny-a", "epochs"),
        ("supervised", ("--set", "backbone=cnniqua"), "tiny-a", "cnniqa"),
        ("supervised", ("--budget", "17"), "tiny-a", "larger than the training part, which has 16"),
        ("ssiqa", ("--unlabeled-budget", "17"), "tiny-a:tiny-b", "larger than the training part, which has 16"),
        ("supervised", ("--budget", "0"), "tiny-a", "--budget"),
        ("supervised", ("--budget", "1.5"), "tiny-a", "--budget"),
        ("supervised", ("--budget", "few"), "tiny-a", "--budget"),
        ("supervised", ("--keep", "all"), "tiny-a", "phases, final or none"),
        ("supervised", ("--threads", "0"), "tiny-a", "--threads"),
        ("supervised", ("--device", "tpu"), "tiny-a", "auto, cpu or cuda"),
        ("supervised", ("--seed", "1", "--seeds", "2"), "tiny-a", "exclude each other"),
        ("supervised", ("--seed", "-1"), "tiny-a", "seed"),
        ("supervised", ("--sed", "1"), "tiny-a", "--sed"),
        ("ssiqa", (), "tiny-a", "A:B"),
        ("ssiqa", ("--set", "blocks=17"), "tiny-a:tiny-b", "blocks"),
        ("ssiqa", ("--set", "pseudo_labels=guess"), "tiny-a:tiny-b", "krr or model"),
    ],
)
def test_wrong_words_stop_with_one_message(
    bench: Bench, method: str, words: tuple[str, ...], pair: str, message: str
) -> None:
    code, err = bench.fails(method, *words, pair=pair)
    assert code == 2 and message in err
    assert not (bench.store / "records").exists()


def test_cuda_that_is_absent_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code, err = bench.fails("supervised", "--device", "cuda")
    assert code == 1 and "--device cpu" in err and "CUDA" in err
    assert bench.run("piqe", "--device", "auto", "--dry-run", pair="tiny-a")["device"] == "cpu"


def test_debug_shows_the_traceback(bench: Bench) -> None:
    from ssliqa_bench.errors import InputError

    with pytest.raises(InputError, match="ssiqa"):
        bench("run", "--method", "ssiqua", "--pair", "tiny-a", "--debug")


# Bad data


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


def test_a_file_beside_a_learner_that_is_no_python_is_named(bench: Bench) -> None:
    entry = {"about": {"title": "Own"}, "class": "own_learner:Own", "extends": "supervised"}
    file = bench.registry({"methods": {"own": entry}})
    (file.parent / "own_learner.py").write_text(LEARNER)
    (file.parent / "draft.py").write_text("def half(:\n")
    code, err = bench.fails("own", "--registry", str(file))
    assert code == 2 and "draft.py" in err


# Damage in the store


@pytest.mark.parametrize("file", ["facts.json", "predictions-*.parquet"])
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


def test_a_damaged_artifact_is_set_aside_and_computed_again(finished: Bench) -> None:
    key = finished.key("supervised")
    predictions, theta = finished.predictions(key), finished.facts(key)["keys"]["model"]
    path = finished.store / "artifacts" / theta / "tensors.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)
    shutil.rmtree(finished.store / "records")
    code, out, err = finished("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["key"] == key and f"{theta}.corrupt-1" in err
    assert finished.facts(key)["stages"][0]["cached"] is False
    assert finished.predictions(key) == predictions
    assert (finished.store / "artifacts" / theta / "tensors.safetensors").read_bytes()[-1] == content[-1] ^ 4


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
    import os

    shutil.rmtree(finished.store / "records" / finished.key("supervised"))
    before = finished.files()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        code, err = finished.fails("supervised")
    assert code == 1 and "the disk is full" in err
    assert finished.files() == before


# Learners and datasets of one's own

PLAIN = """
import numpy as np
from ssliqa_bench.methods.base import Learner, Needs

class Model:
    n_parameters = 0
    def __init__(self, value):
        self.value = value
    def predict(self, images):
        return np.array([float(images[k].std()) for k in range(len(images))]) * self.value

class Contrast(Learner):
    needs = Needs(labels=False)
    predict_params = ("factor",)
    def stages(self):
        return []
    def predictor(self, artifact, device):
        return Model(self.params["factor"])

class NoLearner:
    pass
"""


def plain_method(bench: Bench, name: str = "Contrast", source: str = PLAIN, **params: Any) -> tuple[str, str]:
    """Write a method that learns nothing beside a registry file; gives the option that names the file."""
    entry = {"about": {"title": "Contrast"}, "class": f"plain_learner:{name}", "params": {"factor": 1.0, **params}}
    file = bench.registry({"methods": {"contrast": entry}})
    (file.parent / "plain_learner.py").write_text(source)
    return "--registry", str(file)


def test_a_method_that_learns_nothing_scores_datasets(own_bench: Bench) -> None:
    words = plain_method(own_bench)
    entry = own_bench.run("contrast", *words, pair="tiny-a")
    facts = own_bench.facts(entry["key"])
    assert entry["seconds"] == 0 and facts["stages"] == [] and not (own_bench.store / "artifacts").exists()
    code, out, err = own_bench("test", entry["key"][:8], "--on", "tiny-c", "--json", *words)
    assert code == 0, err
    assert json.loads(out)["runs"][0]["metrics"].keys() == {"tiny-a", "tiny-c"}
    doubled = own_bench.run("contrast", "--set", "factor=-2", *words, pair="tiny-a")
    old, new = own_bench.predictions(entry["key"]), own_bench.predictions(doubled["key"])
    assert all(new[image] == -2 * old[image] for image in new)
    assert doubled["metrics"]["tiny-a"]["srcc"] == pytest.approx(-entry["metrics"]["tiny-a"]["srcc"])


def test_a_model_whose_predictions_are_not_finite_leaves_no_record(bench: Bench) -> None:
    words = plain_method(bench, source=PLAIN.replace("* self.value", "* np.inf"))
    code, err = bench.fails("contrast", *words)
    assert code == 1 and "8 of 8 predictions are not finite" in err
    assert bench.files() == {}


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("NoLearner", PLAIN, "not a subclass of"),
        ("Contrats", PLAIN, "Contrast"),
        ("Contrast", "import no_such_library_at_all\n" + PLAIN, "no_such_library_at_all"),
        ("Contrast", PLAIN.replace("return []", "return ["), "plain_learner.py"),
    ],
)
def test_a_class_that_cannot_be_used_is_said(bench: Bench, name: str, source: str, message: str) -> None:
    code, err = bench.fails("contrast", *plain_method(bench, name, source))
    assert code == 2 and message in err
    assert bench.files() == {}


def test_a_module_that_is_nowhere_is_said(bench: Bench) -> None:
    file = bench.registry({"methods": {"own": {"about": {"title": "Own"}, "class": "nowhere_learner:Own"}}})
    code, err = bench.fails("own", "--registry", str(file))
    assert code == 2 and '"nowhere_learner"' in err and "beside the registry file" in err


def test_images_without_any_score_serve_as_the_unlabeled_side(own_bench: Bench) -> None:
    labels = own_bench.data / "tiny-b" / "labels.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()]
    labels.write_text("".join(f"{row[0]},{row[2]}\n" for row in rows))
    registry = own_bench.data / "registry.yaml"
    content = yaml.safe_load(registry.read_text())
    photos = {"about": {"title": "Photos"}, "kind": "unlabeled", "folder": "tiny-b", "options": {"unlabeled": True}}
    content["datasets"]["tiny-b"] = photos
    registry.write_text(yaml.safe_dump(content))
    entry = own_bench.run("ssiqa", "--set", "blocks=1")
    assert entry["metrics"].keys() == {"tiny-a"}
    assert own_bench.facts(entry["key"])["datasets"]["tiny-b"]["roles"] == {"unlabeled": 24}
    assert own_bench.run("ssiqa", "--set", "blocks=1")["status"] == "cached"
    code, err = own_bench.fails("supervised", "--recipe", "check", pair="tiny-b:tiny-a")
    assert code == 2 and "tiny-b" in err and "keeps its score" in err


def test_other_test_crops_ask_the_same_model_again(finished: Bench) -> None:
    before = finished.facts(finished.key("supervised"))
    artifacts = finished.files("artifacts")
    entry = finished.run("supervised", "--set", "test_crops=4")
    facts = finished.facts(entry["key"])
    assert facts["keys"]["model"] == before["keys"]["model"] and finished.files("artifacts") == artifacts
    assert facts["keys"]["predictions"] != before["keys"]["predictions"]
    assert finished.predictions(entry["key"]) != finished.predictions(before["key"])


# A protocol of one's own


def test_validation_and_budgets_of_a_protocol_reach_the_record(bench: Bench) -> None:
    protocol = {"about": {"title": "Few"}, "validation": 0.25, "budget": 8, "tests": ["tiny-c"], "aggregate": "median"}
    file = bench.registry({"protocols": {"few": protocol}})
    entry = bench.run("supervised", "--protocol", "few", "--registry", str(file))
    facts = bench.facts(entry["key"])
    roles = facts["datasets"]["tiny-a"]["roles"]
    assert roles["labeled"] + roles["validation"] == 8 and roles["validation"] >= 1
    assert facts["protocol"]["aggregate"] == "median" and entry["protocol"] == "few"
    assert entry["metrics"]["tiny-c"]["side"] == "external"


def test_a_registry_that_is_wrong_is_told_before_anything_runs(bench: Bench) -> None:
    file = bench.store.parent / "wrong.yaml"
    file.write_text(yaml.safe_dump({"methods": {"own": {"about": {"title": "Own"}, "clas": "a:B"}}}))
    code, err = bench.fails("own", "--registry", str(file))
    assert code == 2 and "wrong.yaml:" in err and "clas" in err
