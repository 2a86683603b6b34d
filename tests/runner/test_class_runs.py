"""Classes of quality from folders to board: a miniature of KOKA10K, run, tested further, verified, exported, shown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyarrow import parquet

from ssliqa_bench.cli.app import main
from ssliqa_bench.datasets.classes import classes_of
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.names import OF_CLASSES
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.suite import load_suite
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records, read_predictions, read_record, write_record
from tests.datasets.miniatures import Miniature, changed
from tests.datasets.miniatures.koka10k import LAYOUTS
from tests.datasets.reading import read
from tests.resealed import reseal

if TYPE_CHECKING:
    from tests.conftest import Bench

Command = Callable[..., tuple[int, str, str]]
ON_CLASSES = ("--pair", "koka10k:koka10k", "--protocol", "koka10k", "--recipe", "check")
MODE = ("--set", "label_rule=mode")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return LAYOUTS["own labels"](tmp_path_factory.mktemp("koka10k") / "data")


@pytest.fixture(scope="module")
def store(made: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which SimMatch and a classical learner have run. Not to be changed."""
    store = tmp_path_factory.mktemp("classes") / "store"
    where = ["--store", str(store), "--registry", str(made.registry_file()), "--data-root", str(made.root)]
    assert main(["run", "--method", "simmatch", *ON_CLASSES, *MODE, *where]) == 0
    assert main(["run", "--method", "supervised", *ON_CLASSES, *where]) == 0
    return store


@pytest.fixture
def command(made: Miniature, store: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: str, own: Path = store) -> tuple[int, str, str]:
        where = ["--store", str(own)]
        if words[0] in ("run", "sweep", "test"):
            where += ["--registry", str(made.registry_file()), "--data-root", str(made.root)]
        capsys.readouterr()
        code = main([*words, *where])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def record(store: Path, method: str) -> Record:
    (found,) = [own for own in iter_records(store) if own.cell.method == method]
    return found


