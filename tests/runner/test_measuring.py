"""What a trial of a learner says, against what the learner states and what its parameters ask for."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner import trials
from ssliqa_bench.runner.learners import learner_of
from ssliqa_bench.runner.measuring import Sides, network_cost, training_effort
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.trials import Effort

SETTINGS = Settings(device="cpu", threads=1)
HEAD = {"backbone": {"inputs": 32}}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def learner(registry: Registry, name: str, recipe: str = "frozen", **overrides: Any) -> Learner:
    method = registry.resolve_method(name, recipe, overrides)
    return learner_of(method, registry.backbones_of(method))


def effort(
    made: Learner, labeled: int = 40, unlabeled: int = 60, *, heads: Mapping[str, Mapping[str, Any]] = HEAD,
    alone: bool = False,
) -> Effort:  # fmt: skip
    return training_effort(made, heads, Sides(labeled, unlabeled, 1), SETTINGS, alone=alone)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a thousandth of a second whenever it is read, as it is with every step."""
    ticks = itertools.count()
    monkeypatch.setattr(trials.time, "process_time", lambda: next(ticks) / 1000)


@pytest.mark.parametrize("recipe", ["frozen", "demo"])
@pytest.mark.parametrize(("name", "strong"), [("fixmatch", 1), ("simmatch", 1), ("comatch", 2)])
def test_crops_of_a_learner_that_states_no_work_are_counted(
    registry: Registry, name: str, strong: int, recipe: str
) -> None:
    made = learner(registry, name, recipe)
    p = made.params
    steps = p["epochs"] * p["epoch_steps"]
    assert made.work(40, 60) is None
    assert effort(made).learned == steps * p["batch_size"] * (1 + p["unlabeled_ratio"] * (1 + strong))
    alone = learner(registry, "supervised-levels", recipe)
    assert effort(alone, 40, 0).learned == alone.params["epochs"] * alone.params["epoch_steps"] * p["batch_size"]


def test_a_second_stage_counts_with_what_it_reads_of_the_first(registry: Registry, counted: None) -> None:
    one, two = (effort(learner(registry, "fixmatch", stage2=own)) for own in (False, True))
    p = learner(registry, "fixmatch").params
    assert two.learned - one.learned == p["stage2_epochs"] * p["epoch_steps"] * p["batch_size"]
    assert two.read - one.read >= 60 * p["test_crops"] and two.seconds > one.seconds


@pytest.mark.parametrize(
    ("name", "networks"),
    [("supervised", 1), ("supervised-ensemble", 1), ("ssiqa", 1), ("pseudo-label", 1), ("rankup", 1), ("ucvme", 2)],
)
def test_trials_of_all_stages_find_the_crops_that_a_learner_states(
    registry: Registry, name: str, networks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UCVME states a crop once that both of its networks learn from."""
    made = learner(registry, name)
    stated, found = made.work(40, 60), effort(made)
    assert stated is not None and (found.learned, found.read) == (stated.learned, stated.read)
    monkeypatch.setattr(type(made), "work", lambda *_: None)
    assert effort(made).learned == pytest.approx(networks * stated.learned, rel=0.05)


def test_seconds_grow_with_the_steps(registry: Registry, counted: None) -> None:
    for name in ("supervised", "pi-model", "fixmatch"):
        few, many = (effort(learner(registry, name, epochs=epochs)) for epochs in (2, 100))
        assert many.seconds == pytest.approx(50 * few.seconds, rel=0.2)
    few, many = (effort(learner(registry, "supervised"), labeled) for labeled in (100, 5000))
    assert many.seconds == pytest.approx(50 * few.seconds, rel=0.4), "of 5,000 images a thousand are tried"


def test_a_closed_form_is_tried_as_a_whole(registry: Registry, counted: None) -> None:
    made = learner(registry, "ridge-probe")
    few, many = effort(made, 1000, 0), effort(made, 8000, 0)
    assert (few.learned, few.read, many.read) == (0, 1000, 8000)
    assert many.seconds == pytest.approx(8**1.5 * few.seconds)
    assert effort(made, 60, 0, alone=True).read == 0, "what a trial with the head itself reads is in its seconds"


def test_a_head_is_tried_as_it_is_and_a_network_by_a_head_of_its_width(registry: Registry) -> None:
    head, network = (
        network_cost(learner(registry, "supervised", recipe).params["backbone"], crop, SETTINGS)
        for recipe, crop in (("frozen", 160), ("demo", 38))
    )
    assert head.alone and head.head["inputs"] == 1280 and not network.alone and set(network.head) == {"inputs"}
    assert min(network.learned, network.read, head.learned, head.read) > 0


def test_a_batch_that_the_images_do_not_fill_is_refused_as_in_a_run(registry: Registry) -> None:
    with pytest.raises(InputError, match="fewer than one batch"):
        effort(learner(registry, "fixmatch"), 4)
