from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssliqa_bench.leaderboard.collect import Row, SettingRows
from ssliqa_bench.leaderboard.compare import (
    Stat,
    change_over_stages,
    find_reference,
    over_seeds,
    paired_gain,
    summarise,
)
from ssliqa_bench.leaderboard.page import CodeText, Mark, phrase
from tests.leaderboard.typed import collect, mixed_parts

WILD = "demo-wild"


def section_of(records: list[dict[str, Any]]) -> SettingRows:
    (board,) = collect(records)
    (section,) = board.sections
    return section


def row_of(section: SettingRows, method: str) -> Row:
    (row,) = [row for row in section.rows if row.method == method]
    return row


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12))
def test_means_and_medians_are_those_of_numpy(values: list[float]) -> None:
    mean, median = summarise(values, "mean"), summarise(values, "median")
    assert mean.value == pytest.approx(np.mean(values), abs=1e-15)
    assert mean.spread == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    low, middle, high = np.percentile(values, [25, 50, 75])
    assert median.value == pytest.approx(middle, abs=1e-15)
    assert median.spread == pytest.approx(high - low, abs=1e-12)
    assert mean.n == median.n == len(values)


@given(st.permutations([0.1, 0.2, 0.7, 1e-17, -0.3, 0.30000000000000004]))
def test_the_order_of_seeds_changes_no_digit(values: list[float]) -> None:
    for aggregate in ("mean", "median"):
        assert summarise(values, aggregate) == summarise(sorted(values), aggregate)


def test_one_run_has_no_spread_and_one_undefined_value_undoes_the_mean() -> None:
    assert summarise([0.5], "mean") == Stat(0.5, None, 1)
    assert summarise([0.5, None, 0.7], "mean") == Stat(None, None, 2)
    assert summarise([], "median") == Stat(None, None, 0)


def test_a_gain_worked_by_hand_on_common_seeds_only(made: ModuleType) -> None:
    ours = {0: 0.80, 1: 0.90, 2: 0.70, 5: 0.99}
    theirs = {0: 0.78, 1: 0.82, 2: 0.73, 7: 0.10}
    section = section_of(
        [made.record("ssiqa", seed, srcc={WILD: value}) for seed, value in ours.items()]
        + [made.record("supervised-long", seed, srcc={WILD: value}) for seed, value in theirs.items()]
    )
    paired = paired_gain(row_of(section, "ssiqa"), section.rows, WILD, "comparator")
    difference = np.array([0.80 - 0.78, 0.90 - 0.82, 0.70 - 0.73])
    assert paired.stat.value == pytest.approx(difference.mean(), abs=1e-15)
    assert paired.stat.spread == pytest.approx(difference.std(ddof=1), abs=1e-15)
    assert paired.stat.n == 3
    assert [note.plain for note in paired.notes] == ["over 3 of 4 runs: no record of supervised-long (seed 5)"]
    assert CodeText("supervised-long") in paired.notes[0].parts
    # Unpaired means would give another number.
    assert np.mean(list(ours.values())) - np.mean(list(theirs.values())) != pytest.approx(difference.mean(), abs=0.1)


def test_a_gain_of_a_median_protocol_is_the_median_of_the_differences(made: ModuleType) -> None:
    ours, theirs = [0.8, 0.9, 0.1], [0.7, 0.3, 0.2]
    median = {"protocol_fields": {"aggregate": "median"}}
    section = section_of(
        [made.record("ssiqa", seed, srcc={WILD: value}, **median) for seed, value in enumerate(ours)]
        + [made.record("supervised-long", seed, srcc={WILD: value}, **median) for seed, value in enumerate(theirs)]
    )
    row = row_of(section, "ssiqa")
    assert over_seeds(row, WILD, "srcc").value == 0.8
    paired = paired_gain(row, section.rows, WILD, "comparator")
    assert paired.stat.value == pytest.approx(np.median(np.subtract(ours, theirs)))


def test_the_comparator_is_the_methods_own_else_that_of_the_nearest_ancestor(made: ModuleType) -> None:
    records = made.demo_suite(seeds=[0])
    section = section_of(records)
    for method in ("ssiqa", "ssiqa-1in100", "oracle"):
        found = find_reference(row_of(section, method), section.rows, "comparator")
        assert found is not None and found.method == "supervised-long", method
    assert find_reference(row_of(section, "supervised"), section.rows, "comparator") is None
    assert find_reference(row_of(section, "supervised-long"), section.rows, "comparator") is None
    oracle = find_reference(row_of(section, "supervised-long"), section.rows, "oracle")
    assert oracle is not None and oracle.method == "oracle"
    own = made.record("long-1in100")
    own["method"].update(like="ssiqa-1in100", chain=["supervised", "long-1in100"])
    section = section_of([*records, own])
    found = find_reference(row_of(section, "ssiqa-1in100"), section.rows, "comparator")
    assert found is not None and found.method == "long-1in100"
    assert find_reference(row_of(section, "ssiqa"), section.rows, "comparator").method == "supervised-long"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 675}, "not comparable: 921 steps against 675 of supervised-long (seed 0)"),
        ({"recipe": "check"}, "no comparator of this method on record for this recipe and its overrides"),
        ({"overrides": {"lr": 0.1}}, "no comparator of this method on record for this recipe and its overrides"),
        ({"seed": 3}, "not comparable: no record of supervised-long (seed 0)"),
        ({"srcc": {"demo-syn": 0.8}}, "not comparable: no record of supervised-long (seed 0)"),
        ({"protocol_fields": {"subset": {"name": "x"}}}, "tested on other images than supervised-long (seed 0)"),
        ({"evaluation_version": 0}, "evaluated by different versions (seed 0)"),
    ],
)
def test_a_gain_is_refused_with_its_reason(made: ModuleType, changes: dict[str, Any], said: str) -> None:
    section = section_of([made.record("ssiqa"), made.record("supervised-long", **{"seed": 0, **changes})])
    paired = paired_gain(row_of(section, "ssiqa"), section.rows, WILD, "comparator")
    assert paired.stat == Stat(None, None, 0)
    assert len(paired.notes) == 1 and said in paired.notes[0].plain


