"""`submit`: what a third party hands in is checked, evaluated like a run, and kept apart from runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.store.records import iter_records, read_predictions

if TYPE_CHECKING:
    from tests.conftest import Bench

Hand = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hand(finished: Bench, monkeypatch: pytest.MonkeyPatch) -> Hand:
    """Hand in a file for tiny-a: exit code, standard output, standard error."""
    monkeypatch.setenv("SSLIQA_DATA", str(finished.data))

    def call(file: Path, *words: str, dataset: str = "tiny-a", name: str = "theirs") -> tuple[int, str, str]:
        registry = str(finished.data / "registry.yaml")
        return finished("submit", str(file), "--name", name, "--dataset", dataset, "--registry", registry, *words)

    return call


def rows_of(finished: Bench, dataset: str = "tiny-a") -> list[tuple[str, float]]:
    """Predictions of `supervised`, as somebody else may hand them in."""
    held = read_predictions(finished.store, finished.key("supervised"), dataset)
    return list(zip(held.image, held.prediction, strict=True))


def write(path: Path, rows: list[tuple[str, float]]) -> Path:
    path.write_text("image,prediction\n" + "".join(f"{name},{value!r}\n" for name, value in rows))
    return path


def sign(finished: Bench) -> float:
    """1 where the predictions rise with the scores, else -1: the tiny run need not have learned anything."""
    record = next(own for own in iter_records(finished.store) if own.cell.method == "supervised")
    return 1.0 if (record.metrics["tiny-a"].srcc or 0) >= 0 else -1.0


def test_a_submission_has_the_metrics_of_the_run_that_made_it(finished: Bench, hand: Hand, tmp_path: Path) -> None:
    rows = [(name, -sign(finished) * value) for name, value in rows_of(finished)]
    code, out, err = hand(write(tmp_path / "a.csv", rows[::-1]), "--lower-is-better", "--json")
    assert code == 0, err
    (entry,) = json.loads(out)["runs"]
    records = {record.cell.method: record for record in iter_records(finished.store)}
    theirs, ours = records["theirs"], records["supervised"]
    assert entry["key"] == theirs.key and theirs.submitted and not ours.submitted
    assert theirs.facts.submission is not None and theirs.facts.submission.lower_is_better
    assert theirs.metrics["tiny-a"].srcc == pytest.approx(sign(finished) * ours.metrics["tiny-a"].srcc)
    assert theirs.results["tiny-a"].dataset.fingerprint == ours.results["tiny-a"].dataset.fingerprint
    held = read_predictions(finished.store, theirs.key, "tiny-a")
    assert held.image == read_predictions(finished.store, ours.key, "tiny-a").image  # the order of content
    code, out, err = finished("store", "verify")
    assert code == 0, out + err


def test_a_negative_relation_asks_for_the_direction(finished: Bench, hand: Hand, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [(name, -sign(finished) * value) for name, value in rows_of(finished)])
    code, out, err = hand(file)
    assert code == 2 and out == "" and "SRCC with the scores of tiny-a is -" in err
    assert "add --lower-is-better" in err and "--higher-is-better" in err
    assert len(list(iter_records(finished.store))) == 2
    code, _, err = hand(file, "--higher-is-better")
    assert code == 0 and "in the direction that was stated" in err


def test_the_direction_of_a_method_is_one_for_all_datasets(finished: Bench, hand: Hand, tmp_path: Path) -> None:
    rows = [(name, -sign(finished) * value) for name, value in rows_of(finished)]
    assert hand(write(tmp_path / "a.csv", rows), "--lower-is-better")[0] == 0
    code, _, err = hand(write(tmp_path / "b.csv", rows), "--higher-is-better")
    assert code == 2 and "theirs: its earlier records were submitted --lower-is-better" in err


def test_images_outside_the_test_part_are_counted(finished: Bench, hand: Hand, tmp_path: Path) -> None:
    main(["splits", "export", "standard", "tiny-a", "--registry", str(finished.data / "registry.yaml"), "--out",
          str(tmp_path / "roles.csv")])  # fmt: skip
    other = [line.split(",")[1] for line in (tmp_path / "roles.csv").read_text().splitlines()[1:] if "labeled" in line]
    rows = [(name, sign(finished) * value) for name, value in rows_of(finished)]
    code, _, err = hand(write(tmp_path / "a.csv", [*rows, *((name, 0.0) for name in other)]))
    assert code == 0 and f"seed 0: {len(other)} images of the file are not in the test part" in err


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows[1:], "1 of the"),
        (lambda rows: [*rows, rows[0]], "occurs twice"),
        (lambda rows: [*rows, ("strange.png", 1.0)], "are not in tiny-a (first: strange.png)"),
        (lambda rows: [(rows[0][0], float("nan")), *rows[1:]], 'prediction is "nan"'),
        (lambda rows: [(name, 1.0) for name, _ in rows], "are equal"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(finished: Bench, hand: Hand, tmp_path: Path, spoil, message: str) -> None:
    rows = [(name, sign(finished) * value) for name, value in rows_of(finished)]
    code, out, err = hand(write(tmp_path / "a.csv", spoil(rows)))
    assert code == 2 and out == "" and message in err and "Traceback" not in err
    assert len(list(iter_records(finished.store))) == 2


def test_names_of_the_registry_are_taken(finished: Bench, hand: Hand, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", rows_of(finished))
    taken = "is a method of the registry"
    for name, message in (("ssiqa", taken), ("pyiqa", taken), ("pyiqa:vsi", taken), ("a\x1b[31mb", "printable")):
        code, _, err = hand(file, name=name)
        assert code == 2 and message in err and "\x1b" not in err


def test_a_dry_run_stores_nothing(finished: Bench, hand: Hand, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [(name, sign(finished) * value) for name, value in rows_of(finished)])
    code, out, _ = hand(file, "--dry-run")
    assert code == 0 and "checked" in out and len(list(iter_records(finished.store))) == 2


def test_a_submission_cannot_be_run_again(finished: Bench, hand: Hand, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [(name, sign(finished) * value) for name, value in rows_of(finished)])
    key = json.loads(hand(file, "--json")[1])["runs"][0]["key"]
    for words in (("test", key, "--on", "tiny-b"), ("store", "why", key)):
        code, _, err = finished(*words)
        assert code == 2 and "was submitted as predictions" in err
