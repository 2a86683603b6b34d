"""FixMatch, AdaMatch, FreeMatch and CR-Match over three consecutive steps, against loops over lists; and invariants."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.methods.matching.adamatch import AdaMatchRule
from ssliqa_bench.methods.matching.crmatch import CRMatchRule
from ssliqa_bench.methods.matching.fixmatch import FixMatchRule
from ssliqa_bench.methods.matching.freematch import FreeMatchRule, fairness
from ssliqa_bench.methods.matching.parts import BatchSizes, LevelBatch

RANDOM = torch.Generator()
SIZES = BatchSizes(3, torch.tensor([0, 2, 1, 1, 2]), 3, 4)


def logits(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64).log()


def masked(plain: ModuleType, mask: list[float], targets: list[list[float]], given: dict[str, Any]) -> float:
    rows = zip(mask, targets, given["strong_logits"], strict=True)
    return plain.mean([m * plain.entropy(t, z) for m, t, z in rows])


@pytest.mark.parametrize("hard", [True, False])
def test_fixmatch(plain: ModuleType, hard: bool) -> None:
    selected = []
    for step, (terms, _) in enumerate(plain.run(FixMatchRule(0.8, 0.5, hard), {})):
        given = plain.numbers(step)
        shares = [plain.softmax(z) for z in given["weak_logits"]]
        mask = [1.0 if max(p) >= 0.8 else 0.0 for p in shares]
        targets = [plain.one_hot(plain.argmax(p)) if hard else p for p in shares]
        unsup = masked(plain, mask, targets, given)
        plain.close(terms["mask"], mask)
        plain.close(terms["sup_loss"], plain.supervised(given))
        plain.close(terms["unsup_loss"], unsup)
        plain.close(terms["total_loss"], plain.supervised(given) + 0.5 * unsup)
        plain.close(terms["target"], [plain.argmax(p) for p in shares] if hard else shares)
        assert terms["total_loss"].dtype == torch.float64
        selected += mask
    assert 0 < sum(selected) < len(selected)


@pytest.mark.parametrize("variant", ["common", "paper"])
@pytest.mark.parametrize("hard", [True, False])
def test_adamatch(plain: ModuleType, variant: str, hard: bool) -> None:
    rule = AdaMatchRule(0.9, 2.0, hard, 0.8, variant, total_steps=8)
    expected, marginal, window = [1 / 3] * 3, None, [[1 / 3] * 3] * 128
    selected = []
    for step, (terms, state) in enumerate(plain.run(rule, rule.start(SIZES, RANDOM))):
        given = plain.numbers(step)
        shares = [plain.softmax(z) for z in given["weak_logits"]]
        labeled = [plain.softmax(z) for z in given["labeled_logits"]]
        now = plain.column_means(shares)
        if variant == "common":
            marginal = now if marginal is None else plain.mix(0.8, marginal, now)
        else:
            window = [*window[:step], now, *window[step + 1 :]]
            marginal = plain.column_means(window)
        expected = plain.mix(0.8, expected, plain.column_means(labeled))
        moved = [plain.align(p, expected, marginal) for p in shares]
        threshold = 0.9 * plain.mean([max(p) for p in labeled])
        mask = [1.0 if max(p) >= threshold else 0.0 for p in moved]
        targets = [plain.one_hot(plain.argmax(p)) if hard else p for p in moved]
        unsup = masked(plain, mask, targets, given)
        weight = 2.0 if variant == "common" else 2.0 * (0.5 - math.cos(min(math.pi, 2 * math.pi * step / 8)) / 2)
        plain.close(terms["mask"], mask)
        plain.close(terms["aligned"], moved)
        plain.close(terms["unsup_loss"], unsup)
        plain.close(terms["total_loss"], plain.supervised(given) + weight * unsup)
        plain.close(state["expected"], expected)
        plain.close(state["marginal"], marginal if variant == "common" else window)
        selected += mask
    assert 0 < sum(selected) < len(selected)


def test_the_papers_adamatch_learns_weak_and_strong_views_of_labeled_images(plain: ModuleType) -> None:
    rule = AdaMatchRule(0.9, 2.0, True, 0.8, "paper", total_steps=8)
    assert rule.strong_labeled and not AdaMatchRule().strong_labeled
    given = plain.numbers(0)
    strong = plain.numbers(1)["labeled_logits"]
    terms, _ = rule.step(
        rule.start(SIZES, RANDOM), replace(plain.batch(given, 0), strong_labeled_logits=torch.tensor(strong).double())
    )
    alone = [plain.supervised({**given, "labeled_logits": logits}) for logits in (given["labeled_logits"], strong)]
    plain.close(terms["sup_loss"], plain.mean(alone))
    assert abs(alone[0] - alone[1]) > 0.01


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quantile": True, "hard_labels": False, "temperature": 0.7},
        {"clip": "local", "clip_low": 0.7, "clip_high": 0.8, "fairness_sign": "align"},
        {"clip": "global", "clip_high": 0.4, "local_floor": 0.35},
    ],
)
def test_freematch(plain: ModuleType, options: dict[str, Any]) -> None:
    rule = FreeMatchRule(decay=0.7, fairness_weight=0.01, unlabeled_weight=1.5, **options)
    t, m, h = 1 / 3, [1 / 3] * 3, [1 / 3] * 3
    for step, (terms, state) in enumerate(plain.run(rule, rule.start(SIZES, RANDOM))):
        given = plain.numbers(step)
        shares = [plain.softmax(z) for z in given["weak_logits"]]
        tops, own = [max(p) for p in shares], [plain.argmax(p) for p in shares]
        typical = float(np.quantile(tops, 0.8)) if rule.quantile else plain.mean(tops)
        t = 0.7 * t + 0.3 * typical
        if rule.clip == "global":
            t = min(max(t, 0.0), rule.clip_high)
        m = plain.mix(0.7, m, plain.column_means(shares))
        h = plain.mix(0.7, h, plain.column_means([plain.one_hot(k) for k in own]))
        levels = [t * value / max(m) for value in m]
        mask = []
        for top, k in zip(tops, own, strict=True):
            limit = max(levels[k], rule.local_floor)
            if rule.clip == "local":
                limit = min(max(limit, rule.clip_low), rule.clip_high)
            mask.append(1.0 if top >= limit else 0.0)
        soft = [plain.softmax([value / rule.temperature for value in z]) for z in given["weak_logits"]]
        targets = [plain.one_hot(k) for k in own] if rule.hard_labels else soft
        unsup = masked(plain, mask, targets, given)
        fair, present = plain_fairness(plain, mask, given["strong_logits"], m, h)
        sign = -1 if rule.fairness_sign == "align" else 1
        plain.close(terms["mask"], mask)
        plain.close(terms["thresholds"], levels)
        plain.close(terms["fair_loss"], sign * fair)
        plain.close(terms["present_fair_loss"], sign * present)
        plain.close(terms["total_loss"], plain.supervised(given) + 1.5 * unsup + 0.01 * sign * fair)
        for name, value in (("confidence", t), ("marginal", m), ("histogram", h)):
            plain.close(state[name], value)


def plain_fairness(
    plain: ModuleType, mask: list[float], strong: list[list[float]], m: list[float], h: list[float]
) -> tuple[float, float]:
    chosen = [plain.softmax(z) for z, keep in zip(strong, mask, strict=True) if keep]
    if not chosen:
        return 0.0, 0.0
    mean = plain.column_means(chosen)
    counts = plain.column_means([plain.one_hot(plain.argmax(p)) for p in chosen])
    beta = plain.norm([p / c if c else 0.0 for p, c in zip(mean, counts, strict=True)])
    alpha = plain.norm([a / b for a, b in zip(m, h, strict=True)])
    each = [a * math.log(b + 1e-12) for a, b in zip(alpha, beta, strict=True)]
    return sum(each), sum(value for value, count in zip(each, counts, strict=True) if count)


@pytest.mark.parametrize("rotation_weight", [0.0, 0.25])
def test_crmatch(plain: ModuleType, rotation_weight: float) -> None:
    rule = CRMatchRule(0.6, 0.5, 2.0, rotation_weight)
    assert rule.rotates == (rotation_weight > 0)
    for step, (terms, _) in enumerate(plain.run(rule, {})):
        given = plain.numbers(step)
        shares = [plain.softmax(z) for z in given["weak_logits"]]
        mask = [1.0 if max(p) >= 0.6 else 0.0 for p in shares]
        unsup = masked(plain, mask, [plain.one_hot(plain.argmax(p)) for p in shares], given)
        likeness = [
            plain.dot(a, b) / math.sqrt((plain.dot(a, a) + 1e-12) * (plain.dot(b, b) + 1e-12))
            for a, b in zip(given["strong_distances"], given["weak_distances"], strict=True)
        ]
        distance = plain.mean([keep * max(0.0, value) for keep, value in zip(mask, likeness, strict=True)])
        turns = [0, 0, 1, 1, 2, 2, 3, 3]
        rotation = plain.mean(
            [-math.log(plain.softmax(z)[k]) for z, k in zip(given["rotation_logits"], turns, strict=True)]
        )
        plain.close(terms["mask"], mask)
        plain.close(terms["distance_loss"], distance)
        total = plain.supervised(given) + 0.5 * unsup + 2.0 * distance + rotation_weight * rotation
        plain.close(terms["total_loss"], total)
        assert ("rotation_loss" in terms) == rule.rotates


def test_freematch_by_hand() -> None:
    rule = FreeMatchRule(decay=0.9)
    weak, strong = logits([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]]), logits([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]])
    batch = LevelBatch(0, torch.tensor([0]), logits([[0.8, 0.1, 0.1]]), weak, strong)
    terms, state = rule.step(rule.start(SIZES, RANDOM), batch)
    assert float(state["confidence"]) == pytest.approx(0.365)
    np.testing.assert_allclose(state["marginal"], [0.34, 0.34, 0.32], atol=1e-7)
    np.testing.assert_allclose(state["histogram"], [0.35, 0.35, 0.30], atol=1e-7)
    np.testing.assert_allclose(terms["thresholds"], [0.365, 0.365, 0.34353], atol=1e-5)
    assert terms["mask"].tolist() == [1, 1]
    assert float(terms["fair_loss"]) == pytest.approx(-18.71215, abs=1e-4)


def test_adamatch_by_hand() -> None:
    rule = AdaMatchRule(threshold=0.9, align_decay=0.9)
    weak = logits([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
    labeled = logits([[0.8, 0.1, 0.1], [0.3, 0.5, 0.2]])
    terms, state = rule.step(rule.start(SIZES, RANDOM), LevelBatch(0, torch.tensor([0, 1]), labeled, weak, weak))
    np.testing.assert_allclose(state["expected"], [0.355, 0.33, 0.315], atol=1e-7)
    np.testing.assert_allclose(state["marginal"], [0.4, 0.4, 0.2], atol=1e-7)
    expected = [[0.65828, 0.17483, 0.16689], [0.08402, 0.46864, 0.44734]]
    np.testing.assert_allclose(terms["aligned"], expected, atol=1e-5)
    assert terms["mask"].tolist() == [1, 0]


def test_an_empty_selection_has_no_fairness_and_no_gradient() -> None:
    strong = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    even = torch.full((3,), 1 / 3, dtype=torch.float64)
    loss, present = fairness(torch.zeros(4, dtype=torch.float64), strong, even, even)
    loss.backward()
    assert not loss.detach().any() and not present.any() and not strong.grad.any()


def test_the_published_sign_drives_the_mean_away_from_what_was_expected() -> None:
    """Its descent direction in the logits of β is β − α."""
    strong = logits([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.2, 0.3, 0.5]]).requires_grad_(True)
    marginal = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    even = torch.full((3,), 1 / 3, dtype=torch.float64)
    loss, _ = fairness(torch.ones(3, dtype=torch.float64), strong, marginal, even)
    loss.backward()
    after = torch.softmax(strong.detach() - 0.01 * strong.grad, 1).mean(0)
    before = torch.softmax(strong.detach(), 1).mean(0)
    assert float(((after - marginal) ** 2).sum()) > float(((before - marginal) ** 2).sum())


RULES = [FixMatchRule(), AdaMatchRule(), FreeMatchRule(), CRMatchRule()]


@pytest.mark.parametrize("rule", [FixMatchRule(), AdaMatchRule(), CRMatchRule()], ids=lambda rule: type(rule).__name__)
def test_thresholds_of_nothing_and_of_more_than_everything(plain: ModuleType, rule: Any) -> None:
    given = plain.numbers(0)
    every, _ = replace(rule, threshold=0.0).step(rule.start(SIZES, RANDOM), plain.batch(given, 0))
    assert every["mask"].tolist() == [1.0] * plain.U
    batch = plain.batch(given, 0, gradient=True)
    none, _ = replace(rule, threshold=2.0).step(rule.start(SIZES, RANDOM), batch)
    assert none["mask"].tolist() == [0.0] * plain.U and not none["unsup_loss"].detach().any()
    none["total_loss"].backward()
    assert not batch.strong_logits.grad.any()
    unmasked = none.get("rotation_loss", 0)
    plain.close(none["total_loss"] - unmasked, plain.supervised(given))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_nothing_flows_through_the_weak_view(plain: ModuleType, rule: Any) -> None:
    batch = plain.batch(plain.numbers(1), 1, gradient=True)
    started = {name: value.double() if value.is_floating_point() else value for name, value in
               rule.start(SIZES, RANDOM).items()}
    for value in started.values():
        if value.is_floating_point():
            value.requires_grad_(True)
    terms, state = replace(rule, **({"threshold": 0.3} if hasattr(rule, "threshold") else {})).step(started, batch)
    terms["total_loss"].backward()
    assert batch.weak_logits.grad is None and batch.weak_embeddings.grad is None
    assert all(value.grad is None for value in started.values())
    assert not any(value.requires_grad for value in state.values())
    assert batch.strong_logits.grad.any() and batch.labeled_logits.grad.any()
    if isinstance(rule, CRMatchRule):  # the exception
        assert batch.weak_distances.grad.any() and batch.strong_distances.grad.any()


def test_the_divisor_counts_those_that_are_masked_out(plain: ModuleType) -> None:
    weak = logits([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01], [0.4, 0.3, 0.3], [0.3, 0.4, 0.3]])
    strong = torch.randn(4, 3, dtype=torch.float64)
    batch = LevelBatch(0, torch.tensor([0]), logits([[0.8, 0.1, 0.1]]), weak, strong)
    terms, _ = FixMatchRule(0.95).step({}, batch)
    selected = torch.nn.functional.cross_entropy(strong[:2], torch.tensor([0, 1]))
    assert float(terms["unsup_loss"]) == pytest.approx(float(selected) / 2)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_the_order_of_unlabeled_images_does_not_matter(plain: ModuleType, rule: Any) -> None:
    rule = replace(rule, **({"threshold": 0.6} if hasattr(rule, "threshold") else {}))
    order = [2, 0, 3, 1]
    given = plain.numbers(0)
    other = {
        name: [value[k] for k in order] if name.startswith(("weak", "strong", "second")) else value
        for name, value in given.items()
    }
    terms, state = rule.step(rule.start(SIZES, RANDOM), plain.batch(given, 0))
    again, changed = rule.step(rule.start(SIZES, RANDOM), plain.batch(other, 0))
    assert torch.equal(again["mask"], terms["mask"][order])
    for name, value in terms.items():
        if value.dim() == 0:
            assert float(again[name]) == pytest.approx(float(value), abs=1e-12)
    for name, value in state.items():
        torch.testing.assert_close(changed[name], value)


def test_ties_go_to_the_lower_level() -> None:
    weak = logits([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])
    terms, _ = FixMatchRule(0.0).step({}, LevelBatch(0, torch.tensor([0]), weak[:1], weak, weak))
    assert terms["target"].tolist() == [0, 1]
