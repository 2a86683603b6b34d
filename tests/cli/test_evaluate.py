"""The command `evaluate`: its JSON, its table, its messages."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.evaluation.metrics import evaluate
from ssliqa_bench.evaluation.uncertainty import intervals
from tests.conftest import Bench


def _write(folder: Path, *, sign: float = 1.0, n: int = 60) -> tuple[Path, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    pred = rng.normal(size=n)
    scores = np.round(50 + sign * 30 * np.tanh(pred) + 5 * rng.normal(size=n), 3)
    path = folder / "scores.csv"
    rows = [f"{i}.png,{score!r},{value!r}" for i, (score, value) in enumerate(zip(scores.tolist(), pred.tolist()))]
    path.write_text("\n".join(["image,score,prediction", *rows]) + "\n")
    return path, pred, scores


def test_json_is_the_metrics_object_with_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, pred, scores = _write(tmp_path)
    assert main(["evaluate", str(path), "--json", "--bootstrap", "50"]) == 0
    printed = json.loads(capsys.readouterr().out)
    extra, given = printed.pop("extra"), printed.pop("intervals")
    expected = evaluate(pred, scores)
    assert expected.pop("extra") == {}
    assert printed == expected
    assert given == intervals(pred, scores, resamples=50)
    for name, interval in given.items():
        assert interval["lo"] == extra[f"{name}_lo"] < printed[name] < extra[f"{name}_hi"] == interval["hi"]
    assert main(["evaluate", str(path), "--json", "--bootstrap", "0", "--metric", "mae_mapped",
                 "--mapping", "linear"]) == 0
    assert json.loads(capsys.readouterr().out) == evaluate(pred, scores, mapping="linear", extra=("mae_mapped",))


def test_the_table_names_metrics_status_and_a_negative_relation(tmp_path: Path,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    path, pred, scores = _write(tmp_path)
    assert main(["evaluate", str(path), "--bootstrap", "20"]) == 0
    printed = capsys.readouterr().out
    for name in ("srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped", "95 % interval", "mapping: ok"):
        assert name in printed
    assert f"{evaluate(pred, scores)['srcc']:.4f}" in printed
    assert "negative" not in printed
    path, _, _ = _write(tmp_path, sign=-1.0)
    assert main(["evaluate", str(path), "--bootstrap", "0"]) == 0
    assert "The relation is negative" in capsys.readouterr().out


@pytest.mark.parametrize("n", [2, 3])
def test_a_handful_of_images_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str], n: int) -> None:
    path = tmp_path / "few.csv"
    path.write_text("score,prediction\n" + "".join(f"{k},{k / 10}\n" for k in range(n)))
    assert main(["evaluate", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "1.0000" in printed and "…" not in printed and f"intervals: none of {n} images" in printed
    assert main(["evaluate", str(path), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["intervals"].values()) == {None}


def test_intervals_draw_whole_groups_where_the_file_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, pred, scores = _write(tmp_path)
    lines = path.read_text().splitlines()
    names = [f"photograph {k // 2}" for k in range(60)]
    for header, options in (("group", []), ("content", ["--group", "content"])):
        path.write_text("\n".join([f"{lines[0]},{header}", *map(",".join, zip(lines[1:], names))]) + "\n")
        assert main(["evaluate", str(path), "--json", "--bootstrap", "50", *options]) == 0
        given = json.loads(capsys.readouterr().out)["intervals"]
        assert given == intervals(pred, scores, names, resamples=50)
        assert given["srcc"]["units"] == 30
    assert main(["evaluate", str(path), "--bootstrap", "50", "--group", "contents"]) == 2
    assert "contents" in capsys.readouterr().err
    path.write_text("\n".join([f"{lines[0]},group", *(f"{line}," for line in lines[1:])]) + "\n")
    assert main(["evaluate", str(path)]) == 2
    assert "scores.csv:2: group: the cell is empty" in capsys.readouterr().err


def test_many_rows_are_answered_without_draws_and_announced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, pred, scores = _write(tmp_path, n=40_000)
    assert main(["evaluate", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    assert "scores.csv: reading" in captured.err
    given = json.loads(captured.out)["intervals"]
    assert given == intervals(pred, scores)
    assert {(interval["method"], interval["resamples"]) for interval in given.values()} == {("influence", 0)}


@pytest.mark.parametrize("draws", ["1e12", "1000000000000", "-1"])
def test_draws_without_bound_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], draws: str) -> None:
    path, _, _ = _write(tmp_path)
    assert main(["evaluate", str(path), "--bootstrap", draws]) == 2
    assert "--bootstrap" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "said"), [
    ("score,predicted\n1,2\n", "prediction"),
    ("score,prediction\n1,2\n2,nan\n", "scores.csv:3: prediction"),
    ("score,prediction\n1,2\n", "at least 2"),
    ("", "empty"),
])
def test_bad_files_end_with_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str,
                                        said: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(content)
    assert main(["evaluate", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Error: ") and said in captured.err and "Traceback" not in captured.err


def test_unknown_mapping_and_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _, _ = _write(tmp_path)
    assert main(["evaluate", str(path), "--mapping", "logistc4"]) == 2
    assert "Did you mean 'logistic4'" in capsys.readouterr().err
    assert main(["evaluate", str(path), "--metric", "mae"]) == 2
    assert 'Unknown metric "mae"' in capsys.readouterr().err


def test_stored_predictions_are_evaluated_dataset_by_dataset_and_written_beside_the_scores(
    finished: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = finished.key("supervised")
    code, out, err = finished("evaluate", key[:8], "--json", "--bootstrap", "0", "--write", "all.csv")
    printed = json.loads(out)
    assert code == 0 and "all.csv: 16 predictions" in err
    stored = finished.facts(key)["metrics"]
    with open("all.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [*rows[0]] == ["dataset", "image", "role", "score", "prediction"]
    for name, metrics in printed.items():
        own = [row for row in rows if row["dataset"] == name]
        pred, scores = ([float(row[column]) for row in own] for column in ("prediction", "score"))
        assert metrics == evaluate(np.array(pred), np.array(scores))
        assert metrics["srcc"] == pytest.approx(stored[name]["srcc"])
    folder = finished.record(key)
    for named in (str(folder), f"{folder}/predictions-*.parquet"):  # a record's folder means the record
        assert json.loads(finished("evaluate", named, "--json", "--bootstrap", "0")[1]) == printed
    (file,) = (folder / "tiny-a").glob("predictions-*.parquet")
    assert json.loads(finished("evaluate", str(file), "--json", "--bootstrap", "0")[1]) == printed["tiny-a"]


@pytest.mark.parametrize(("words", "named"), [
    (("ffff",), ("ffff",)), (("RUN", "--group", "photo"), ("photo", "group")), (("RUN", "--write", ""), ("--write",)),
    (("score.csv",), ("score.csv", "scores.csv")), (("scores.csv", "--write", "all.csv"), ("--write", "scores.csv")),
])
def test_a_record_that_is_not_there_is_named(
    finished: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], named: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text("score,prediction\n1,2\n")
    code, out, err = finished("evaluate", *(finished.key("supervised") if word == "RUN" else word for word in words))
    assert code == 2 and out == "" and all(name in err for name in named), err
