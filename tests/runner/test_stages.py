"""Stages are found by what they read, so that entries with one beginning share its artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.registry.load import load_registry

if TYPE_CHECKING:
    from tests.conftest import Bench

REGISTRY = load_registry()
RECIPES = ("paper", "demo", "check")
SSIQA = [name for name, entry in REGISTRY.methods.items() if entry.prefix is None
         and "supervised" in REGISTRY.resolve_method(name, None).chain]
# Controls train on other scores.
STARTS = [name for name in SSIQA if REGISTRY.resolve_method(name, None).unlabeled_role == "unlabeled"
          and REGISTRY.methods[name].about.family != "control"]


def stage_keys(
    bench: Bench, method: str, recipe: str, registry: Path | None = None, **overrides: Any
) -> dict[str, str]:
    """Keys of all stages of a method, nothing trained."""
    from ssliqa_bench.runner import artifact_keys
    from ssliqa_bench.runner.learners import make_learner

    asked = tuple(sorted({"pretrained": False, **overrides}.items()))
    own = {} if registry is None else {"registry": registry}
    plan, _ = bench.plan(method, recipe=recipe, overrides=asked, **own)
    return artifact_keys.stage_keys(plan, make_learner(plan))


def test_the_registry_has_what_these_tests_are_about() -> None:
    assert {"supervised", "supervised-long", "ssiqa", "ssiqa-1in100", "ssiqa-baseline", "ssiqa-il", "ssiqa-krr"} <= set(
        STARTS
    )
    assert set(SSIQA) - set(STARTS) == {"oracle", "supervised-shuffled"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_entries_but_the_oracle_start_from_one_model(bench: Bench, recipe: str) -> None:
    initial = stage_keys(bench, "supervised", recipe)["initial"]
    assert {method: stage_keys(bench, method, recipe)["initial"] for method in STARTS} == dict.fromkeys(STARTS, initial)
    assert stage_keys(bench, "oracle", recipe)["initial"] != initial


def test_each_recipe_starts_from_a_model_of_its_own(bench: Bench) -> None:
    assert len({stage_keys(bench, "supervised", recipe)["initial"] for recipe in RECIPES}) == 3


def test_a_parameter_changes_the_stages_that_read_it_and_those_after(bench: Bench) -> None:
    plain = stage_keys(bench, "ssiqa", "check")
    assert list(plain) == ["initial", "phase-1", "phase-2", "phase-3"] and len(set(plain.values())) == 4

    def same(**overrides: Any) -> list[str]:
        other = stage_keys(bench, "ssiqa", "check", **overrides)
        return [name for name in plain if other.get(name) == plain[name]]

    assert same(test_crops=3) == list(plain), "how a finished model looks at images is no part of training"
    assert same(krr_lambda=0.2) == same(phase_epochs=2) == same(blocks=4) == ["initial"]
    assert same(epochs=2) == same(lr=0.5) == []


def test_phases_that_read_the_same_are_shared_as_well(bench: Bench) -> None:
    assert stage_keys(bench, "ssiqa", "check") == stage_keys(bench, "ssiqa-il", "check", pseudo_labels="krr")
    krr, one = stage_keys(bench, "ssiqa-krr", "check"), stage_keys(bench, "ssiqa-q1", "check")
    assert krr.keys() == one.keys() and krr["phase-1"] != one["phase-1"], "they replay other images"
    long = stage_keys(bench, "supervised-long", "check")
    assert long.keys() == stage_keys(bench, "ssiqa", "check").keys()
    assert stage_keys(bench, "supervised-long", "check", krr_lambda=0.2) == long, "it makes no pseudo-labels"


def test_records_name_the_keys_and_say_what_was_found(finished: Bench) -> None:
    supervised = finished.facts(finished.key("supervised"))
    ssiqa = finished.facts(finished.key("ssiqa"))
    assert [stage["name"] for stage in ssiqa["stages"]] == ["initial", "phase-1", "phase-2", "phase-3"]
    assert [stage["cached"] for stage in ssiqa["stages"]] == [True, False, False, False]
    first, last = ssiqa["stages"][0], ssiqa["stages"][-1]
    assert {name: first[name] for name in ("key", "steps", "seconds", "log")} == {
        name: supervised["stages"][0][name] for name in ("key", "steps", "seconds", "log")
    }
    # SRCC by label is computed for final models alone.
    final = {name: {k: v for k, v in own.items() if k != "by"} for name, own in supervised["metrics"].items()}
    assert first["metrics"] == final and all("by" in own for own in supervised["metrics"].values())
    assert last["key"] == ssiqa["keys"]["model"] and last["metrics"] == ssiqa["metrics"]
    assert ssiqa["steps"] == sum(stage["steps"] for stage in ssiqa["stages"])
    assert ssiqa["seconds"]["train"] == pytest.approx(sum(stage["seconds"] for stage in ssiqa["stages"]), abs=0.01)
    assert not (finished.store / "checkpoints").exists() or not list((finished.store / "checkpoints").iterdir())
    names = {path.name for path in (finished.store / "artifacts").iterdir()}
    assert names == {stage["key"] for stage in ssiqa["stages"]}
    epochs = [epoch for stage in ssiqa["stages"] for epoch in stage["log"]]
    assert len(epochs) == 4 and all({"epoch", "loss", "lr", "seconds"} <= set(epoch) for epoch in epochs)


TWO_RUNS = """
import functools