def test_metrics_of_classes_are_those_of_the_rows_of_the_record(made: Miniature, store: Path, command: Command) -> None:
    code, out, _ = command("run", "--method", "simmatch", *ON_CLASSES, *MODE, "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and entry["status"] == "cached"
    metrics = entry["metrics"]["koka10k"]
    extra = metrics["extra"]
    assert set(extra) == set(OF_CLASSES)
    own_record = record(store, "simmatch")
    (file,) = (store / "records" / own_record.key / "koka10k").glob("*.parquet")
    rows = parquet.read_table(file).to_pydict()
    true, said = np.array(rows["true_class"]), np.array(rows["predicted_class"])
    own = dict(zip(made.names, classes_of(read(made), load_registry().protocol("koka10k").classes), strict=True))  # type: ignore[arg-type]
    assert true.tolist() == [own[name] for name in rows["image"]] and (true >= 0).all()
    assert extra["accuracy"] == np.mean(true == said) and extra["mae_argmax"] == np.mean(np.abs(true - said))
    expected, score = 4 * np.array(rows["prediction"]), np.array(rows["score"])
    assert extra["mae_expect"] == pytest.approx(np.mean(np.abs(expected - true)))
    assert extra["mae_cont"] == pytest.approx(np.mean(np.abs(expected - score / 25)))
    assert extra["mae_mos"] == pytest.approx(np.mean(np.abs(25 * expected - score)))
    assert (expected >= 0).all() and (expected <= 4).all() and (np.abs(expected - said) < 3).all()
    told = own_record.results["koka10k"].classes
    assert told is not None and list(told.images) == np.bincount(true, minlength=5).tolist()
    assert np.array(told.confusion)[true[0], said[0]] > 0 and np.sum(told.confusion) == len(true)
    by_class = [float(np.mean(np.abs(true - said)[true == k])) if (true == k).any() else None for k in range(5)]
    assert list(told.error or ()) == by_class


def test_a_method_that_predicts_no_classes_has_null_there(store: Path, command: Command) -> None:
    code, out, _ = command("run", "--method", "supervised", *ON_CLASSES, "--json")
    (entry,) = json.loads(out)["runs"]
    metrics = entry["metrics"]["koka10k"]
    assert code == 0 and metrics["srcc"] is not None and set(metrics["extra"].values()) == {None}
    rows = read_predictions(store, record(store, "supervised").key, "koka10k")
    assert rows.true_class is not None and None not in rows.true_class and rows.predicted_class is None


def test_the_stage_before_the_student_is_judged_by_classes_too(tmp_path: Path, command: Command) -> None:
    code, _, err = command("run", "--method", "fixmatch", *ON_CLASSES, *MODE, "--set", "stage2=true", own=tmp_path)
    assert code == 0, err
    found = record(tmp_path, "fixmatch")
    assert [stage.name for stage in found.facts.stages] == ["matching", "student"]
    for metrics in found.stage_metrics("koka10k"):
        assert metrics.extra["mae_argmax"] >= 0
    assert len(found.stage_metrics("koka10k")) == 2
    assert found.facts.protocol.classes == {"levels": 5, "rule": "modal"}
    assert found.key_part("classes") == {"levels": 5, "rule": "modal"}
    code, out, err = command("store", "verify", own=tmp_path)
    assert code == 0, out + err


def test_verify_computes_class_metrics_again(store: Path, tmp_path: Path, command: Command) -> None:
    code, _, err = command("store", "verify")
    assert code == 0, err
    found = record(store, "simmatch")
    rows = read_predictions(store, found.key, "koka10k")

    def problems(change: Callable[[dict[str, Any]], None], own: Any = rows) -> str:
        write_record(tmp_path, found, {"koka10k": own})
        reseal(tmp_path / "records" / found.key / "koka10k" / "metrics.json", change)
        code, out, err = command("store", "verify", own=tmp_path)
        assert code == 1
        return out + err

    def metric(changed: dict[str, Any]) -> None:
        changed["metrics"]["extra"]["mae_argmax"] += 0.1

    def counts(changed: dict[str, Any]) -> None:
        changed["classes"]["images"][0] += 1

    assert "extra is stated as" in problems(metric)
    assert "classes.images is stated as" in problems(counts)
    edited = replace(rows, predicted_class=tuple((value or 0) ^ 1 for value in rows.predicted_class or ()))
    assert "not those its metrics were computed from" in problems(lambda changed: None, edited)


def test_true_classes_are_not_passed_on_and_verified_where_the_dataset_is(
    made: Miniature, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "export", str(tmp_path / "out"), "--store", str(store)]) == 0
    rows = read_predictions(tmp_path / "out", record(tmp_path / "out", "simmatch").key, "koka10k")
    assert rows.true_class is None and rows.predicted_class is not None and set(rows.image) == {""}
    where = ["--registry", str(made.registry_file()), "--data-root", str(made.root)]
    capsys.readouterr()
    assert main(["store", "verify", "--store", str(tmp_path / "out"), *where]) == 0
    assert "not recomputable" not in capsys.readouterr().out


def test_the_board_has_a_table_of_classes(store: Path, tmp_path: Path, command: Command) -> None:
    code, _, err = command("leaderboard", "--out", str(tmp_path))
    assert code == 0, err
    board = (tmp_path / "koka10k" / "koka10k--koka10k.md").read_text()
    table = board.partition("### Classes on koka10k (labeled)")[2].partition("### Cost")[0]
    result = record(store, "simmatch").results["koka10k"]
    extra, told = result.metrics.extra, result.classes
    assert told is not None and told.error is not None
    (header,) = [line for line in table.splitlines() if line.startswith("| Method")]
    (line,) = [line for line in table.splitlines() if line.startswith("| `simmatch`")]
    cells = dict(zip(map(str.strip, header.split("|")), (cell.strip(" *") for cell in line.split("|")), strict=True))
    assert cells["Accuracy"] == f"{extra['accuracy']:.3f}" and cells["MAE"] == f"{extra['mae_argmax']:.3f}"
    for k in range(5):
        assert cells[f"Class {k}"] == ("–" if told.error[k] is None else f"{told.error[k]:.3f}")
    words = " ".join(table.split())
    top = int(np.argmax(told.images))
    gap = np.dot(told.images, np.abs(np.arange(5) - top)) / sum(told.images)
    assert f"Always predicting the most frequent class ({top}) gives" in words and f"an MAE of {gap:.3f}" in words
    lines = list(csv.DictReader(io.StringIO((tmp_path / "koka10k.csv").read_text())))
    values = {line["method"]: line for line in lines}
    assert float(values["simmatch"]["mae_argmax"]) == extra["mae_argmax"]
    assert values["supervised"]["mae_argmax"] == "" and "error_class_4" in values["simmatch"]


