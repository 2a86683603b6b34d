"""The table of classes: what a constant prediction reaches, errors of each class, and boards that have none of it."""

from __future__ import annotations

import csv
import io
from types import ModuleType
from typing import Any

import pytest

from ssliqa_bench.evaluation.names import OF_CLASSES
from tests.leaderboard.typed import build_boards

# Test images per class, Table 1 of Dang et al.
COUNTS = [23, 139, 515, 347, 23]


def with_classes(made: ModuleType, method: str, seed: int = 0, counts: list[int] = COUNTS, unknown: int = 0,
                 **extra: Any) -> Any:
    errors = None if extra.get("mae_argmax") is None else [0.25, 0.5, None, 0.75, 1.0]
    told = {"levels": 5, "rule": "modal", "scale": [0, 100], "images": counts, "unknown": unknown, "predicted": None,
            "confusion": None, "error": errors}  # fmt: skip
    facts = made.record(method, seed, pair="koka10k", kind="authentic", protocol="koka10k",
                        classes={"koka10k": told})  # fmt: skip
    facts["metrics"]["koka10k"]["extra"] = {"accuracy": None, "mae_argmax": None, "rmse_raw": 12.5, **extra}
    return facts


def words(made: ModuleType, *records: Any) -> tuple[str, str]:
    texts = build_boards(records)
    return texts["koka10k/koka10k.md"], texts["koka10k.csv"]


def test_the_constant_prediction_of_koka10k_stands_below_the_table(made: ModuleType) -> None:
    board, _ = words(made, with_classes(made, "simmatch", accuracy=0.6, mae_argmax=0.5))
    table = " ".join(board.partition("### Classes on koka10k (labeled)")[2].split())
    assert "Test images by class: 0: 23, 1: 139, 2: 515, 3: 347, 4: 23." in table
    assert ("Always predicting the most frequent class (2) gives an accuracy of 0.492 and an MAE of 0.552." in table)
    other = with_classes(made, "simmatch", 1, [23, 139, 500, 362, 23], accuracy=0.6, mae_argmax=0.5)
    both = " ".join(words(made, with_classes(made, "simmatch", accuracy=0.6, mae_argmax=0.5), other)[0].split())
    assert "2: 500 to 515" in both and "an accuracy of 0.478 to 0.492 and an MAE of 0.552 to 0.566." in both


def test_means_over_seeds_dashes_without_classes_and_a_column_per_class(made: ModuleType) -> None:
    records = [with_classes(made, "simmatch", seed, accuracy=0.5 + seed / 10, mae_argmax=0.5) for seed in range(2)]
    board, text = words(made, *records, with_classes(made, "piqe"))
    table = board.partition("### Classes on koka10k (labeled)")[2].partition("### Cost")[0]
    lines = {line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:-1]]
             for line in table.splitlines() if line.startswith("|")}  # fmt: skip
    assert lines["Method"] == ["Accuracy", "MAE", *(f"Class {k}" for k in range(5))]
    assert lines["`simmatch`"][0].startswith("0.550 ± ") and lines["`piqe`"] == ["–"] * 7
    assert lines["`simmatch`"][4] == "–", "no test image is of class 2"
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(text))}
    assert float(rows["simmatch"]["accuracy"]) == pytest.approx(0.55) and rows["piqe"]["accuracy"] == ""
    assert float(rows["simmatch"]["error_class_3"]) == 0.75 and rows["simmatch"]["rmse_raw"] == "12.5"
    assert "RMSE raw" in board.partition("### Further measures")[2].partition("### Classes")[0]


def test_images_without_a_true_class_are_told_where_all_are_so(made: ModuleType) -> None:
    board, _ = words(made, with_classes(made, "simmatch", counts=[0] * 5, unknown=42, accuracy=0.6, mae_argmax=0.5))
    table = " ".join(board.partition("### Classes on koka10k (labeled)")[2].partition("### Cost")[0].split())
    assert "Without a true class, so not counted: 42." in table and "Always predicting" not in table
    some = with_classes(made, "simmatch", 1, unknown=7, accuracy=0.6, mae_argmax=0.5)
    none = with_classes(made, "simmatch", 0, [0] * 5, 1054, accuracy=0.6, mae_argmax=0.5)
    assert "Without a true class, so not counted: 7 to 1054." in " ".join(words(made, some, none)[0].split())


def test_the_legend_tells_of_the_columns_that_there_are(made: ModuleType) -> None:
    told = words(made, with_classes(made, "simmatch", accuracy=0.6, mae_34=0.5))[0]
    legend = " ".join(told.partition("## How to read")[2].split())
    for name in ("Accuracy:", "MAE:", "MAE 3, 4:", "Class 0 and so on:"):
        assert legend.count(name) == 1
    assert not any(name in legend for name in ("Kappa", "MAE 3:", "macro", "expected", "continuous", "MAE score"))
    assert legend.count("Accuracy: share") == 1
    told = words(made, with_classes(made, "simmatch", **dict.fromkeys(OF_CLASSES, 0.5)))[0]
    table = told.partition("### Classes on")[2].partition("### Cost")[0]
    legend = told.partition("## How to read")[2].partition("\n\nAccuracy:")[2]
    (header,) = [line for line in table.splitlines() if line.startswith("| Method")]
    headings = [cell.strip() for cell in header.split("|")[3:-6]]
    legend = " ".join(legend.split())
    assert len(headings) == len(OF_CLASSES) - 1 and all(f" {name}: " in f" {legend}" for name in headings)


def test_boards_of_other_protocols_do_not_change(made: ModuleType) -> None:
    plain = build_boards(made.demo_suite())
    mixed = build_boards([*made.demo_suite(), with_classes(made, "simmatch", mae_argmax=0.5)])
    assert all(mixed[name] == text for name, text in plain.items())
    assert not any("Classes" in text or "error_class" in text for text in plain.values())