import numpy as np

from ssliqa_bench.methods.supervised import INITIAL_PARAMS, Supervised, run_initial
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact


def run_plain(context):
    return run_initial(context)


def run_zero(context):
    found = run_initial(context)
    return Artifact({name: np.zeros_like(own) for name, own in found.tensors.items()}, found.meta)


def renamed(context):
    return run_initial(context)


def run_nested(factor):
    def run(context):
        return run_initial(context)
    return run


class Plain(Supervised):
    run = [run_plain]

    def stages(self):
        return [Stage("initial", self.run[0], sets=("labeled",), params=INITIAL_PARAMS)]


class Zero(Plain):
    run = [run_zero]


class Renamed(Plain):
    run = [renamed]


class Nested(Plain):
    run = [run_nested(2)]


class Partial(Plain):
    run = [functools.partial(run_plain)]


class Lambda(Plain):
    run = [lambda context: run_initial(context)]


class Bound(Plain):
    def stages(self):
        return [Stage("initial", self.learn, sets=("labeled",), params=INITIAL_PARAMS)]

    def learn(self, context):
        return run_initial(context)
"""
MADE = ("Plain", "Zero", "Renamed", "Nested", "Lambda", "Partial", "Bound")


@pytest.fixture
def two_runs(bench: Bench) -> Path:
    """A registry file with a method for every class of `TWO_RUNS`, which stands beside it."""
    (bench.store.parent / "two_runs.py").write_text(TWO_RUNS)
    methods = {
        f"own-{made.lower()}": {
            "about": {"title": "T", "description": "D"}, "extends": "supervised", "class": f"two_runs:{made}",
        }
        for made in MADE
    }  # fmt: skip
    return bench.registry({"methods": methods})


def test_two_functions_of_one_module_share_no_artifact(bench: Bench, two_runs: Path) -> None:
    keys = {made: stage_keys(bench, f"own-{made.lower()}", "check", two_runs)["initial"] for made in MADE[:3]}
    assert keys["Plain"] != keys["Zero"]
    assert keys["Plain"] == keys["Renamed"], "the name of a function is no part of what it does"
    plain, zero = (bench.run(f"own-{made}", "--registry", str(two_runs)) for made in ("plain", "zero"))
    assert plain["metrics"]["tiny-a"]["srcc"] is not None and zero["metrics"]["tiny-a"]["srcc"] is None


@pytest.mark.parametrize("made", MADE[3:])
def test_a_stage_is_a_function_that_its_code_is_found_under(bench: Bench, two_runs: Path, made: str) -> None:
    code, err = bench.fails(f"own-{made.lower()}", "--registry", str(two_runs))
    assert code == 2 and "at the top level of a module" in err and "initial" in err
