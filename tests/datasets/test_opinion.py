"""Scores from individual ratings, against plain loops and against what SUREAL gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ssliqa_bench.datasets.opinion import Opinions, constant_raters, rating_spread, recover
from ssliqa_bench.errors import DataError, InputError

Triples = list[tuple[int, int, float]]


def opinions(triples: Sequence[tuple[int, int, float]]) -> Opinions:
    image, rater, value = zip(*triples)
    return Opinions(np.array(image), np.array(rater), np.array(value, dtype=np.float64))


def study(seed: int, images: int, raters: int, share: float = 1.0, levels: int = 5) -> Triples:
    """Ratings 1 to `levels` of raters with biases and inconsistencies of their own."""
    rng = np.random.default_rng(seed)
    quality = rng.uniform(1, levels, images)
    bias, spread = rng.normal(0, 0.5, raters), rng.uniform(0.2, 1.2, raters)
    kept = rng.random((images, raters)) < share
    kept[:, 0] = kept[0, :] = True  # connected
    noisy = quality[:, None] + bias + spread * rng.normal(size=(images, raters))
    rated = np.clip(np.round(noisy), 1, levels)
    return [(i, r, float(rated[i, r])) for i in range(images) for r in range(raters) if kept[i, r]]


def by_loops(triples: Triples, steps: int = 100) -> tuple[list[float], list[float], list[float]]:
    """Alternating projection without numpy's help; raters with ten ratings or more."""
    images, raters = sorted({i for i, _, _ in triples}), sorted({r for _, r, _ in triples})
    of_image = {i: [(r, v) for j, r, v in triples if j == i] for i in images}
    of_rater = {r: [(i, v) for i, q, v in triples if q == r] for r in raters}
    score = {i: sum(v for _, v in own) / len(own) for i, own in of_image.items()}
    bias = {r: sum(v - score[i] for i, v in own) / len(own) for r, own in of_rater.items()}
    spread: dict[int, float] = {}
    for _ in range(steps):
        left = {r: [v - score[i] - bias[r] for i, v in own] for r, own in of_rater.items()}
        spread = {r: math.sqrt(sum((x - sum(own) / len(own)) ** 2 for x in own) / len(own)) for r, own in left.items()}
        weight = {r: spread[r] ** -2 for r in raters}
        score = {
            i: sum(weight[r] * (v - bias[r]) for r, v in own) / sum(weight[r] for r, _ in own)
            for i, own in of_image.items()
        }
        bias = {r: sum(v - score[i] for i, v in own) / len(own) for r, own in of_rater.items()}
    shift = sum(bias.values()) / len(bias)
    return [score[i] + shift for i in images], [bias[r] - shift for r in raters], [spread[r] for r in raters]


