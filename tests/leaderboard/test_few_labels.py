from __future__ import annotations

import math
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.evaluation.comparisons import mean_correlation
from ssliqa_bench.leaderboard.boards import render_pages
from ssliqa_bench.leaderboard.compare import Stat
from ssliqa_bench.leaderboard.few_labels import Extra, LabelCurve, Point, extra_labels, few_labels
from ssliqa_bench.leaderboard.few_labels_page import few_label_pages
from ssliqa_bench.store.record import Record
from tests.leaderboard.typed import typed, write

BUDGETS = {10: 0.4, 40: 0.5, 160: 0.7}
SHIFT = {"supervised": 0.0, "ssiqa": 0.05}


def document(made: ModuleType, method: str, seed: int, budget: int | None, srcc: float, **more: Any) -> dict[str, Any]:
    """Facts of a run on one dataset with a number of labels."""
    facts = made.record(method, seed, pair="a:a", kind="authentic", srcc={"a": srcc}, budget=budget, **more)
    facts["datasets"]["a"]["roles"] = {"labeled": budget or 0, "unlabeled": 300, "test": 150}
    return facts


def documents(made: ModuleType, seeds: int = 4) -> list[dict[str, Any]]:
    learned = [
        document(made, method, seed, budget, srcc + shift + 0.01 * (seed % 2))
        for method, shift in SHIFT.items() for budget, srcc in BUDGETS.items() for seed in range(seeds)
    ]  # fmt: skip
    metrics = [document(made, "piqe", seed, None, 0.3, trained_on=["a"]) for seed in range(seeds)]
    return learned + metrics


@pytest.fixture
def records(made: ModuleType) -> list[Record]:
    return [typed(own) for own in documents(made)]


def curve(*points: tuple[int, float]) -> LabelCurve:
    return LabelCurve("supervised", "Labels only", tuple(Point(n, Stat(value, None, 3)) for n, value in points))


def test_points_are_means_over_splits_with_the_corrected_interval(records: list[Record]) -> None:
    (found,) = few_labels(records)
    assert [own.method for own in found.curves] == ["ssiqa", "supervised"]
    for own in found.curves:
        assert [point.labels for point in own.points] == list(BUDGETS)
        for point in own.points:
            values = [BUDGETS[point.labels] + SHIFT[own.method] + 0.01 * (seed % 2) for seed in range(4)]
            assert point.stat.value == pytest.approx(np.mean(values))
            assert (point.lo, point.hi) == pytest.approx(mean_correlation(values, 1 - 0.8))
    (line,) = found.lines
    assert (line.method, line.mark) == ("piqe", "seen") and line.point.stat.value == pytest.approx(0.3)


def test_a_gain_in_labels_is_read_off_over_the_logarithm() -> None:
    given = curve((10, 0.4), (40, 0.5), (160, 0.7))
    assert extra_labels(given, 10, 0.5) == Extra(30.0)
    # half way from 0.5 to 0.7 is half way from log 40 to log 160
    found = extra_labels(given, 40, 0.6)
    assert found.count == pytest.approx(math.exp((math.log(40) + math.log(160)) / 2) - 40)
    assert extra_labels(given, 40, 0.45).count == pytest.approx(20 - 40)
    assert extra_labels(given, 160, 0.8) == Extra(None, 0, "more")
    assert extra_labels(given, 40, 0.8) == Extra(None, 120, "more")
    assert extra_labels(given, 40, 0.3) == Extra(None, -30, "less")


def test_a_dip_of_the_curve_does_not_count() -> None:
    found = extra_labels(curve((10, 0.4), (20, 0.35), (40, 0.5)), 10, 0.45)
    assert found.count == pytest.approx(math.exp((math.log(20) + math.log(40)) / 2) - 10)


def test_one_number_of_labels_gives_no_gain_in_labels(made: ModuleType) -> None:
    given = [typed(document(made, method, seed, 10, 0.5)) for method in SHIFT for seed in range(3)]
    (found,) = few_labels(given)
    assert found.extra(found.curves[0].points[0]) is None
    text = render_pages(few_label_pages(given), ["md"])["few-labels/index.md"]
    assert "`supervised` is on record at one number of labels; two are needed" in text