def test_matching_learners_learn_the_most_frequent_rating_there(made: Miniature) -> None:
    registry = load_registry([made.registry_file()])
    names = registry.dataset("koka10k").recipe
    for method in ("supervised-levels", "oracle-levels", "simmatch", "adamatch", "comatch", "freematch", "crmatch",
                   "fixmatch"):  # fmt: skip
        found = registry.resolve_method(method, None, {}, names)
        paper = registry.resolve_method(method, "paper")
        own = {"label_rule": "mode", "batch_size": 8, "unlabeled_ratio": 1}
        assert found.recipe == "koka10k" and found.params == {**paper.params, **own}
    for method in ("ssiqa", "ssliqa", "ridge-probe"):
        assert registry.resolve_method(method, None, {}, names).recipe == "paper"
    assert registry.resolve_method("piqe", None, {}, names).recipe == "default"


def test_the_suite_holds_both_stages_of_every_row() -> None:
    runs = load_suite("koka10k", load_registry()).runs
    assert len(runs) == 2 * 7 * 5 and {(str(run.pair), run.protocol) for run in runs} == {
        ("koka10k:koka10k", "koka10k")
    }
    assert {run.overrides for run in runs} == {(), (("stage2", True),)}


def test_the_dry_run_of_the_suite_needs_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data-root", str(tmp_path), "--store", str(tmp_path / "store"), "--seeds", "1"]
    assert main(["sweep", "koka10k", "--dry-run", *words]) == 0
    out = capsys.readouterr().out
    assert "14 blocked" in out and "koniq" in out
    images = 10_073 + 140_000  # of 512 × 384 pixels
    assert main(["sweep", "koka10k", "--dry-run", "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out)["estimate"]["decoded_images_bytes"] == images * 512 * 384 * 3


def test_photographs_that_are_not_there_are_said_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = LAYOUTS["without KADIS"](tmp_path / "data")
    made = changed(plain, counts={**plain.counts, "optional_images": 12})
    where = ["--store", str(tmp_path / "store"), "--registry", str(made.registry_file()), "--data-root", str(made.root)]
    assert main(["run", "--method", "simmatch", *ON_CLASSES, *MODE, *where]) == 2
    said = capsys.readouterr().err
    expected = 'the optional part of koka10k, 12 images without score, is not there. "ssliqa-bench show koka10k" names'
    assert expected in said and "budget" not in said
    assert main(["show", "koka10k"]) == 0 and "kadis for the photographs" in capsys.readouterr().out
    suite = tmp_path / "suite.yaml"
    block = {"pairs": ["koka10k:koka10k"], "protocol": "koka10k", "seeds": 1, "recipe": "check"}
    suite.write_text(json.dumps({"title": "T", "runs": [{**block, "methods": ["simmatch", "supervised-levels"]}]}))
    assert main(["sweep", str(suite), "--dry-run", "--json", *where]) == 0
    status = {run["method"]: (run["status"], run["error"]) for run in json.loads(capsys.readouterr().out)["runs"]}
    assert status["supervised-levels"] == ("to run", None)
    assert status["simmatch"][0] == "blocked" and expected in status["simmatch"][1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metrics": ["srcc", "acuracy"]}, "Did you mean 'accuracy'"),
        ({"metrics": ["accuracy"]}, "but defines no classes"),
    ],
)
def test_a_protocol_that_asks_for_what_there_is_not(
    tiny_pair: Path, tmp_path: Path, fields: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = tmp_path / "mine.yaml"
    registry.write_text(json.dumps({"protocols": {"own": {"about": {"title": "Own"}, **fields}}}))
    files = ["--registry", str(tiny_pair / "registry.yaml"), "--registry", str(registry)]
    words = ["--method", "supervised", "--pair", "tiny-a", "--protocol", "own", "--store", str(tmp_path / "store")]
    assert main(["run", *words, *files]) == 2
    assert said in capsys.readouterr().err


def test_other_metrics_and_other_classes_are_asked_for_alike(
    tiny_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dataset without ratings falls into equal parts of its scale; four classes are not the five of the model."""
    own = {"about": {"title": "Own"}, "metrics": ["mae_mapped", "rmse_raw", "mae_3", "mae_argmax"]}
    levels = {f"own-{n}": {**own, "classes": {"levels": n, "rule": "equal_width"}} for n in (4, 5)}
    modal = {"own-modal": {**own, "classes": {"rule": "modal"}}}
    registry = tmp_path / "mine.yaml"
    registry.write_text(json.dumps({"protocols": {**levels, **modal}}))
    store = tmp_path / "store"
    files = ["--registry", str(tiny_pair / "registry.yaml"), "--registry", str(registry), "--store", str(store)]

    def run(protocol: str) -> tuple[dict[str, Any], Record]:
        capsys.readouterr()
        words = ["--method", "supervised-levels", "--pair", "tiny-a", "--protocol", protocol, "--json"]
        assert main(["run", *words, "--set", "batch_size=8", *files]) == 0
        (entry,) = json.loads(capsys.readouterr().out)["runs"]
        return entry["metrics"]["tiny-a"]["extra"], read_record(store, entry["key"])

    extra, found = run("own-5")
    assert extra["rmse_raw"] > 0 and extra["mae_argmax"] is not None
    classes = found.results["tiny-a"].classes
    assert classes is not None and classes.scale == (1, 5) and sum(classes.images) == 8
    rows = read_predictions(store, found.key, "tiny-a")  # predictions on [0, 1], scores from 1 to 5
    errors = [1 + 4 * value - score for value, score in zip(rows.prediction, rows.score, strict=True)]
    assert extra["rmse_raw"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert found.results["tiny-a"].dataset.scale == (1, 5)
    extra, found = run("own-4")
    assert extra["rmse_raw"] > 0 and extra["mae_argmax"] is None
    assert any("predicts 5 classes, the protocol defines 4" in note for note in found.notes)
    extra, found = run("own-modal")
    assert extra["mae_argmax"] is None and found.results["tiny-a"].classes.unknown == 8  # type: ignore[union-attr]
    assert main(["leaderboard", "--store", str(store), "--out", str(tmp_path / "boards")]) == 0
    assert "RMSE raw" in (tmp_path / "boards" / "demo" / "own-5" / "tiny-a.md").read_text()
    with pytest.raises(InputError):
        load_registry([registry]).protocol("own-6")


@pytest.mark.parametrize(
    ("method", "pair", "target", "marked"),
    [
        ("adamatch", "tiny-a:tiny-b", None, True),
        ("adamatch", "tiny-a:tiny-a", None, False),
        ("simmatch", "tiny-a:tiny-b", "labeled", True),
        ("comatch", "tiny-a:tiny-b", "uniform", False),
        ("fixmatch", "tiny-a:tiny-b", None, False),
    ],
)
def test_alignment_with_labels_of_another_dataset_is_marked(
    bench: Bench, method: str, pair: str, target: str | None, marked: bool
) -> None:
    chosen = () if target is None else ("--set", f"align_target={target}")
    entry = bench.run(method, "--recipe", "check", "--set", "batch_size=4", "--budget", "8", *chosen, pair=pair)
    assert sum("assumption not met" in note for note in bench.facts(entry["key"])["notes"]) == marked
