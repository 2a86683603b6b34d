"""Controls on boards: what is expected of them, and whether it is found."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ssliqa_bench.leaderboard.compare import find_reference
from tests.leaderboard.test_compare import section_of
from tests.leaderboard.test_markdown import board, table

WILD = "demo-wild"
CHANCE = [0.10, -0.12, 0.05, -0.04, 0.02]
LABELS = [0.70, 0.72, 0.74, 0.69, 0.71]
HEADING = "### Controls on demo-wild (unlabeled)"


def rows(made: ModuleType, **values: list[float]) -> list[dict[str, Any]]:
    """Records by method, whose names are written with underscores."""
    return [
        made.record(name.replace("_", "-"), seed, srcc={WILD: value})
        for name, own in values.items()
        for seed, value in enumerate(own)
    ]


def test_permuted_scores_must_lie_near_zero(made: ModuleType) -> None:
    text = board(rows(made, supervised_shuffled=CHANCE, rankup_shuffled=[0.3 + value for value in CHANCE],
                      rankup_supervised=LABELS))  # fmt: skip
    by_name = {row["Method"]: row for row in table(text, HEADING)}
    assert set(by_name) == {"supervised-shuffled", "rankup-shuffled"}
    mean, error = np.mean(CHANCE), stats.sem(CHANCE)
    assert by_name["supervised-shuffled"]["Found"] == f"{mean:+.3f} ± {error:.3f}"
    assert by_name["supervised-shuffled"]["Outcome"] == "holds"
    assert by_name["rankup-shuffled"]["Outcome"] == "fails"


def test_real_rows_must_lie_above_what_chance_reaches(made: ModuleType) -> None:
    text = board(rows(made, supervised_shuffled=CHANCE, rankup_supervised=LABELS))
    highest = np.quantile(CHANCE, 0.99)
    words = " ".join(text.split())
    assert f"5 runs with permuted scores have a 99th percentile of {highest:.3f}; the mean of every other row" in words
    low = " ".join(board(rows(made, supervised_shuffled=CHANCE, rankup_supervised=[0.05] * 5)).split())
    assert "by their means, not above it are `rankup-supervised`" in low


def test_single_runs_that_chance_reaches_are_counted_by_row(made: ModuleType) -> None:
    """The judgement stays one of means: these rows pass it with some runs no better than chance."""
    highest = float(np.quantile(CHANCE, 0.99))
    given = rows(made, supervised_shuffled=CHANCE, rankup_supervised=LABELS, rankup=[0.9, highest, 0.05, 0.9, 0.9],
                 ssiqa=[0.8, 0.8, 0.01, 0.8, 0.8])  # fmt: skip
    words = " ".join(board(given).split())
    said = "the mean of every other row lies above it. Single runs not above it: 2 of 5 of `rankup`; 1 of 5 of `ssiqa`."
    assert said in words
    several = [*given, *rows(made, piqe=[0.8, 0.8, 0.01, 0.8, 0.8])]
    assert "2 of 5 of `rankup`; 1 of 5 each of `piqe`, `ssiqa`." in " ".join(board(several).split())
    given = rows(made, supervised_shuffled=CHANCE, rankup_supervised=LABELS, rankup=[0.9] * 5)
    assert "lies above it, and so does every single run of them." in " ".join(board(given).split())
    # A run whose SRCC is undefined shows nothing above chance.
    given[-1]["metrics"][WILD]["srcc"] = None
    assert "Single runs not above it: 1 of 5 of `rankup`." in " ".join(board(given).split())
    tuned = rows(made, rankup=[0.8, 0.0, 0.8, 0.8, 0.8])
    for record in tuned:
        record["cell"]["recipe"] = "tuned"
    words = " ".join(board([*given[:-1], *tuned]).split())
    assert "Single runs not above it: 1 of 5 of `rankup` (tuned)." in words


@pytest.mark.parametrize(("gap", "outcome"), [(0.0, "holds"), (0.05, "fails")])
def test_weight_zero_must_equal_the_comparator(made: ModuleType, gap: float, outcome: str) -> None:
    noise = [0.001, -0.002, 0.001, -0.001, 0.001]
    own = [value + gap + more for value, more in zip(LABELS, noise, strict=True)]
    (row,) = table(board(rows(made, rankup_unweighted=own, rankup_supervised=LABELS)), HEADING)
    assert row["Expected"] == "equal to rankup-supervised" and row["Outcome"] == outcome
    error = np.std(np.array(noise) + gap, ddof=1) * np.sqrt(1 / 5 + 0.25)
    lo, hi = stats.t.interval(0.95, 4, np.mean(noise) + gap, error)
    assert row["Found"].endswith(f"[{lo:+.3f}, {hi:+.3f}]")


def test_a_control_with_other_settings_than_its_comparator_is_not_judged(made: ModuleType) -> None:
    records = rows(made, rankup_unweighted=LABELS, rankup_supervised=LABELS)
    for record in records:
        control = record["cell"]["method"] == "rankup-unweighted"
        params = {"lr": 0.009 if control else 0.001, "unlabeled_weight": 0.0 if control else 1.0, "epochs": 20}
        record["key_parts"] = {**record["key_parts"], "params": params}
    (row,) = table(board(records), HEADING)
    assert row["Outcome"] == "not comparable, other settings: lr" and row["Found"] == "–"


def test_few_splits_give_no_verdict(made: ModuleType) -> None:
    text = board(rows(made, supervised_shuffled=CHANCE[:2], rankup_unweighted=LABELS[:2], rankup_supervised=LABELS[:2]))
    assert {row["Outcome"] for row in table(text, HEADING)} == {"needs 3 splits, has 2"}


def test_controls_are_neither_ranked_nor_comparators(made: ModuleType) -> None:
    given = rows(made, supervised_shuffled=CHANCE, rankup_unweighted=[0.9] * 5, rankup=LABELS, rankup_supervised=LABELS)
    section = section_of(given)
    learner = next(row for row in section.rows if row.method == "rankup")
    found = find_reference(learner, section.rows, "comparator")
    assert found is not None and found.method == "rankup-supervised"
    text = board(given)
    places = {row["Method"]: row["#"] for row in table(text, "## demo-syn:demo-wild")}
    assert (places["rankup"], places["rankup-unweighted"], places["supervised-shuffled"]) == ("1", "control", "control")
    assert "control: a check whose outcome is known beforehand" in " ".join(text.split()).replace("*", "")