def test_gains_have_no_size_in_labels_where_training_on_labels_stays_below_the_linear_model(made: ModuleType) -> None:
    probes = [document(made, "ridge-probe", seed, 10, 0.6, recipe="frozen", steps=0) for seed in range(4)]
    for own in probes:
        own["method"]["family"] = "baseline"
    found = few_labels(typed(own) for own in [*documents(made), *probes])
    (one,) = [own for own in found if own.recipe == "demo"]
    (ssiqa,) = [own for own in one.curves if own.method == "ssiqa"]
    assert [one.extra(point) is None for point in ssiqa.points] == [True, False, False]
    (labels_only,) = [own for own in one.curves if own.method == "supervised"]
    assert one.extra(labels_only.points[0]) is not None
    text = render_pages(few_label_pages([typed(own) for own in [*documents(made), *probes]]), ["md"])
    words = " ".join(text["few-labels/index.md"].split())
    assert "With 10 labels, labels-only training is more than 0.01 below the linear `ridge-probe` on the same" in words


def test_gains_of_trained_stages_have_no_size_in_labels_without_the_linear_model(made: ModuleType) -> None:
    given = documents(made)
    for own in given:
        own["cell"]["recipe"] = "frozen/last-stages" if own["stages"] else own["cell"]["recipe"]
    (one,) = [own for own in few_labels(map(typed, given)) if own.recipe == "frozen/last-stages"]
    (ssiqa,) = [own for own in one.curves if own.method == "ssiqa"]
    assert [one.extra(point) for point in ssiqa.points] == [None, None, None]
    words = " ".join(render_pages(few_label_pages(map(typed, given)), ["md"])["few-labels/index.md"].split())
    assert "labels-only training is not known to reach the linear `ridge-probe`, so gains" in words


def test_unknown_training_data_is_marked_and_other_splits_are_left_out(made: ModuleType, records: list[Record]) -> None:
    unknown = typed(document(made, "niqe", 0, None, 0.35, trained_on="unknown", steps=0, stages=[]))
    other = {"split": {"rule": "random", "by": "group", "train": 0.5}}
    elsewhere = typed(document(made, "piqe", 9, None, 0.9, protocol="other", protocol_fields=other))
    (found,) = few_labels([*records, unknown, elsewhere])
    assert {line.method: line.mark for line in found.lines} == {"piqe": "seen", "niqe": "?"}
    assert next(line for line in found.lines if line.method == "piqe").point.stat.n == 4


def test_a_metric_that_tested_all_images_of_a_dataset_is_no_line(made: ModuleType, records: list[Record]) -> None:
    newer = made.record("piqe", 0, pair="b:b", kind="authentic", srcc={"a": 0.9}, created="2099-01-01T00:00:00Z")
    assert newer["datasets"]["a"]["side"] == "external"
    (found,) = few_labels([*records, typed(newer)])
    (line,) = found.lines
    assert line.point.stat.value == pytest.approx(0.3) and line.point.stat.n == 4


def test_human_scores_come_before_demo_data(made: ModuleType, records: list[Record]) -> None:
    demo = typed(made.record("ssiqa", 0, pair="0:0", kind="demo", srcc={"0": 0.5}, budget=10))
    assert [one.demo for one in few_labels([demo, *records])] == [False, True]
    text = render_pages(few_label_pages([demo]), ["md"])["few-labels/index.md"]
    assert ", demo data" in text and "in labels at" not in text, "no gain has a size in labels"


def test_the_order_of_records_changes_no_byte(records: list[Record]) -> None:
    formats = ("md", "csv", "json", "tex")
    shuffled = list(records)
    random.Random(3).shuffle(shuffled)
    first = render_pages(few_label_pages(records), formats)
    assert first == render_pages(few_label_pages(shuffled), formats) and len(first) == 4
    assert "| `ssiqa`" in first["few-labels/index.md"] and "`piqe` *seen*" in first["few-labels/index.md"]


def test_the_command_writes_and_checks_the_page(made: ModuleType, tmp_path: Path) -> None:
    for own in documents(made):
        write(tmp_path / "runs", own)
    words = ["leaderboard", "--few-labels", "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(words) == 0 and main([*words, "--check"]) == 0
    assert "extra_labels" in (tmp_path / "out" / "few-labels" / "index.csv").read_text()
    assert main([*words, "--published"]) == 2