@pytest.mark.parametrize("share", [1.0, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_the_model_is_that_of_plain_loops(seed: int, share: float) -> None:
    triples = study(seed, 60, 20, share)
    found = recover(opinions(triples), "bias-and-inconsistency")
    score, bias, spread = by_loops(triples)
    assert found.bias is not None and found.inconsistency is not None
    np.testing.assert_allclose(found.score, score, atol=1e-8)
    np.testing.assert_allclose(found.bias, bias, atol=1e-8)
    np.testing.assert_allclose(found.inconsistency, spread, atol=1e-6)
    assert found.bias.sum() == pytest.approx(0, abs=1e-10)


# SUREAL 0.9.0, class MaximumLikelihoodEstimationModelContentObliviousAlternativeProjection, on study(12, 60, 20, 0.8).
SUREAL = {
    "score": [1.93794289, 4.72621527, 1.61996078, 1.69133985, 1.95077995],
    "bias": [0.11538331, 0.28726096, 0.34620808, -0.3892546, -0.61886925],
    "inconsistency": [0.3558245, 0.65020934, 0.48041688, 0.88910283, 0.2797012],
}


def test_the_model_gives_what_sureal_gives() -> None:
    found = recover(opinions(study(12, 60, 20, 0.8)), "bias-and-inconsistency")
    for name, expected in SUREAL.items():
        np.testing.assert_allclose(getattr(found, name)[:5], expected, atol=1e-6)


def test_scores_do_not_follow_one_rater_alone() -> None:
    """On these ratings plain alternating projection ends with one rater of inconsistency 0."""
    triples = study(11, 30, 6)
    with pytest.raises(ZeroDivisionError):
        by_loops(triples)
    found = recover(opinions(triples), "bias-and-inconsistency")
    assert found.inconsistency is not None and found.inconsistency.min() > 0.1


def test_the_model_recovers_quality_better_than_the_mean_where_raters_rate_few_images() -> None:
    better = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        quality = rng.uniform(1, 5, 60)
        bias, spread = rng.normal(0, 1, 30), rng.uniform(0.1, 1.5, 30)
        triples = [
            (i, int(r), quality[i] + bias[r] + spread[r] * rng.normal())
            for i in range(60)
            for r in rng.choice(30, 8, replace=False)
        ]
        made = opinions(triples)
        errors = [np.std(recover(made, model).score - quality) for model in ("bias-and-inconsistency", "mean")]
        better += errors[0] < errors[1]
    assert better >= 18


def test_the_mean_is_the_mean() -> None:
    triples = study(2, 12, 5, 0.6)
    expected = [np.mean([v for j, _, v in triples if j == i]) for i in range(12)]
    np.testing.assert_allclose(recover(opinions(triples), "mean").score, expected, atol=1e-12)
    spread = [np.std([v for j, _, v in triples if j == i], ddof=1) for i in range(12)]
    np.testing.assert_allclose(rating_spread(opinions(triples)), spread, atol=1e-12)
    once = rating_spread(opinions([(0, 0, 3.0), (1, 0, 2.0), (1, 1, 4.0)]))
    assert math.isnan(once[0]) and once[1] == pytest.approx(math.sqrt(2))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(0.5, 3), st.sampled_from(["mean", "bias-and-inconsistency"]))
def test_scores_follow_shifts_scales_and_names(seed: int, shift: float, scale: float, model: str) -> None:
    triples = study(seed, 15, 12, 0.9)
    base = recover(opinions(triples), model).score
    moved = recover(opinions([(i, r, scale * v + shift) for i, r, v in triples]), model).score
    np.testing.assert_allclose(moved, scale * base + shift, atol=1e-6)
    order = np.random.default_rng(seed).permutation(len(triples))
    np.testing.assert_allclose(recover(opinions([triples[k] for k in order]), model).score, base, atol=1e-7)


def test_screening_rejects_a_rater_who_strays_to_both_sides() -> None:
    triples = study(4, 60, 20)
    rng = np.random.default_rng(5)
    stray = [(i, r, v if r else float(rng.choice([1, 5]))) for i, r, v in triples]
    found = recover(opinions(stray), "bt500")
    kept = {r for k, (_, r, _) in enumerate(stray) if k in set(found.kept.tolist())}
    assert kept == set(by_the_standard(stray)) and 0 not in kept
    expected = [np.mean([v for j, r, v in stray if j == i and r in kept]) for i in range(60)]
    np.testing.assert_allclose(found.score, expected, atol=1e-12)


def by_the_standard(triples: Triples) -> list[int]:
    """Raters that BT.500 keeps, one image and rater at a time."""
    images, raters = sorted({i for i, _, _ in triples}), sorted({r for _, r, _ in triples})
    above, below = dict.fromkeys(raters, 0), dict.fromkeys(raters, 0)
    for image in images:
        own = {r: v for i, r, v in triples if i == image}
        values = list(own.values())
        mean, deviation = float(np.mean(values)), float(np.std(values))
        if deviation == 0:
            continue
        normal = 2 <= stats.kurtosis(values, fisher=False) <= 4
        limit = (2 if normal else math.sqrt(20)) * deviation
        for rater, value in own.items():
            above[rater] += value >= mean + limit
            below[rater] += value <= mean - limit
    return [
        r for r in raters
        if (above[r] + below[r]) / len(images) <= 0.05
        or abs(above[r] - below[r]) / (above[r] + below[r]) >= 0.3
    ]  # fmt: skip


def test_a_rater_without_noise_does_not_decide_alone() -> None:
    """The inconsistency of a rater with few ratings is that of all."""
    rng = np.random.default_rng(8)
    quality = rng.uniform(1, 5, 30)
    triples = [(i, r, quality[i] + rng.normal()) for i in range(30) for r in range(10)]
    triples += [(i, 10, 3.0) for i in range(2)]  # two ratings that happen to fit
    found = recover(opinions(triples), "bias-and-inconsistency")
    without = recover(opinions(triples[:-2]), "bias-and-inconsistency")
    assert found.inconsistency is not None
    assert found.inconsistency[10] == pytest.approx(np.sqrt(np.mean(found.inconsistency[:10] ** 2)), rel=0.1)
    assert np.corrcoef(found.score, without.score)[0, 1] > 0.99


def test_parts_without_a_common_rater_cannot_be_put_on_one_scale() -> None:
    apart = [(0, 0, 1.0), (1, 0, 2.0), (2, 1, 4.0), (3, 1, 5.0)]
    with pytest.raises(DataError, match="fall into 2 parts that share no rater"):
        recover(opinions(apart), "bias-and-inconsistency")
    assert recover(opinions(apart), "mean").score.tolist() == [1, 2, 4, 5]


def test_screening_needs_a_near_complete_design() -> None:
    with pytest.raises(DataError, match=r"needs ratings of nearly all images.*expected 90%"):
        recover(opinions(study(1, 20, 10, 0.5)), "bt500")


def test_equal_ratings_throughout() -> None:
    made = opinions([(i, r, 3.0) for i in range(4) for r in range(3)])
    for model in ("mean", "bias-and-inconsistency", "bt500"):
        assert recover(made, model).score.tolist() == pytest.approx([3.0] * 4)
    assert constant_raters(made).tolist() == [0, 1, 2]
    assert constant_raters(opinions([(0, 0, 2.0), (0, 1, 1.0), (1, 1, 1.0), (1, 2, 1.0), (0, 2, 5.0)])).tolist() == [1]


def test_another_model_is_said() -> None:
    with pytest.raises(InputError, match="expected one of mean, bias-and-inconsistency, bt500"):
        recover(opinions([(0, 0, 1.0)]), "median")
