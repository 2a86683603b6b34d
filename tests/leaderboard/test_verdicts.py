"""Which gains the boards tell from nothing, checked against scipy."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ssliqa_bench.leaderboard.verdicts import verdicts
from tests.leaderboard.test_compare import section_of
from tests.leaderboard.test_markdown import board, table

WILD = "demo-wild"
LONG = [0.70, 0.72, 0.74, 0.69, 0.71]
GAINS = {"ssiqa": [0.051, 0.049, 0.050, 0.052, 0.048], "ssiqa-1in100": [0.03, -0.02, 0.01, -0.04, 0.06]}


def records(made: ModuleType, gains: dict[str, list[float]] = GAINS, **fields: Any) -> list[dict[str, Any]]:
    scores = {"supervised-long": LONG} | {
        name: [a + b for a, b in zip(LONG, own, strict=True)] for name, own in gains.items()
    }
    return [
        made.record(name, seed, srcc={WILD: value}, **fields)
        for name, own in scores.items()
        for seed, value in enumerate(own)
    ]


def test_gains_are_tested_as_scipy_would_with_the_corrected_variance(made: ModuleType) -> None:
    found = {own.row.method: own for own in verdicts(section_of(records(made)), WILD)}
    assert set(found) == set(GAINS)
    p = {}
    for name, gains in GAINS.items():
        own = found[name].comparison
        # The variance of the mean: 1/n, and 0.2/0.8 for the share of test images.
        error = np.std(gains, ddof=1) * np.sqrt(1 / 5 + 0.25)
        assert (own.lo, own.hi) == pytest.approx(stats.t.interval(0.95, 4, np.mean(gains), error))
        p[name] = 2 * stats.t.sf(abs(np.mean(gains)) / error, 4)
        assert found[name].losses == sum(gain < 0 for gain in gains)
    assert p["ssiqa"] < p["ssiqa-1in100"]
    assert found["ssiqa"].comparison.p == pytest.approx(2 * p["ssiqa"])  # Holm: the smaller of two
    assert found["ssiqa-1in100"].comparison.p == pytest.approx(max(p["ssiqa-1in100"], 2 * p["ssiqa"]))
    assert found["ssiqa"].comparison.verdict == "better"
    assert found["ssiqa-1in100"].comparison.verdict == "not distinguished"


def test_the_board_prints_the_verdicts_in_words(made: ModuleType) -> None:
    text = board(records(made))
    first, second = table(text, "### Gain from unlabeled images on demo-wild (unlabeled)")
    assert (first["Method"], first["Comparator"], first["Gain"].split()[0]) == ("ssiqa", "supervised-long", "+0.050")
    assert (first["Losses"], first["Verdict"]) == ("0 of 5", "better")
    assert (second["Method"], second["Losses"]) == ("ssiqa-1in100", "2 of 5")
    assert second["Verdict"] == "not distinguished"
    words = " ".join(text.split())
    said = "2 learners, each against its own labels-only comparator: unlabeled images help `ssiqa`;"
    assert f"On demo-wild with all scores, {said}" in words
    assert words.count("unlabeled images help") == 1 and "tied" not in words


@pytest.mark.parametrize(("gain", "words"), [
    (0.0001, "no learner shows a gain or a loss; equivalent to it: `ssiqa`."),
    (-0.05, "unlabeled images hurt `ssiqa`."),
])  # fmt: skip
def test_losses_and_nothing_are_said_too(made: ModuleType, gain: float, words: str) -> None:
    spread = [-0.001, 0.001, 0.0, 0.002, -0.002]
    text = board(records(made, {"ssiqa": [gain + own for own in spread]}))
    assert words in " ".join(text.split())
    (row,) = table(text, "### Gain from unlabeled images on demo-wild")
    assert row["Verdict"] == ("worse" if gain < 0 else "equivalent")


# A strong labels-only row, which one learner is worse than, and none is better than; the third has a few bad splits.
AGAINST_BEST = {"ssiqa": [0.0, 0.003, -0.002, 0.001, -0.001], "ssiqa-1in100": [-0.051, -0.048, -0.050, -0.052, -0.049],
                "rankup": [-0.1, 0.02, -0.06, 0.04, 0.0]}  # fmt: skip


def against_best(made: ModuleType, gaps: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Learners beside `supervised`, and comparators that all of them beat."""
    scores = {"supervised": LONG, "supervised-long": [value - 0.2 for value in LONG]}
    scores["rankup-supervised"] = [value - 0.3 for value in LONG]
    scores |= {name: [a + b for a, b in zip(LONG, own, strict=True)] for name, own in gaps.items()}
    return [made.record(name, seed, srcc={WILD: value}) for name, own in scores.items()
            for seed, value in enumerate(own)]  # fmt: skip


def test_a_second_sentence_gives_the_verdicts_on_the_best_labels_only_row(made: ModuleType) -> None:
    text = board(against_best(made, AGAINST_BEST))
    found = {}
    for name, gaps in AGAINST_BEST.items():
        error = np.std(gaps, ddof=1) * np.sqrt(1 / 5 + 0.25)
        found[name] = (np.mean(gaps), *stats.t.interval(0.95, 4, np.mean(gaps), error))
    mean, lo, hi = found["ssiqa-1in100"]
    words = " ".join(text.partition("\n## ")[0].split())
    assert "3 learners, each against its own labels-only comparator: unlabeled images help `rankup`, `ssiqa`" in words
    assert (
        "3 learners against the best labels-only row (corrected for 3 comparisons): worse: `ssiqa-1in100` "
        f"{mean:+.3f} ({lo:+.3f} to {hi:+.3f}); none is better." in words
    )
    rows = {row["Method"]: row for row in table(text, "### Gain from unlabeled images on demo-wild (unlabeled)")}
    for name, (mean, lo, hi) in found.items():
        assert rows[name]["Over best labels-only"] == f"{mean:+.3f} [{lo:+.3f}, {hi:+.3f}]", "as in the column"


