"""The training loop: its rates, its rows, its steps, and that an interrupted training goes on as if nothing was."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ssliqa_bench.errors import RunError
from ssliqa_bench.training.checkpoint import module_tensors, training_state
from ssliqa_bench.training.loop import EpochPlan, Schedule, drawn_rows, earlier_visits, split_batches, train

# Rates


def test_rates_of_the_initial_phase_of_the_paper() -> None:
    """Nine epochs of three steps: three of linear warm-up to 2e-4, three at 2e-4, three at 2e-5."""
    schedule = Schedule(9, 2e-4, warmup_epochs=3, lr_step=3, lr_factor=0.1)
    rates = [schedule.rate(epoch, step / 3) for epoch in range(9) for step in (1, 2, 3)]
    warmup = [2e-4 * k / 9 for k in range(1, 10)]
    assert rates == pytest.approx([*warmup, *[2e-4] * 9, *[2e-5] * 9], rel=1e-12)


def test_rates_of_an_incremental_phase_of_the_paper() -> None:
    schedule = Schedule(6, 2e-5, lr_step=2, lr_factor=0.1)
    rates = [schedule.rate(epoch, fraction) for epoch in range(6) for fraction in (0.5, 1.0)]
    assert rates == pytest.approx([2e-5] * 4 + [2e-6] * 4 + [2e-7] * 4, rel=1e-12)


def test_without_steps_the_rate_stays() -> None:
    assert {Schedule(40, 1e-3).rate(epoch, f) for epoch in range(40) for f in (0.1, 1.0)} == {1e-3}


@pytest.mark.parametrize(
    ("name", "kind", "arguments"),
    [
        ("adam", torch.optim.Adam, {"betas": (0.9, 0.999), "eps": 1e-8}),
        ("adamw", torch.optim.AdamW, {"betas": (0.9, 0.999)}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_optimisers_by_name(name: str, kind: type, arguments: dict[str, Any]) -> None:
    optimizer = Schedule(1, 0.25, weight_decay=0.5, optimizer=name).make_optimizer([nn.Parameter(torch.zeros(1))])
    assert type(optimizer) is kind
    assert {"lr": 0.25, "weight_decay": 0.5, **arguments}.items() <= optimizer.param_groups[0].items()


# Rows


@given(pool=st.integers(1, 40), epochs=st.integers(1, 6), seed=st.integers(0, 3))
def test_with_as_many_items_as_rows_each_epoch_is_a_permutation(pool: int, epochs: int, seed: int) -> None:
    drawn = [drawn_rows(pool, pool, epoch, seed, "rows") for epoch in range(epochs)]
    assert all(sorted(rows) == list(range(pool)) for rows in drawn)
    if pool > 12 and epochs > 1:
        assert not np.array_equal(drawn[0], drawn[1])


@settings(max_examples=200)
@given(pool=st.integers(1, 30), items=st.integers(1, 100), epochs=st.integers(1, 8))
def test_rows_come_equally_often_over_the_epochs(pool: int, items: int, epochs: int) -> None:
    drawn = [drawn_rows(pool, items, epoch, 5, "rows") for epoch in range(epochs)]
    assert all(len(rows) == items for rows in drawn)
    counts = Counter(int(row) for rows in drawn for row in rows)
    often = [counts[row] for row in range(pool)]
    assert set(counts) <= set(range(pool)) and max(often) - min(often) <= 1
    again = drawn_rows(pool, items, epochs - 1, 5, "rows")
    np.testing.assert_array_equal(again, drawn[-1])


def test_rows_follow_the_purpose() -> None:
    streams = {tuple(drawn_rows(30, 30, 0, *purpose)) for purpose in ((1, "rows"), (2, "rows"), (1, "draws"))}
    assert len(streams) == 3


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_earlier_visits_are_counted(rows: list[int]) -> None:
    expected = [rows[:k].count(row) for k, row in enumerate(rows)]
    assert earlier_visits(np.array(rows)).tolist() == expected


@pytest.mark.parametrize(("items", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 16, [3])])
def test_batches(items: int, batch_size: int, sizes: list[int]) -> None:
    parts = split_batches(np.arange(items), batch_size)
    assert [len(part) for part in parts] == sizes and np.concatenate(parts).tolist() == list(range(items))
    assert EpochPlan(items, batch_size).steps == len(sizes)


# Training

INPUTS = torch.tensor(np.random.default_rng(0).normal(0, 1, (10, 4)), dtype=torch.float32)
TARGETS = INPUTS @ torch.tensor([0.5, -1.0, 2.0, 0.0]) + 0.3
PLAN = EpochPlan(10, 4)


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(dropout), nn.Linear(5, 1))


def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for rows in split_batches(drawn_rows(10, 10, epoch, "order"), 4):
        yield INPUTS[rows], TARGETS[rows]


def fit(model: nn.Module, schedule: Schedule, context: Any) -> dict[str, Any]:
    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        error = model(batch[0])[:, 0] - batch[1]
        return {"loss": error.square().mean(), "largest": error.abs().max()}

    return train(model, schedule, PLAN, batches, loss, context)


def test_training_is_adam_written_by_hand(made: ModuleType) -> None:
    model = nn.Linear(4, 1)
    weight, bias = model.weight.detach().double().numpy()[0].copy(), model.bias.detach().double().numpy().copy()
    fit(model, Schedule(5, 0.05, warmup_epochs=2, lr_step=1, lr_factor=0.5), made.context())

    moments = np.zeros((2, 5))
    step = 0
    rates = {0: 0.05 / 2, 1: 0.05, 2: 0.05, 3: 0.025, 4: 0.0125}  # at the end of each epoch
    for epoch in range(5):
        for batch, (inputs, targets) in enumerate(batches(epoch), start=1):
            step += 1
            x, y = inputs.double().numpy(), targets.double().numpy()
            error = x @ weight + bias - y
            gradient = np.append(2 * error @ x, 2 * error.sum()) / len(y)
            moments[0] = 0.9 * moments[0] + 0.1 * gradient
            moments[1] = 0.999 * moments[1] + 0.001 * gradient**2
            first, second = moments[0] / (1 - 0.9**step), moments[1] / (1 - 0.999**step)
            rate = rates[epoch] if epoch > 1 else 0.05 * (epoch + batch / 3) / 2
            change = rate * first / (np.sqrt(second) + 1e-8)
            weight, bias = weight - change[:4], bias - change[4:]
    np.testing.assert_allclose(model.weight.detach().numpy()[0], weight, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(model.bias.detach().numpy(), bias, rtol=2e-5, atol=2e-6)


def test_the_log_has_one_entry_per_epoch(made: ModuleType) -> None:
    context = made.context("phase-2")
    facts = fit(network(), Schedule(3, 1e-2, warmup_epochs=2), context)
    assert facts["steps"] == 9 and context.checkpoints.epochs == [1, 2, 3]
    assert [entry["epoch"] for entry in facts["log"]] == [1, 2, 3]
    assert [entry["lr"] for entry in facts["log"]] == pytest.approx([5e-3, 1e-2, 1e-2])
    for entry in facts["log"]:
        assert set(entry) == {"epoch", "loss", "largest", "lr", "seconds", "images_per_second"}
        assert all(math.isfinite(value) for value in entry.values()) and entry["largest"] > entry["loss"] ** 0.5
    assert facts["log"][2]["loss"] < facts["log"][0]["loss"]


def test_logged_terms_are_means_over_the_steps(made: ModuleType) -> None:
    model = network()
    with torch.no_grad():
        model.train()
        expected = np.mean([float((model(x)[:, 0] - y).square().mean()) for x, y in batches(0)])
    model = network()
    facts = fit(model, Schedule(1, 0.0), made.context())
    assert facts["log"][0]["loss"] == pytest.approx(expected, rel=1e-6)


def test_progress_is_reported(made: ModuleType) -> None:
    context = made.context("initial")
    fit(network(), Schedule(2, 1e-2), context)
    assert context.report.starts == [("initial", 2, 3, 0)]
    assert [images for images, _ in context.report.steps] == [4, 4, 2] * 2
    looks = [loss for _, loss in context.report.steps]
    assert looks[0] > 0 and looks[1] is None and looks[3] > 0


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(made: ModuleType, stop: int, optimizer: str) -> None:
    schedule = Schedule(4, 1e-2, warmup_epochs=1, lr_step=1, optimizer=optimizer)
    whole, context = network(0.5), made.context()
    expected = fit(whole, schedule, context)

    first = made.context(checkpoints=made.Checkpoints(stop))
    with pytest.raises(made.Stopped):
        fit(network(0.5), schedule, first)
    torch.manual_seed(99)  # another process has another state
    resumed = network(0.5)
    with torch.no_grad():
        for parameter in resumed.parameters():
            parameter.add_(1.0)
    again = made.context(checkpoints=made.Checkpoints(state=first.checkpoints.state))
    found = fit(resumed, schedule, again)

    for name, value in module_tensors(whole).items():
        np.testing.assert_array_equal(value, module_tensors(resumed)[name])
    for name, value in context.checkpoints.state.tensors.items():  # the optimiser's too
        np.testing.assert_array_equal(value, again.checkpoints.state.tensors[name])
    assert found["steps"] == expected["steps"] == 12
    timeless = [{k: v for k, v in e.items() if "second" not in k} for e in found["log"]]
    assert timeless == [{k: v for k, v in e.items() if "second" not in k} for e in expected["log"]]
    assert again.report.starts == [("initial", 4, 3, stop)] and f"after epoch {stop} of 4" in again.report.lines[0]


def test_random_numbers_of_an_epoch_do_not_depend_on_the_state_before(made: ModuleType) -> None:
    results = []
    for state in (1, 2):
        model = network(0.5)
        torch.manual_seed(state)
        fit(model, Schedule(2, 1e-2), made.context())
        results.append(module_tensors(model))
    other = network(0.5)
    fit(other, Schedule(2, 1e-2), made.context(seed=8))
    for name, value in results[0].items():
        np.testing.assert_array_equal(value, results[1][name])
    assert not np.array_equal(results[0]["model.0.weight"], module_tensors(other)["model.0.weight"])


def test_frozen_parameters_stay(made: ModuleType) -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    before = module_tensors(model)
    fit(model, Schedule(1, 1e-2), made.context())
    after = module_tensors(model)
    np.testing.assert_array_equal(before["model.0.weight"], after["model.0.weight"])
    assert not np.array_equal(before["model.4.weight"], after["model.4.weight"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_kept(made: ModuleType, value: float) -> None:
    model, context = network(), made.context("phase-1")

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        bad = context.checkpoints.epochs == [1]
        return {"loss": model(batch[0]).mean() * (value if bad else 1.0)}

    with pytest.raises(RunError, match="phase-1, epoch 2: the loss is not finite"):
        train(model, Schedule(3, 1e-3), PLAN, batches, loss, context)
    assert context.checkpoints.epochs == [1]
    assert all(np.isfinite(v).all() for v in context.checkpoints.state.tensors.values())


def test_the_state_of_a_phase_starts_with_a_fresh_optimiser() -> None:
    state = training_state(network(), Schedule(1, 1e-3).make_optimizer(network().parameters()), {"epoch": 0})
    assert not any(name.startswith("optimizer.") for name in state.tensors) and state.meta["optimizer"] == {}


# Batches drawn ahead


def test_drawing_ahead_leaves_the_random_numbers_of_the_steps_alone(made: ModuleType) -> None:
    """Dropout and the like draw from the global generator, whenever the next batches are drawn."""
    plan, seen = EpochPlan(40, 4), []

    def slowly(pause: float) -> Any:
        def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for k in range(plan.steps):
                time.sleep(pause)
                yield torch.full((4, 4), float(k)), torch.zeros(4)

        return batches

    for pause in (0.0, 0.005):
        model, drawn = nn.Linear(4, 1), []
        with torch.no_grad():
            model.weight.fill_(0.1)
            model.bias.zero_()

        def loss(batch: tuple[torch.Tensor, torch.Tensor], model: nn.Module = model, drawn: Any = drawn) -> Any:
            noise = torch.rand(())
            drawn.append((float(batch[0][0, 0]), float(noise)))
            return {"loss": (model(batch[0])[:, 0] * noise - batch[1]).square().mean()}

        train(model, Schedule(2, 1e-3), plan, slowly(pause), loss, made.context())
        seen.append((drawn, model.weight.detach().clone()))
    assert seen[0][0] == seen[1][0] and torch.equal(seen[0][1], seen[1][1])
    assert [k for k, _ in seen[0][0]] == [*range(10), *range(10)]


def test_an_error_in_drawing_batches_ends_the_training(made: ModuleType) -> None:
    def broken(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield torch.zeros(4, 4), torch.zeros(4)
        raise RunError("the third image is gone")

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"loss": model(batch[0]).square().mean()}

    model = nn.Linear(4, 1)
    with pytest.raises(RunError, match="the third image is gone"):
        train(model, Schedule(1, 1e-3), EpochPlan(8, 4), broken, loss, made.context())
    assert all(thread.name != "batches" for thread in threading.enumerate())
