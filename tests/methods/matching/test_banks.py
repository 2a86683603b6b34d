"""Alignment, CoMatch and SimMatch over three consecutive steps, against loops over lists; and invariants."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given as over
from hypothesis import strategies as st

from ssliqa_bench.methods.matching.alignment import Alignment, MovingMean, Window, aligned
from ssliqa_bench.methods.matching.comatch import CoMatchRule, graph_loss, prediction_graph
from ssliqa_bench.methods.matching.parts import BatchSizes
from ssliqa_bench.methods.matching.simmatch import SimMatchRule

LEVELS = torch.tensor([0, 2, 1, 1, 2])
SIZES = BatchSizes(3, LEVELS, 3, 4)


def random() -> torch.Generator:
    return torch.Generator().manual_seed(3)


class PlainAlignment:
    """DA with a window of means, the empty ones zero."""

    def __init__(self, plain: ModuleType, target: str, length: int) -> None:
        self.plain, self.target = plain, target
        self.rings = [[[0.0] * 3 for _ in range(length)] for _ in range(2)]
        self.at = 0

    def __call__(self, shares: list[list[float]], labeled: list[list[float]]) -> list[list[float]]:
        if self.target == "none":
            return shares
        plain = self.plain
        for ring, rows in zip(self.rings, (shares, labeled), strict=True):
            ring[self.at % len(ring)] = plain.column_means(rows)
        self.at += 1
        counts = [LEVELS.tolist().count(k) + 1 for k in range(3)]
        targets = {
            "uniform": [1 / 3] * 3,
            "labeled": plain.norm(counts),
            "model": plain.column_means(self.rings[1]),
        }
        return [plain.align(p, targets[self.target], plain.column_means(self.rings[0])) for p in shares]


@pytest.mark.parametrize("target", ["uniform", "labeled", "model", "none"])
def test_comatch(plain: ModuleType, target: str) -> None:
    rule = CoMatchRule(
        threshold=0.6, unlabeled_weight=0.5, contrast_weight=2.0, graph_threshold=0.5, align_target=target,
        align_window=2, warmup_steps=0, queue_batches=1, dimensions=2,
    )  # fmt: skip
    align = PlainAlignment(plain, target, 2)
    bank = [([0.0] * 2, [0.0] * 3) for _ in range(7)]
    smoothed = 0
    for step, (terms, state) in enumerate(plain.run(rule, rule.start(SIZES, random()))):
        given = plain.numbers(step)
        shares = align(
            [plain.softmax(z) for z in given["weak_logits"]], [plain.softmax(z) for z in given["labeled_logits"]]
        )
        wanted = shares
        if step > 1:  # the bank of one batch is full, and it > queue_batches
            wanted, smoothed = [], smoothed + 1
            for e, p in zip(given["weak_embeddings"], shares, strict=True):
                weights = plain.softmax([plain.dot(e, other) / 0.2 for other, _ in bank])
                said = [sum(w * r[c] for w, (_, r) in zip(weights, bank, strict=True)) for c in range(3)]
                wanted.append(plain.mix(0.9, p, said))
        mask = [1.0 if max(r) >= 0.6 else 0.0 for r in wanted]
        unsup = plain.mean(
            [m * plain.entropy(r, z) for m, r, z in zip(mask, wanted, given["strong_logits"], strict=True)]
        )
        contrast = plain_contrast(plain, wanted, given["strong_embeddings"], given["second_embeddings"], 0.5, 0.2)
        bank = list(zip(given["weak_embeddings"], shares, strict=True))
        one_hot = [plain.one_hot(y) for y in given["labels"]]
        bank += list(zip(given["labeled_embeddings"], one_hot, strict=True))
        plain.close(terms["mask"], mask)
        plain.close(terms["target"], wanted)
        plain.close(terms["unsup_loss"], unsup)
        plain.close(terms["contrast_loss"], contrast)
        plain.close(terms["total_loss"], plain.supervised(given) + 0.5 * unsup + 2.0 * contrast)
        plain.close(state["bank_embeddings"], [e for e, _ in bank])
        plain.close(state["bank_shares"], [r for _, r in bank])
        if target != "none":
            plain.close(state["marginal"], align.rings[0])
    assert smoothed == 1


def plain_contrast(
    plain: ModuleType, wanted: list[Any], first: list[Any], second: list[Any], least: float, temperature: float
) -> float:
    losses = []
    for i in range(len(wanted)):
        row = [1.0 if i == j else plain.dot(wanted[i], wanted[j]) for j in range(len(wanted))]
        row = plain.norm([value if value >= least else 0.0 for value in row])
        likeness = plain.softmax([plain.dot(first[i], other) / temperature for other in second])
        losses.append(-sum(g * math.log(s + 1e-7) for g, s in zip(row, likeness, strict=True)))
    return plain.mean(losses)


@pytest.mark.parametrize("target", ["uniform", "labeled", "model", "none"])
@pytest.mark.parametrize("teacher", ["temporal", "ema"])
def test_simmatch(plain: ModuleType, target: str, teacher: str) -> None:
    rule = SimMatchRule(
        threshold=0.6, unlabeled_weight=0.5, instance_weight=2.0, temperature=0.3, align_target=target,
        align_window=2, warmup_steps=1, teacher=teacher, dimensions=2,
    )  # fmt: skip
    align = PlainAlignment(plain, target, 2)
    start = rule.start(SIZES, random())
    np.testing.assert_allclose(start["bank_embeddings"].norm(dim=1), np.ones(5), atol=1e-6)
    bank, levels, written = start["bank_embeddings"].double().tolist(), [0] * 5, [False] * 5
    used = 0
    for step, (terms, state) in enumerate(plain.run(rule, start)):
        given = plain.numbers(step)
        shares = align(
            [plain.softmax(z) for z in given["weak_logits"]], [plain.softmax(z) for z in given["labeled_logits"]]
        )
        wanted, instance = shares, 0.0
        if step >= 1 and all(written):
            wanted, losses, used = [], [], used + 1
            views = zip(given["weak_embeddings"], given["strong_embeddings"], shares, strict=True)
            for weak, strong, p in views:
                like = plain.softmax([plain.dot(weak, row) / 0.3 for row in bank])
                unfolded = plain.norm([a * p[level] for a, level in zip(like, levels, strict=True)])
                gathered = [sum(a for a, level in zip(like, levels, strict=True) if level == c) for c in range(3)]
                student = plain.softmax([plain.dot(strong, row) / 0.3 for row in bank])
                losses.append(-sum(v * math.log(b) for v, b in zip(unfolded, student, strict=True)))
                wanted.append(plain.mix(0.9, p, gathered))
            instance = plain.mean(losses)
        mask = [1.0 if max(r) >= 0.6 else 0.0 for r in wanted]
        unsup = plain.mean(
            [m * plain.entropy(r, z) for m, r, z in zip(mask, wanted, given["strong_logits"], strict=True)]
        )
        before = [list(row) for row in bank]
        for k, e, y in zip(given["rows"], given["labeled_embeddings"], given["labels"], strict=True):
            bank[k] = plain.unit(plain.mix(0.7, before[k], e)) if teacher == "temporal" else e
            levels[k], written[k] = y, True
        plain.close(terms["mask"], mask)
        plain.close(terms["target"], wanted)
        plain.close(terms["unsup_loss"], unsup)
        plain.close(terms["instance_loss"], instance)
        plain.close(terms["total_loss"], plain.supervised(given) + 0.5 * unsup + 2.0 * instance)
        plain.close(state["bank_embeddings"], bank)
        assert state["bank_levels"].tolist() == levels and state["bank_written"].tolist() == written
    assert used == 1 and rule.averaged_teacher == (teacher == "ema")


# Alignment


def test_aligned_rows_sum_to_one_and_the_marginal_itself_changes_nothing() -> None:
    shares = torch.softmax(torch.randn(6, 5, dtype=torch.float64, generator=random()), 1)
    same = torch.tensor([0.1, 0.3, 0.2, 0.3, 0.1], dtype=torch.float64)
    torch.testing.assert_close(aligned(shares, same, same), shares, rtol=0, atol=1e-5)
    moved = aligned(shares, same, same.flip(0) ** 2)
    torch.testing.assert_close(moved.sum(1), torch.ones(6, dtype=torch.float64))


def test_uniform_alignment_of_imbalanced_levels_moves_predictions_to_the_ends() -> None:
    """The example of KOKA10K: level 2 becomes level 4, and a certain level 2 falls below 0.9."""
    frequency = torch.tensor([0.0216, 0.1322, 0.4937, 0.3316, 0.0210], dtype=torch.float64)
    even = torch.full((5,), 0.2, dtype=torch.float64)
    shares = torch.tensor([[0.02, 0.13, 0.60, 0.22, 0.03]], dtype=torch.float64)
    found = aligned(shares, even, frequency)[0]
    np.testing.assert_allclose(found, [0.178, 0.188, 0.233, 0.127, 0.274], atol=1e-3)


@over(st.integers(1, 5), st.integers(1, 8))
def test_a_window_is_the_mean_over_its_slots(length: int, steps: int) -> None:
    window, rng = Window(length), np.random.default_rng(length)
    state, means = window.start(3, "m"), []
    for _ in range(steps):
        means.append(rng.uniform(size=3))
        value, state = window.update(state, "m", torch.from_numpy(means[-1]))
    np.testing.assert_allclose(value, np.sum(means[-length:], axis=0) / length, atol=1e-12)


def test_a_moving_mean_starts_at_the_first_mean_or_where_it_is_told() -> None:
    first, second = torch.tensor([0.2, 0.8]), torch.tensor([0.6, 0.4])
    for mean, expected in ((MovingMean(0.9), [0.24, 0.76]), (MovingMean(0.5, first=0.5), [0.475, 0.525])):
        _, state = mean.update(mean.start(2, "m"), "m", first)
        value, _ = mean.update(state, "m", second)
        np.testing.assert_allclose(value, expected, atol=1e-6)


def test_level_frequencies_that_are_even_align_as_uniform_does() -> None:
    sizes = replace(SIZES, labels=torch.tensor([0, 1, 2, 0, 1, 2]))
    shares = torch.softmax(torch.randn(4, 3, generator=random()), 1)
    found = [
        (way := Alignment(target, Window(4), Window(4))).apply(way.start(sizes), shares, shares)[0]
        for target in ("labeled", "uniform")
    ]
    torch.testing.assert_close(*found)


# Invariants


def test_the_graph_by_hand() -> None:
    shares = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1]], dtype=torch.float64)
    expected = [[0.57803, 0.42197], [0.42197, 0.57803]]
    np.testing.assert_allclose(prediction_graph(shares, 0.5), expected, atol=1e-5)
    np.testing.assert_allclose(prediction_graph(shares, 0.8), np.eye(2))


def test_at_the_largest_threshold_the_graph_loss_is_the_two_view_contrastive_loss() -> None:
    shares = torch.softmax(torch.randn(5, 3, dtype=torch.float64, generator=random()), 1)
    graph = prediction_graph(shares, 1.0)
    torch.testing.assert_close(graph, torch.eye(5, dtype=torch.float64))
    first, second = (torch.randn(5, 4, dtype=torch.float64, generator=random()) for _ in range(2))
    expected = torch.nn.functional.cross_entropy(first @ second.T / 0.2, torch.arange(5))
    assert float(graph_loss(graph, first, second, 0.2)) == pytest.approx(float(expected), abs=1e-4)


def test_alike_by_hand() -> None:
    """One image, bank levels (0, 0, 2), similarities whose softmax is (.5, .3, .2), p̃ = (.6, .3, .1)."""
    rule = SimMatchRule(temperature=1.0, align_target="none", warmup_steps=0, dimensions=3)
    one = torch.eye(3, dtype=torch.float64)
    state = {"bank_embeddings": one, "bank_levels": torch.tensor([0, 0, 2]), "bank_written": torch.ones(3).bool()}
    like, shares = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64), torch.tensor([[0.6, 0.3, 0.1]]).double()
    from ssliqa_bench.methods.matching.parts import LevelBatch

    batch = LevelBatch(
        5, torch.tensor([0]), shares.log(), shares.log(), shares.log(), one[:1], like.log(), like.log(),
        rows=torch.tensor([0]),
    )  # fmt: skip
    terms, _ = rule.step(state, batch)
    np.testing.assert_allclose(terms["target"], [[0.62, 0.27, 0.11]], atol=1e-7)
    unfolded = np.array([0.6, 0.36, 0.04])
    assert float(terms["instance_loss"]) == pytest.approx(-float(unfolded @ np.log([0.5, 0.3, 0.2])), abs=1e-7)


def test_with_smoothing_one_the_target_is_the_prediction(plain: ModuleType) -> None:
    rule = SimMatchRule(smoothing=1.0, align_target="none", warmup_steps=0, dimensions=2)
    for step, (terms, _) in enumerate(plain.run(rule, rule.start(SIZES, random()))):
        plain.close(terms["target"], [plain.softmax(z) for z in plain.numbers(step)["weak_logits"]])


RULES = [
    CoMatchRule(threshold=0.5, align_window=2, warmup_steps=0, queue_batches=1, dimensions=2),
    SimMatchRule(threshold=0.5, align_window=2, warmup_steps=0, dimensions=2),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_nothing_flows_through_weak_views_banks_and_means(plain: ModuleType, rule: Any) -> None:
    state = plain.run(rule, rule.start(SIZES, random()), 2)[-1][1]
    state = {k: v.clone().requires_grad_(True) if v.is_floating_point() else v for k, v in state.items()}
    batch = plain.batch(plain.numbers(2), 2, gradient=True)
    terms, after = rule.step(state, batch)
    terms["total_loss"].backward()
    assert batch.weak_logits.grad is None and batch.weak_embeddings.grad is None
    assert batch.labeled_embeddings.grad is None
    assert batch.strong_logits.grad.any() and batch.strong_embeddings.grad.any()
    assert not isinstance(rule, CoMatchRule) or batch.second_embeddings.grad.any()
    assert all(value.grad is None for value in state.values())
    assert not any(value.requires_grad for value in after.values())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_thresholds_of_nothing_and_of_more_than_everything(plain: ModuleType, rule: Any, threshold: float) -> None:
    batch = plain.batch(plain.numbers(0), 0, gradient=True)
    terms, _ = replace(rule, threshold=threshold).step(rule.start(SIZES, random()), batch)
    assert terms["mask"].tolist() == [1.0 if threshold == 0 else 0.0] * plain.U
    if threshold:
        terms["total_loss"].backward()
        assert not terms["unsup_loss"].detach().any() and not batch.strong_logits.grad.any()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_the_order_of_unlabeled_images_does_not_matter(plain: ModuleType, rule: Any) -> None:
    order = [2, 0, 3, 1]
    results = []
    for change in (list(range(4)), order):
        state = rule.start(SIZES, random())
        for step in range(3):
            given = {
                name: [value[k] for k in change] if name.startswith(("weak", "strong", "second")) else value
                for name, value in plain.numbers(step).items()
            }
            terms, state = rule.step(state, plain.batch(given, step))
        results.append(terms)
    assert torch.equal(results[1]["mask"], results[0]["mask"][order])
    for name, value in results[0].items():
        if value.dim() == 0:
            assert float(results[1][name]) == pytest.approx(float(value), abs=1e-9)


def test_a_bank_of_several_batches_is_a_ring(plain: ModuleType) -> None:
    rule = CoMatchRule(warmup_steps=0, queue_batches=2, dimensions=2, align_target="none")
    states = [state for _, state in plain.run(rule, rule.start(SIZES, random()))]
    assert [int(state["bank_at"]) for state in states] == [7, 0, 7]
    first = states[0]["bank_embeddings"]
    assert not first[7:].any() and torch.equal(states[1]["bank_embeddings"][:7], first[:7])
    assert torch.equal(states[2]["bank_embeddings"][7:], states[1]["bank_embeddings"][7:])
    assert not torch.equal(states[2]["bank_embeddings"][:7], first[:7])