def test_verdicts_on_the_best_labels_only_row_are_corrected_for_all_rows_of_the_column(made: ModuleType) -> None:
    alone = against_best(made, {"ssiqa": [-0.012, -0.030, -0.006, -0.020, -0.023]})
    assert "1 learner against the best labels-only row: worse: `ssiqa` -0.018" in " ".join(board(alone).split())
    others = {"ssiqa-1in100": AGAINST_BEST["rankup"], "rankup": [0.01, -0.02, 0.03, 0.0, -0.01]}
    several = against_best(made, {"ssiqa": [-0.012, -0.030, -0.006, -0.020, -0.023], **others})
    said = "3 learners against the best labels-only row (corrected for 3 comparisons): none is better or worse."
    assert said in " ".join(board(several).split())
    # Two splits of a row are too few for a verdict on it, and it counts all the same.
    few = [own for own in several if own["cell"]["method"] != "rankup" or own["cell"]["seed"] < 2]
    said = "2 learners against the best labels-only row (corrected for 3 comparisons): none is better or worse."
    assert said in " ".join(board(few).split())


def test_fixed_splits_and_medians_give_no_verdicts_on_the_best_labels_only_row(made: ModuleType) -> None:
    for fields in ({"split": {"rule": "official"}}, {"aggregate": "median"}):
        given = against_best(made, AGAINST_BEST)
        for record in given:
            record["protocol"].update(fields)
        assert "against the best labels-only row" not in board(given)


def test_rows_of_one_method_are_named_with_their_recipes(made: ModuleType) -> None:
    some = records(made, {"ssiqa": GAINS["ssiqa"]})
    for record in records(made, {"ssiqa": [-gain for gain in GAINS["ssiqa"]]}):
        record["cell"]["recipe"] = "tuned"
        some.append(record)
    text = board(some)
    words = " ".join(text.split())
    said = "unlabeled images help `ssiqa` (demo); they hurt `ssiqa` (tuned)."
    assert f"2 rows of 1 learner, each against its own labels-only comparator: {said}" in words
    assert {row["Method"] for row in table(text, "# Leaderboard")} >= {"ssiqa (demo)", "ssiqa (tuned)"}


@pytest.mark.parametrize("split", [{"rule": "official"}, {"rule": "sorted", "by": "group", "train": 0.8}])
def test_seeds_on_one_fixed_split_say_nothing_about_other_images(made: ModuleType, split: dict[str, Any]) -> None:
    text = board(records(made, protocol_fields={"split": split}))
    assert "Verdict" not in text and "### Gain from unlabeled images" in text


def test_a_split_by_counts_has_the_share_of_its_counts(made: ModuleType) -> None:
    split = {"rule": "random", "by": "image", "train": 300, "test": 100}
    (own, _) = verdicts(section_of(records(made, protocol_fields={"split": split})), WILD)
    error = np.std(GAINS["ssiqa"], ddof=1) * np.sqrt(1 / 5 + 1 / 3)
    assert own.comparison.error == pytest.approx(error)


def test_two_splits_are_too_few(made: ModuleType) -> None:
    assert verdicts(section_of([r for r in records(made) if r["cell"]["seed"] < 2]), WILD) == []


def test_runs_that_cannot_be_compared_count_in_the_family(made: ModuleType) -> None:
    some = records(made)
    for record in some:
        if record["cell"]["method"] == "ssiqa-1in100":
            record["steps"] = record["model_steps"] = 5
    (own,) = verdicts(section_of(some), WILD)
    assert (own.row.method, own.declared) == ("ssiqa", 2)
    alone = records(made, {"ssiqa": GAINS["ssiqa"]})
    (single,) = verdicts(section_of(alone), WILD)
    assert own.comparison.p == pytest.approx(2 * single.comparison.p)


def test_one_result_under_two_names_is_one_comparison(made: ModuleType) -> None:
    alone = {own.row.method: own for own in verdicts(section_of(records(made)), WILD)}
    twice = records(made)
    for record in records(made, {"ssiqa": GAINS["ssiqa"]}):
        record["cell"]["recipe"] = "tuned"
        twice.append(record)
    found = verdicts(section_of(twice), WILD)
    assert [(own.row.method, own.row.recipe) for own in found] == [
        ("ssiqa", "demo"), ("ssiqa", "tuned"), ("ssiqa-1in100", "demo")
    ]  # fmt: skip
    assert [own.declared for own in found] == [2, 2, 2]
    assert [own.comparison for own in found] == [alone[own.row.method].comparison for own in found]
    twice[-1]["metrics"][WILD]["srcc"] += 1e-9
    assert {own.declared for own in verdicts(section_of(twice), WILD)} == {3}


def test_the_split_with_the_lowest_gain_is_named(made: ModuleType) -> None:
    (first, second) = table(board(records(made)), "### Gain from unlabeled images on demo-wild (unlabeled)")
    assert (first["Worst split"], second["Worst split"]) == ("+0.048 seed 4", "-0.040 seed 3")


def test_rows_that_learn_from_labels_alone_are_no_learners(made: ModuleType) -> None:
    some = records(made)
    for record in some:
        if record["cell"]["method"] == "ssiqa-1in100":
            record["method"]["family"] = "baseline"
    (own,) = verdicts(section_of(some), WILD)
    assert (own.row.method, own.declared) == ("ssiqa", 1)