def test_steps_of_a_teacher_are_no_steps_of_the_model(made: ModuleType) -> None:
    taught = made.record("ssiqa", steps=2000, model_steps=921)
    section = section_of([taught, made.record("supervised-long")])
    assert paired_gain(row_of(section, "ssiqa"), section.rows, WILD, "comparator").stat.value == 0.0
    taught["model_steps"] = 920
    section = section_of([taught, made.record("supervised-long")])
    (note,) = paired_gain(row_of(section, "ssiqa"), section.rows, WILD, "comparator").notes
    assert "920 steps against 921 of supervised-long" in note.plain


def test_no_gain_across_budgets(made: ModuleType) -> None:
    (board,) = collect([made.record("ssiqa", budget=0.1), made.record("supervised-long")])
    for section in board.sections:
        for row in section.rows:
            assert paired_gain(row, section.rows, WILD, "comparator").stat.value is None


def test_no_gain_on_files_that_have_changed(made: ModuleType) -> None:
    other = made.record("supervised-long")
    other["datasets"][WILD]["fingerprint"] = "another"
    section = section_of([made.record("ssiqa"), other])
    paired = paired_gain(row_of(section, "ssiqa"), section.rows, WILD, "comparator")
    assert paired.stat.value is None and "have changed" in paired.notes[0].plain
    assert paired_gain(row_of(section, "ssiqa"), section.rows, "demo-syn", "comparator").stat.value == 0.0


def test_an_undefined_srcc_leaves_the_gain_undefined(made: ModuleType) -> None:
    section = section_of([made.record("ssiqa", srcc={WILD: None}), made.record("supervised-long", srcc={WILD: 0.5})])
    paired = paired_gain(row_of(section, "ssiqa"), section.rows, WILD, "comparator")
    assert paired.stat.value is None and "undefined" in paired.notes[0].plain


def test_a_gain_across_library_versions_says_so_but_other_modules_do_not_matter(made: ModuleType) -> None:
    other = made.record("supervised-long")
    other["code"]["files"]["ssiqa_bench/methods/supervised_long.py"] = "own"
    other["key_parts"]["versions"]["scikit-learn"] = "1.9"
    section = section_of([made.record("ssiqa"), other])
    assert paired_gain(row_of(section, "ssiqa"), section.rows, WILD, "comparator").notes == ()
    other["key_parts"]["versions"]["torch"] = "3.0"
    section = section_of([made.record("ssiqa"), other])
    (note,) = paired_gain(row_of(section, "ssiqa"), section.rows, WILD, "comparator").notes
    assert note == phrase(Mark("mixed"), ": run and ", CodeText("supervised-long"), " differ in library versions")


def test_forgetting_is_last_stage_minus_first_on_the_labeled_side(made: ModuleType) -> None:
    firsts, lasts = [0.80, 0.85], [0.75, 0.87]
    section = section_of(
        [
            made.record("ssiqa", seed, srcc={"demo-syn": last, WILD: 0.5}, first=first)
            for seed, (first, last) in enumerate(zip(firsts, lasts, strict=True))
        ]
    )
    stat = change_over_stages(section.rows[0], "demo-syn")
    assert stat.value == pytest.approx(np.mean(np.subtract(lasts, firsts)))
    assert stat.n == 2
    assert change_over_stages(section_of([made.record("ssiqa")]).rows[0], "demo-syn").value is None


@pytest.mark.parametrize(
    ("part", "value", "word"),
    [
        ("code", {"entry": {"tree": "other", "definition": "d"}, "modules": ["m"]}, "code"),
        ("versions", {"torch": "3.0"}, "library versions"),
        ("params", {"lr": 0.002}, "parameters"),
        ("weights", {"vit": "w"}, "pretrained weights"),
    ],
)
def test_what_is_mixed_is_named(made: ModuleType, part: str, value: Any, word: str) -> None:
    runs = [made.record(seed=seed) for seed in range(3)]
    assert mixed_parts(runs) == []
    runs[1]["key_parts"][part] = value
    assert mixed_parts(runs) == [word]


def test_datasets_added_by_a_user_mix_nothing(made: ModuleType) -> None:
    runs = [made.record(seed=0), made.record(seed=1, protocol_fields={"tests": ["live"]})]
    assert mixed_parts(runs) == []
    runs[1]["protocol"]["mapping"] = "linear"
    runs[1]["datasets"][WILD]["fingerprint"] = "another"
    runs[1]["device"] = "cuda"
    assert mixed_parts(runs) == ["device", "protocol", "files of demo-wild"]
