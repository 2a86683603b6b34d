"""`run`: computed once, then answered from the store; wrong words stop it with one message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Bench


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["key"] == other["key"] and one["metrics"] == other["metrics"])


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
                                  "extra", "by", "noise"}
        assert metrics["n"] == 8 and -1 <= metrics["srcc"] <= 1 and metrics["extra"] == {}
        assert metrics["by"]["distortion"]["values"].keys() == {"blur", "noise"} and "level" in metrics["by"]


def test_without_json_people_get_a_table(finished: Bench) -> None:
    code, out, err = finished("run", "--method", "supervised", "--pair", "tiny-a:tiny-b")
    key = finished.key("supervised")
    assert code == 0 and key[:12] in out and "cached" in out and "SRCC" in out and "tiny-b" in out
    assert f"answered from the store (record {key[:12]}" in err


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


def test_ratings_that_a_dataset_does_not_have_come_with_the_command_that_tells_of_them(bench: Bench) -> None:
    code, err = bench.fails("simmatch", "--recipe", "check", "--set", "label_rule=mode")
    assert code == 2 and "needs the column distribution, which tiny-a does not have" in err
    assert '"ssliqa-bench data check DATASET" has a line "ratings"' in err


def test_a_record_names_no_machine_and_no_absolute_path(finished: Bench) -> None:
    text = (finished.record(finished.key("ssiqa")) / "facts.json").read_text()
    assert str(finished.data) not in text and str(Path.home()) not in text and '"/' not in text


def test_the_same_run_again_is_answered_without_heavy_packages(finished: Bench) -> None:
    facts = finished.facts(finished.key("ssiqa"))
    before = finished.files()
    code, heavy, out, err = finished.fresh("run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["status"] == "cached" and "answered from the store" in err
    assert same(entry, facts) and entry["seconds"] == facts["seconds"]["train"], "seconds of the training"
    assert not heavy
    assert finished.files() == before


def test_correcting_a_citation_runs_nothing_again(finished: Bench) -> None:
    about = {"citation": "@misc{corrected}", "title": "Another title", "trained_on": "unknown"}
    file = finished.registry({"methods": {"ssiqa": {"about": about}}})
    before = finished.files()
    entry = finished.run("ssiqa", "--registry", str(file))
    assert entry["status"] == "cached" and entry["key"] == finished.key("ssiqa")
    assert finished.files() == before


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


def test_a_dry_run_makes_the_learner(bench: Bench) -> None:
    """What only the class knows is refused too: a metric that there is not, parameters that do not go together."""
    for method, words, pair, said in (
        ("pyiqa:nqm", (), "tiny-a", 'Unknown metric of pyiqa "nqm"'),
        ("ssiqa", (), "tiny-a", "name a pair A:B"),
        ("ssliqa-small", ("labeled_batch=1", "unlabeled_batch=1"), "tiny-a:tiny-b", "needs 3 samples or more"),
    ):
        settings = [word for assignment in words for word in ("--set", assignment)]
        code, err = bench.fails(method, "--dry-run", *settings, pair=pair)
        assert code == 2 and said in err, method
    assert not bench.store.exists()


def test_a_dry_run_says_what_is_stored_and_leaves_damage_alone(finished: Bench) -> None:
    words = ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--dry-run")
    assert json.loads(finished(*words)[1])["runs"][0]["status"] == "stored"
    facts = finished.record(finished.key("supervised")) / "facts.json"
    facts.write_text(facts.read_text().replace("0.", "1.", 1))
    before = finished.files()
    assert json.loads(finished(*words)[1])["runs"][0]["status"] == "to run"
    assert finished.files() == before


def test_other_test_crops_ask_the_same_model_again(finished: Bench) -> None:
    before = finished.facts(finished.key("supervised"))
    artifacts = finished.files("artifacts")
    entry = finished.run("supervised", "--set", "test_crops=5")
    facts = finished.facts(entry["key"])
    assert facts["keys"]["model"] == before["keys"]["model"] and finished.files("artifacts") == artifacts
    assert facts["keys"]["predictions"] != before["keys"]["predictions"]
    assert finished.predictions(entry["key"]) != finished.predictions(before["key"])


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


def test_a_run_in_a_store_that_is_no_folder(bench: Bench) -> None:
    """Computed, answered, tested further, verified and shown from memory."""
    from dataclasses import replace

    from ssliqa_bench.leaderboard.boards import build_boards
    from ssliqa_bench.registry.load import load_registry
    from ssliqa_bench.runner.execute import run
    from ssliqa_bench.runner.verify import verify_store
    from ssliqa_bench.store.records import iter_records

    address = "memory://test-run"
    plan, settings = bench.plan("supervised")
    settings = replace(settings, store=Path(address))
    first = run(plan, settings)
    assert not first.cached and list(iter_records(address)) == [first.record]
    again = run(plan, settings)
    assert again.cached and again.record == first.record
    further, _ = bench.plan("supervised", tests=("tiny-c",))
    added = run(further, settings)
    assert added.cached and set(added.record.results) == {"tiny-a", "tiny-b", "tiny-c"}
    found = verify_store(address, load_registry([bench.data / "registry.yaml"]), settings)
    assert (found.records, found.problems) == (1, [])
    assert any("tiny-c" in text for text in build_boards(iter_records(address)).values())
    assert not Path("memory:").exists()
