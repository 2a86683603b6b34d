"""The losses of all learners for regression, against plain loops and closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.methods.regression.alignment import align, quantiles
from ssliqa_bench.methods.regression.ensembles import Ensemble
from ssliqa_bench.methods.regression.pi_model import pi_consistency
from ssliqa_bench.methods.regression.rankup import matched_ranking_loss, pair_logits, pair_shares, ranking_loss
from ssliqa_bench.methods.regression.training import exponential_ramp, linear_ramp, without_statistics
from ssliqa_bench.methods.regression.ucvme import (
    UncertainModel,
    UncertainQuality,
    labeled_loss,
    member_outputs,
    unlabeled_loss,
    variational_labels,
)
from ssliqa_bench.training.backbones.frozen import FrozenFeatures


def random_tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_the_pi_model_moves_both_views_or_one() -> None:
    first, second = random_tensor(5).requires_grad_(), random_tensor(5, seed=1).requires_grad_()
    loss = pi_consistency(first, second, False)
    assert float(loss.detach()) == pytest.approx(
        sum((a - b) ** 2 for a, b in zip(first.tolist(), second.tolist(), strict=True)) / 5, rel=1e-6
    )
    loss.backward()
    assert first.grad is not None and second.grad is not None
    torch.testing.assert_close(first.grad, -second.grad)
    first.grad = None
    pi_consistency(first, second, True).backward()
    assert first.grad is None


def test_weights_rise_as_published() -> None:
    assert exponential_ramp(0, 30) == pytest.approx(math.exp(-5)) == pytest.approx(0.006738, abs=1e-6)
    assert exponential_ramp(15, 30) == pytest.approx(math.exp(-1.25))
    for ramp in (exponential_ramp, linear_ramp):
        values = [ramp(step, 30) for step in range(40)]
        assert values == sorted(values) and values[30:] == [1.0] * 10
        assert ramp(0, 0) == 1.0
    assert linear_ramp(12, 30) == pytest.approx(0.4)


# UCVME


def judged(seed: int, n: int = 4) -> UncertainQuality:
    return UncertainQuality(random_tensor(2, n, seed=seed), random_tensor(2, n, seed=seed + 10))


def test_the_labeled_loss_of_ucvme_is_that_of_a_loop() -> None:
    seen, target = judged(3), random_tensor(4, seed=9)
    regression = agreement = 0.0
    for i in range(4):
        z = (seen.log_variance[0, i] + seen.log_variance[1, i]).item() / 2
        for m in range(2):
            regression += ((seen.quality[m, i] - target[i]).item() ** 2 / (2 * math.exp(z)) + z / 2) / 4
        agreement += (seen.log_variance[0, i] - seen.log_variance[1, i]).item() ** 2 / 4
    found = labeled_loss(seen, target)
    assert [float(x) for x in found] == pytest.approx([regression, agreement], rel=1e-9)


def test_the_unlabeled_loss_of_ucvme_is_that_of_a_loop() -> None:
    seen, target, z = judged(4), random_tensor(4, seed=5), random_tensor(4, seed=6)
    regression = agreement = 0.0
    for m in range(2):
        for i in range(4):
            squared = (seen.quality[m, i] - target[i]).item() ** 2
            regression += (squared / (2 * math.exp(z[i].item())) + z[i].item() / 2) / 4
            agreement += (seen.log_variance[m, i] - z[i]).item() ** 2 / 4
    found = unlabeled_loss(seen, target, z)
    assert [float(x) for x in found] == pytest.approx([regression, agreement], rel=1e-9)


def test_the_best_log_variance_of_ucvme_is_that_of_the_squared_error() -> None:
    """Closed form: with both networks off by r, the loss in z is least at z = log r², where it is 1 + log r²."""
    off = 0.3
    quality = torch.full((2, 1), 0.5 + off, dtype=torch.float64)
    z = torch.tensor([2 * math.log(off)], dtype=torch.float64).requires_grad_()
    loss, _ = unlabeled_loss(UncertainQuality(quality, torch.zeros(2, 1)), torch.tensor([0.5], dtype=torch.float64), z)
    assert float(loss.detach()) == pytest.approx(1 + 2 * math.log(off))
    assert float(torch.autograd.grad(loss, z)[0]) == pytest.approx(0, abs=1e-12)


def test_variational_labels_tend_to_the_networks_without_dropout() -> None:
    torch.manual_seed(2)
    networks = Ensemble(UncertainModel(FrozenFeatures(6, 8), 0.3) for _ in range(2)).train()
    crops = torch.randn(5, 6)
    target, z = variational_labels(networks, crops, 4000)
    assert not target.requires_grad and not z.requires_grad
    exact = member_outputs(networks.eval(), crops).mean()
    torch.testing.assert_close(target, exact[0].detach(), atol=0.02, rtol=0)
    torch.testing.assert_close(z, exact[1].detach(), atol=0.02, rtol=0)
    torch.testing.assert_close(networks(crops)[0], exact[0])  # what is evaluated


# RankUp


def by_loop(outputs: list[list[float]], targets: list[list[float]]) -> float:
    """Mean cross-entropy over all ordered pairs."""
    n, total = len(outputs), 0.0
    for i in range(n):
        for j in range(n):
            a, b = (outputs[i][c] - outputs[j][c] for c in range(2))
            logs = [a - math.log(math.exp(a) + math.exp(b)), b - math.log(math.exp(a) + math.exp(b))]
            total -= sum(t * x for t, x in zip(targets[i * n + j], logs, strict=True))
    return total / n**2


def test_the_ranking_loss_is_that_of_a_double_loop() -> None:
    outputs, scores = random_tensor(5, 2), torch.tensor([0.3, 0.7, 0.3, 0.1, 0.9])
    targets = [
        [1.0, 0.0] if a > b else [0.0, 1.0] if a < b else [0.5, 0.5] for a in scores.tolist() for b in scores.tolist()
    ]
    assert pair_shares(scores).tolist() == targets
    assert float(ranking_loss(outputs, scores)) == pytest.approx(by_loop(outputs.tolist(), targets), rel=1e-9)


def test_pairs_are_antisymmetric_and_know_no_offset() -> None:
    outputs = random_tensor(4, 2, seed=3)
    logits = pair_logits(outputs).reshape(4, 4, 2)
    torch.testing.assert_close(logits, -logits.transpose(0, 1))
    torch.testing.assert_close(pair_logits(outputs + torch.tensor([3.0, -2.0])), pair_logits(outputs))


@pytest.mark.parametrize("hard", [True, False])
def test_matched_pairs_are_those_of_a_double_loop(hard: bool) -> None:
    weak, strong = 2 * random_tensor(6, 2, seed=1), random_tensor(6, 2, seed=2).requires_grad_()
    threshold, total, selected = 0.9, 0.0, 0
    outputs = strong.detach().tolist()
    for i in range(6):
        for j in range(6):
            share = torch.softmax(weak[i] - weak[j], 0).tolist()
            if max(share) < threshold:
                continue
            selected += 1
            target = [float(share[0] >= share[1]), float(share[0] < share[1])] if hard else share
            a, b = (outputs[i][c] - outputs[j][c] for c in range(2))
            whole = math.log(math.exp(a) + math.exp(b))
            total -= target[0] * (a - whole) + target[1] * (b - whole)
    loss, mask = matched_ranking_loss(weak, strong, threshold, hard)
    assert 0 < selected < 36 and float(mask) == pytest.approx(selected / 36)
    assert float(loss.detach()) == pytest.approx(total / 36, rel=1e-9)
    loss.backward()
    assert strong.grad is not None and float(strong.grad.abs().sum()) > 0


def test_an_image_beside_itself_teaches_nothing() -> None:
    one = random_tensor(1, 2).requires_grad_()
    loss = ranking_loss(one, torch.tensor([0.4]))
    assert float(loss.detach()) == pytest.approx(math.log(2))
    loss.backward()
    assert one.grad is not None and float(one.grad.abs().max()) < 1e-12


# Alignment


@pytest.mark.parametrize(("labels", "count"), [(5, 13), (13, 5), (1, 4), (6, 1), (7, 7)])
def test_quantiles_are_those_of_numpy(labels: int, count: int) -> None:
    known = random_tensor(labels, seed=labels)
    expected = np.interp(
        np.linspace(0, 1, count), np.linspace(0, 1, labels) if labels > 1 else [0.0], np.sort(known.numpy())
    )
    np.testing.assert_allclose(quantiles(known, count).numpy(), expected, atol=1e-12)


def test_alignment_keeps_the_order_and_takes_the_labels_spread() -> None:
    predicted = torch.tensor([0.4, float("nan"), 0.9, 0.1, float("nan"), 0.6])
    labels = torch.tensor([0.0, 0.2, 1.0])
    aligned = align(predicted, labels).tolist()
    assert [math.isnan(x) for x in aligned] == [False, True, False, False, True, False]
    assert [aligned[k] for k in (3, 0, 5, 2)] == pytest.approx([0.0, 2 / 15, 0.2 + 0.8 / 3, 1.0])


def test_alignment_undoes_any_increasing_map() -> None:
    labels = random_tensor(40, seed=8).float()
    order = torch.from_numpy(np.random.default_rng(0).permutation(40))
    torch.testing.assert_close(align(torch.exp(3 * labels[order]), labels), labels[order])


def test_unlabeled_crops_leave_no_statistics() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    crops: Any = torch.randn(6, 3)
    with without_statistics(network):
        inside = network(crops)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    torch.testing.assert_close(network(crops), inside)  # batches are normalised in the same way
    assert int(network[1].num_batches_tracked) == 1
