"""Stages are found by what they read, so that entries with one beginning share its artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.registry.load import load_registry

if TYPE_CHECKING:
    from tests.conftest import Bench

REGISTRY = load_registry()
RECIPES = ("paper", "demo", "check")
SSIQA = [name for name, entry in REGISTRY.methods.items() if entry.prefix is None
         and "supervised" in REGISTRY.resolve_method(name, None).chain]
STARTS = [name for name in SSIQA if REGISTRY.resolve_method(name, None).unlabeled_role == "unlabeled"]


def stage_keys(bench: Bench, method: str, recipe: str, **overrides: Any) -> dict[str, str]:
    """Keys of all stages of a method, nothing trained."""
    from ssliqa_bench.runner.compute import make_sets
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.runner.progress import ConsoleReporter
    from ssliqa_bench.runner.sources import open_sources
    from ssliqa_bench.runner.stages import StageRunner
    from ssliqa_bench.store.artifacts import ArtifactStore

    asked = tuple(sorted({"pretrained": False, **overrides}.items()))
    plan, settings = bench.plan(method, recipe=recipe, overrides=asked)
    learner = make_learner(plan)
    sets = make_sets(plan, learner, open_sources(plan, settings, learner)[0])
    runner = StageRunner(plan, learner, sets, ArtifactStore(bench.store), ConsoleReporter(quiet=True), True)
    keys: dict[str, str] = {}
    for stage in learner.stages():
        keys[stage.name] = runner.key_of(stage, keys)
    return keys


def test_the_registry_has_what_these_tests_are_about() -> None:
    assert {"supervised", "supervised-long", "ssiqa", "ssiqa-1in100", "ssiqa-baseline", "ssiqa-il", "ssiqa-krr"} <= set(
        STARTS
    )
    assert set(SSIQA) - set(STARTS) == {"oracle"}


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
    assert {name: first[name] for name in ("key", "steps", "seconds", "metrics", "log")} == {
        name: supervised["stages"][0][name] for name in ("key", "steps", "seconds", "metrics", "log")
    }
    assert last["key"] == ssiqa["keys"]["model"] and last["metrics"] == ssiqa["metrics"]
    assert ssiqa["steps"] == sum(stage["steps"] for stage in ssiqa["stages"])
    assert ssiqa["seconds"]["train"] == pytest.approx(sum(stage["seconds"] for stage in ssiqa["stages"]), abs=0.01)
    assert not (finished.store / "checkpoints").exists() or not list((finished.store / "checkpoints").iterdir())
    names = {path.name for path in (finished.store / "artifacts").iterdir()}
    assert names == {stage["key"] for stage in ssiqa["stages"]}
    epochs = [epoch for stage in ssiqa["stages"] for epoch in stage["log"]]
    assert len(epochs) == 4 and all({"epoch", "loss", "lr", "seconds"} <= set(epoch) for epoch in epochs)
