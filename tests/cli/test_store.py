"""`store ls`, `store why` and `store verify`."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ssliqa_bench.files import write_sealed
from ssliqa_bench.store.records import read_facts, read_predictions, write_record

if TYPE_CHECKING:
    from tests.conftest import Bench


def reseal(bench: Bench, key: str, change: Any) -> None:
    """Change the facts of a record and seal them again, as somebody would who wants to deceive."""
    facts = read_facts(bench.record(key))
    change(facts)
    write_sealed(bench.record(key) / "facts.json", facts, kind="record")


def test_ls_lists_every_record_newest_last(finished: Bench) -> None:
    code, out, _ = finished("store", "ls", "--json")
    entries = json.loads(out)["runs"]
    assert code == 0 and [entry["method"] for entry in entries] == ["supervised", "ssiqa"]
    assert [entry["key"] for entry in entries] == [finished.key("supervised"), finished.key("ssiqa")]
    code, out, _ = finished("store", "ls")
    assert code == 0 and finished.key("ssiqa")[:12] in out


def test_ls_of_nothing(bench: Bench) -> None:
    code, out, err = bench("store", "ls")
    assert code == 0 and out == "" and "No records" in err
    assert json.loads(bench("store", "ls", "--json")[1]) == {"runs": []}
    assert not bench.store.exists()


def test_ls_stops_at_a_damaged_record(finished: Bench) -> None:
    facts = finished.record(finished.key("ssiqa")) / "facts.json"
    facts.write_text(facts.read_text().replace("ssiqa", "ssiqb", 1))
    code, out, err = finished("store", "ls")
    assert code == 2 and out == "" and str(facts) in err and "store verify" in err


def test_why_says_that_a_record_still_answers(finished: Bench) -> None:
    key = finished.key("ssiqa")
    code, out, _ = finished("store", "why", key[:6])
    assert code == 0 and key in out and "answered from the store" in out and "ssiqa tiny-a:tiny-b" in out
    code, out, _ = finished("store", "why", key[:6], "--full")
    assert code == 0 and '"ssliqa_bench/methods/ssiqa/ssiqa.py"' in out and '"phase_lr"' in out


def test_why_names_what_changed_in_data_and_registry(own_bench: Bench) -> None:
    key = own_bench.run("supervised")["key"]
    labels = own_bench.data / "tiny-b" / "labels.csv"
    labels.write_text(labels.read_text().replace("00.png,4", "00.png,3"))
    registry = own_bench.data / "registry.yaml"
    content = yaml.safe_load(registry.read_text())
    content["methods"] = {"supervised": {"recipes": {"check": {"lr": 2e-3}}}}
    content["datasets"]["tiny-a"]["scale"] = [0, 5]
    registry.write_text(yaml.safe_dump(content))
    code, out, _ = own_bench("store", "why", key[:8])
    assert code == 0 and "another key; it differs in:" in out
    found = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert found == {"params.lr", "rows.tiny-a.scores", "rows.tiny-b.fingerprint", "rows.tiny-b.scores"}


def test_why_compares_records_of_the_same_cell(own_bench: Bench) -> None:
    first = own_bench.run("supervised")["key"]
    labels = own_bench.data / "tiny-a" / "labels.csv"
    labels.write_text(labels.read_text().replace("00.png,4", "00.png,3"))
    code, out, err = own_bench("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--json")
    assert code == 0 and f"Stored run {first[:12]} differs in: rows.tiny-a.fingerprint" in err
    second = json.loads(out)["runs"][0]["key"]
    assert second != first
    code, out, _ = own_bench("store", "why", second[:8])
    assert code == 0 and f"Record {first[:12]} of the same cell" in out and "rows.tiny-a.fingerprint" in out


def test_why_of_a_record_whose_method_is_gone(finished: Bench) -> None:
    file = finished.registry({"methods": {"own": {"about": {"title": "Own"}, "extends": "supervised"}}})
    key = finished.run("own", "--registry", str(file))["key"]
    code, _, err = finished("store", "why", key[:8])
    assert code == 2 and 'Unknown method "own"' in err


def test_verify_finds_nothing_wrong_with_a_good_store(finished: Bench) -> None:
    before = finished.files()
    code, out, _ = finished("store", "verify")
    assert code == 0 and "2 records checked, 0 problems" in out
    assert json.loads(finished("store", "verify", "--json")[1]) == {
        "records": 2, "problems": [], "not_recomputable_here": []
    }
    assert finished.files() == before


def test_verify_finds_an_edited_metric_that_was_sealed_again(finished: Bench) -> None:
    key = finished.key("ssiqa")

    def better(facts: dict[str, Any]) -> None:
        facts["metrics"]["tiny-b"]["srcc"] += 0.01

    reseal(finished, key, better)
    code, out, _ = finished("store", "verify")
    assert code == 1 and f"{key[:12]}: tiny-b: srcc is stated as" in out and "1 problems" in out


def test_verify_finds_edited_predictions_that_were_sealed_again(finished: Bench) -> None:
    key = finished.key("ssiqa")
    rows = read_predictions(finished.record(key))
    first = rows.prediction[0]
    edited = type(rows)(rows.image, rows.role, rows.dataset, rows.score, (first + 1e-6, *rows.prediction[1:]))
    write_record(finished.store, read_facts(finished.record(key)), edited)
    code, out, _ = finished("store", "verify")
    assert code == 1 and f"{key[:12]}: tiny-a: scores and predictions are not those" in out


def test_verify_finds_a_dataset_whose_predictions_were_taken_out(finished: Bench) -> None:
    key = finished.key("ssiqa")
    write_record(finished.store, read_facts(finished.record(key)), read_predictions(finished.record(key)).of("tiny-a"))
    code, out, _ = finished("store", "verify")
    assert code == 1 and "tiny-b: scores and predictions are not those" in out


def test_verify_says_where_metrics_are_of_another_version(finished: Bench) -> None:
    key = finished.key("ssiqa")
    reseal(finished, key, lambda facts: facts.update(evaluation_version=0))
    code, out, _ = finished("store", "verify")
    assert code == 1 and f"{key[:12]}: evaluated by version 0" in out and "1 problems" in out


@pytest.mark.parametrize("where", ["records/*/predictions-*", "artifacts/*/tensors*", "predictions/*/tensors*"])
def test_verify_finds_a_flipped_byte_anywhere(finished: Bench, where: str) -> None:
    path = sorted(finished.store.glob(where))[0]
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    before = finished.files()
    code, out, _ = finished("store", "verify", "--json")
    (problem,) = json.loads(out)["problems"]
    assert code == 1 and str(path) in problem
    assert finished.files() == before, "looking changes nothing"


def test_verify_goes_on_after_a_record_that_is_no_json(finished: Bench) -> None:
    for method in ("supervised", "ssiqa"):
        (finished.record(finished.key(method)) / "facts.json").write_text("{")
    code, out, _ = finished("store", "verify")
    assert code == 1 and "2 records checked, 2 problems" in out


def test_the_committed_golden_record_verifies(tmp_path: Path, bench: Bench) -> None:
    shutil.copytree(Path(__file__).parents[1] / "store" / "golden", bench.store)
    code, out, _ = bench("store", "verify")
    assert "1 records checked" in out and (code == 0 or "evaluated by version 1" in out)
    assert json.loads(bench("store", "ls", "--json")[1])["runs"][0]["method"] == "supervised"


def test_an_exported_record_holds_no_name_and_no_score_that_may_not_be_passed_on(
    finished: Bench, tmp_path: Path
) -> None:
    out = tmp_path / "passed-on"
    key = finished.key("ssiqa")
    code, _, err = finished("store", "export", str(out), key[:12])
    assert code == 0 and "tiny-a, tiny-b" in err and "stayed behind" in err
    from pyarrow import parquet

    (file,) = (out / "records" / key).glob("*.parquet")
    rows = parquet.read_table(file).to_pylist()
    ours = finished.predictions(key)
    assert {row["image"] for row in rows} == {""} and all(math.isnan(row["score"]) for row in rows)
    assert sorted(row["prediction"] for row in rows) == sorted(ours.values())
    facts = json.loads((out / "records" / key / "facts.json").read_text())
    assert facts["withheld"] == ["tiny-a", "tiny-b"] and facts["metrics"] == finished.facts(key)["metrics"]
    from ssliqa_bench.cli.app import main

    boards = ["leaderboard", "--out", str(tmp_path / "boards"), "--store"]
    assert main([*boards, str(out)]) == 0
    finished.capture.readouterr()
    assert main(["store", "verify", "--store", str(out)]) == 0
    said = finished.capture.readouterr().out
    assert said.count("not recomputable here") == 2 and "1 records checked, 0 problems" in said
    with_data = ["store", "verify", "--registry", str(finished.data / "registry.yaml"), "--store", str(out)]
    assert main(with_data) == 0
    assert finished.capture.readouterr().out == "1 records checked, 0 problems.\n"
    edited = {**facts, "metrics": {**facts["metrics"], "tiny-a": {**facts["metrics"]["tiny-a"], "srcc": 0.123}}}
    del edited["kind"], edited["schema"], edited["checksum"]
    write_sealed(out / "records" / key / "facts.json", edited, kind="record")
    assert main(with_data) == 1
    assert "srcc is stated as 0.123" in finished.capture.readouterr().out


def test_export_refuses_the_store_itself(finished: Bench) -> None:
    code, _, err = finished("store", "export", str(finished.store))
    assert code == 2 and "the store itself" in err
