from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr, t

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.breakdown import breakdown
from ssliqa_bench.evaluation.comparisons import compare_fixed, compare_splits, holm
from ssliqa_bench.leaderboard.versus import NOT_RECOMPUTABLE, contenders, duels, matches
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Record
from tests.leaderboard.typed import typed

N = 60
OFFICIAL = {"split": {"rule": "official", "by": "group", "train": 0.8}}


def rows_of(record: Record, dataset: str) -> Predictions:
    """Predictions that follow from method and seed; the images from the split."""
    split = record.results[dataset].dataset.split_hash
    images = np.random.default_rng(sum(map(ord, split)))
    score = images.normal(size=N)
    noise = np.random.default_rng([sum(map(ord, record.cell.method)), record.cell.seed]).normal(size=N)
    return Predictions(
        tuple(f"{split}-{row}.png" for row in range(N)), tuple(score.tolist()), tuple((score + noise).tolist()),
        group=tuple(f"{split}-{row}" for row in range(N)), distortion=("blur", "noise", "jpeg") * 20,
    )  # fmt: skip


@pytest.fixture
def record(made: ModuleType) -> Callable[..., Record]:
    def make(method: str, seed: int, *, one_split: bool = False, mapped: bool = True, **more: Any) -> Record:
        facts = made.record(method, seed, pair="a", kind="authentic", srcc={"a": 0.0}, **more)
        if one_split:
            facts["datasets"]["a"]["split_hash"] = "the-split"
        found = typed({**facts, "metrics": {"a": made.metrics("labeled", 0.0, n=N)}})
        rows = rows_of(found, "a")
        result = found.results["a"]
        value = float(spearmanr(rows.prediction, rows.score).statistic)
        plcc = float(pearsonr(rows.prediction, rows.score).statistic) if mapped else None
        stored = result.metrics.model_copy(update={"srcc": value, "plcc_mapped": plcc})
        result = result.model_copy(update={"metrics": stored})
        return replace(found, results={"a": result})

    return make


def pair_of(record: Callable[..., Record], seeds: int, **more: Any) -> list[Any]:
    return contenders([record(method, seed, **more) for method in ("ssiqa", "supervised") for seed in range(seeds)])


def test_random_splits_are_compared_by_the_corrected_test(record: Callable[..., Record]) -> None:
    one, other = pair_of(record, 5)
    (duel,) = duels(one, other, rows_of, images=4)
    gaps = [one.runs[seed].results["a"].metrics.srcc - other.runs[seed].results["a"].metrics.srcc for seed in range(5)]
    assert duel.overall == compare_splits(gaps, 1 - 0.8)
    assert duel.how == "splits" and duel.seeds == (0, 1, 2, 3, 4) and duel.reason == ""
    assert duel.first - duel.second == pytest.approx(duel.overall.mean)
    parts: dict[str, list[float]] = {"blur": [], "jpeg": [], "noise": []}
    for seed in range(5):
        found = [
            breakdown(rows.prediction, rows.score, {"d": rows.distortion})["d"]["values"]
            for rows in (rows_of(own.runs[seed], "a") for own in (one, other))
        ]
        for label in parts:
            parts[label].append(found[0][label]["srcc"] - found[1][label]["srcc"])
    assert duel.by == {"distortion": holm({label: compare_splits(own, 1 - 0.8) for label, own in parts.items()})}
    assert len(duel.images) == 4 and abs(duel.images[0].gap) >= abs(duel.images[3].gap)


def test_plcc_is_compared_over_the_same_splits(record: Callable[..., Record]) -> None:
    one, other = pair_of(record, 5)
    (duel,) = duels(one, other, rows_of)
    pearson = np.array([
        [pearsonr(rows.prediction, rows.score).statistic for rows in (rows_of(own.runs[k], "a") for k in range(5))]
        for own in (one, other)
    ])
    assert duel.plcc == pytest.approx(pearson.mean(axis=1))
    gaps, found = pearson[0] - pearson[1], duel.plcc_difference
    # Nadeau and Bengio's variance of a mean over five splits with a fifth of the images in each test part
    reach = t.ppf(0.975, 4) * np.sqrt((1 / 5 + 0.2 / 0.8) * gaps.var(ddof=1))
    assert found is not None and found.n == 5
    assert (found.mean, found.lo, found.hi) == pytest.approx((gaps.mean(), gaps.mean() - reach, gaps.mean() + reach))


def test_plcc_has_no_difference_where_it_is_undefined_or_on_one_test_part(record: Callable[..., Record]) -> None:
    (duel,) = duels(*pair_of(record, 5, mapped=False), rows_of)
    assert duel.plcc == (None, None) and duel.plcc_difference is None and duel.overall is not None
    (fixed,) = duels(*pair_of(record, 3, one_split=True, protocol_fields=OFFICIAL), rows_of)
    assert None not in fixed.plcc and fixed.plcc_difference is None and fixed.overall is not None


