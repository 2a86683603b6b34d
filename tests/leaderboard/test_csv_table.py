from __future__ import annotations

import csv
import io
from types import ModuleType
from typing import Any

import numpy as np

from tests.leaderboard.typed import build_boards


def lines(records: list[dict[str, Any]], *, cost: bool = True) -> list[dict[str, str]]:
    (text,) = build_boards(records, formats=("csv",), cost=cost).values()
    assert "\r" not in text
    return list(csv.DictReader(io.StringIO(text), strict=True))


def test_one_line_per_row_and_dataset_in_full_precision(made: ModuleType) -> None:
    records = made.demo_suite()
    read = lines(records)
    assert len(read) == 6 * 2
    (line,) = [r for r in read if r["method"] == "ssiqa" and r["dataset"] == "demo-syn"]

    def values(method: str) -> np.ndarray:
        runs = sorted((r for r in records if r["cell"]["method"] == method), key=lambda r: r["cell"]["seed"])
        return np.array([run["metrics"]["demo-syn"]["srcc"] for run in runs])

    ours, long = values("ssiqa"), values("supervised-long")
    for name, value in (
        ("srcc", ours.mean()), ("srcc_spread", ours.std(ddof=1)),
        ("gain", (ours - long).mean()), ("gain_spread", (ours - long).std(ddof=1)),
    ):  # fmt: skip
        assert abs(float(line[name]) - value) < 1e-15, name
    assert (line["gain_n"], line["comparator"], line["oracle"]) == ("5", "supervised-long", "oracle")
    assert (line["board"], line["pair"], line["rank"], line["status"]) == ("demo", "demo-syn:demo-wild", "1", "ranked")
    assert (line["seeds"], line["side"], line["test_images"]) == ("0 1 2 3 4", "labeled", "150")
    assert (line["steps"], line["n_parameters"], line["seconds"]) == ("921", "200000", "50.1")


def test_undefined_values_and_absent_cells_are_empty(made: ModuleType) -> None:
    run = made.record(srcc={"demo-wild": None}, budget=0.5)
    run["metrics"]["demo-wild"].update(plcc_mapped=None, mapping="flat")
    (line,) = lines([run])
    assert (line["srcc"], line["plcc_mapped"], line["rank"], line["gain"], line["change"]) == ("",) * 5
    assert (line["status"], line["budget"], line["unlabeled_budget"]) == ("undefined", "0.5", "")
    assert "mapping flat in 1 of 1 run" in line["notes"]


def test_texts_with_separators_survive(made: ModuleType) -> None:
    run = made.record(overrides={"name": 'a "b", c\nd'}, notes=['one, "two"'])
    run["method"]["title"] = 'Title, with "quotes"'
    line = lines([run])[0]
    assert line["title"] == 'Title, with "quotes"'
    assert line["overrides"] == '{"name":"a \\"b\\", c\\nd"}'
    assert 'one, "two" (seed 0)' in line["notes"]


def test_no_cost_leaves_its_columns_out(made: ModuleType) -> None:
    gone = set(lines(made.demo_suite([0]))[0]) - set(lines(made.demo_suite([0]), cost=False)[0])
    assert gone == {"n_parameters", "steps", "images_per_second", "seconds", "peak_memory_bytes", "device"}


def test_marks_stand_in_a_column(made: ModuleType) -> None:
    runs = [made.record(seed=0), made.record(seed=1)]
    runs[1]["key_parts"]["versions"]["torch"] = "3.0"
    assert {line["marks"] for line in lines(runs)} == {"mixed"}