def test_one_test_part_is_compared_by_its_images_over_all_seeds(record: Callable[..., Record]) -> None:
    one, other = pair_of(record, 3, one_split=True, protocol_fields=OFFICIAL)
    (duel,) = duels(one, other, rows_of)
    rows = [[rows_of(own.runs[seed], "a") for seed in range(3)] for own in (one, other)]
    expected = compare_fixed(
        [own.prediction for own in rows[0]], [own.prediction for own in rows[1]], rows[0][0].score, rows[0][0].group
    )
    assert duel.overall == expected and duel.how == "images" and expected.seeds == 3
    (single,) = duels(*pair_of(record, 1), rows_of)
    assert single.how == "images" and single.overall is not None and single.overall.n == N


def test_records_without_groups_have_no_interval(record: Callable[..., Record]) -> None:
    """Images of one picture come together or not at all, and such records do not state which these are."""

    def ungrouped(run: Record, dataset: str) -> Predictions:
        return replace(rows_of(run, dataset), group=None)

    (duel,) = duels(*pair_of(record, 1), ungrouped)
    assert duel.overall is None and duel.by == {} and "belong together" in duel.reason
    assert duel.first is not None and duel.second is not None and duel.images


def test_withheld_scores_leave_the_test_over_splits_and_nothing_else(record: Callable[..., Record]) -> None:
    def no_rows(run: Record, dataset: str) -> Predictions:
        raise AssertionError("read")

    (duel,) = duels(*pair_of(record, 4, withheld=("a",)), no_rows)
    assert duel.overall is not None and duel.images == () and duel.by == {}
    (fixed,) = duels(*pair_of(record, 4, withheld=("a",), one_split=True, protocol_fields=OFFICIAL), no_rows)
    assert fixed.overall is None and fixed.reason == NOT_RECOMPUTABLE and fixed.first is not None


def test_two_splits_have_no_interval(record: Callable[..., Record]) -> None:
    (duel,) = duels(*pair_of(record, 2), rows_of)
    assert duel.overall is None and "over 2 splits there is no interval; 3 are needed" in duel.reason


def test_what_was_tested_on_other_images_is_not_compared(record: Callable[..., Record]) -> None:
    given = [record("ssiqa", 0), record("supervised", 0, protocol_fields=OFFICIAL)]
    (duel,) = duels(*contenders(given), rows_of)
    assert duel.overall is None and duel.reason == (
        "not comparable: tested on other images, by another protocol (seed 0)"
    )
    with pytest.raises(InputError, match="share no seed and dataset"):
        duels(*contenders([record("ssiqa", 0), record("supervised", 1)]), rows_of)


def test_contenders_are_named_by_what_tells_them_apart(record: Callable[..., Record]) -> None:
    given = [record("ssiqa", 0, budget=20), record("ssiqa", 0, budget=40), record("ssiqa", 1, budget=20)]
    found = contenders(given)
    assert [own.name for own in found] == ["ssiqa budget 20", "ssiqa budget 40"]
    assert [list(own.runs) for own in found] == [[0, 1], [0]]
    older = record("ssiqa", 0, budget=20, created="2020-01-01T00:00:00Z")
    assert contenders([given[0], older])[0].runs[0] == given[0]


def test_methods_are_matched_within_their_settings(record: Callable[..., Record]) -> None:
    given = [record(method, 0, budget=budget) for method in ("ssiqa", "supervised") for budget in (20, 40)]
    named = [(one.name, other.name) for one, other in matches(contenders(given))[0]]
    assert named == [(f"ssiqa budget {budget}", f"supervised budget {budget}") for budget in (20, 40)]


def test_settings_of_one_method_are_matched_with_its_first(record: Callable[..., Record]) -> None:
    given = [record("ssiqa", 0, budget=budget) for budget in (20, 40, 60)]
    named = [(one.name, other.name) for one, other in matches(contenders(given))[0]]
    assert named == [("ssiqa budget 20", "ssiqa budget 40"), ("ssiqa budget 20", "ssiqa budget 60")]


def test_a_setting_without_the_first_method_is_matched_with_its_first_records(record: Callable[..., Record]) -> None:
    given = [record("ssiqa", 0, budget=20), *(record(method, 0, budget=40) for method in ("supervised", "rankup"))]
    named = [(one.name, other.name) for one, other in matches(contenders(given))[0]]
    assert named == [("ssiqa budget 20", "supervised budget 40"), ("ssiqa budget 20", "rankup budget 40")]


def test_other_numbers_of_labels_are_left_out_and_named(record: Callable[..., Record]) -> None:
    """A gain must not come from more labels."""
    given = [record("ssiqa", 0, budget=93), record("ssiqa", 0, budget=10)]
    given += [record("supervised", 0, budget=budget) for budget in (46, 93)]
    pairs, left = matches(contenders(given))
    assert [(one.name, other.name) for one, other in pairs] == [("ssiqa budget 93", "supervised budget 93")]
    assert [own.name for own in left] == ["ssiqa budget 10", "supervised budget 46"]
