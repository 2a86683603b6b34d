"""The graph of a sweep: shared stages once, each before the runs that need it, cheap runs first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.forecast import Forecaster
from ssliqa_bench.runner.graph import Graph, build_graph
from ssliqa_bench.runner.history import History
from ssliqa_bench.runner.tasks import StageStates
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.records import iter_records

if TYPE_CHECKING:
    from tests.conftest import Bench


def graph_of(stages: list[list[str]], seconds: list[float | None] | None = None, stored: tuple[str, ...] = ()) -> Graph:
    """The graph of runs whose stages have these keys, in their order."""
    runs = {k: (RunSpec(f"m{k}", Pair("a", "b")), f"run {k}") for k in range(len(stages))}
    looked = {
        k: StageStates(tuple((f"stage of {key}", key, key in stored) for key in own)) for k, own in enumerate(stages)
    }
    return build_graph(runs, looked, dict(enumerate(seconds or [None] * len(stages))))


def order(graph: Graph) -> list[int]:
    """The nodes in the order in which one worker does them."""
    waiting, done = set(graph.nodes), list[int]()
    while waiting:
        number = graph.ready(waiting, set(done))[0]
        waiting.discard(number)
        done.append(number)
    return done


def test_a_stage_that_ten_runs_share_has_one_node_and_each_run_one() -> None:
    graph = graph_of([["start", f"own {k}"] for k in range(10)])
    assert len(graph.nodes) == 11
    (stage,) = graph.users
    assert graph.users[stage] == tuple(range(10)) and graph.keys[stage] == ("start",)
    assert graph.nodes[stage].task.do == "stages" and graph.nodes[stage].task.stage == "stage of start"
    assert all(graph.nodes[k].needs == {stage} and graph.nodes[k].task.do == "record" for k in range(10))
    assert order(graph)[0] == stage


def test_stages_of_one_run_and_stored_ones_have_no_node() -> None:
    assert set(graph_of([["a", "b", "c"], ["d"], []]).nodes) == {0, 1, 2}
    assert set(graph_of([["start", "a"], ["start", "b"]], stored=("start",)).nodes) == {0, 1}


def test_consecutive_stages_with_the_same_users_are_one_node_and_others_follow_each_other() -> None:
    graph = graph_of([["s", "t", "u", "x"], ["s", "t", "u", "y"], ["s", "z"]])
    first, second = sorted(graph.users)
    assert graph.keys == {first: ("s",), second: ("t", "u")}
    assert graph.users == {first: (0, 1, 2), second: (0, 1)}
    assert graph.nodes[second].needs == {first} and graph.nodes[0].needs == {first, second}
    assert graph.nodes[2].needs == {first}
    assert graph.beyond(first) == {second, 0, 1, 2} and graph.beyond(second) == {0, 1}


def test_a_run_fails_with_a_stage_that_one_of_its_stages_waits_for() -> None:
    """Run 1 does not need the stage k1 itself: it shares k2, which is computed on top of the first run's k1."""
    graph = graph_of([["k1", "k2"], ["k9", "k2"], ["k1", "k3"], ["other"]])
    first, second = sorted(graph.users)
    assert graph.keys == {first: ("k1",), second: ("k2",)} and graph.nodes[second].needs == {first}
    assert graph.failing(first) == {0, 1, 2} and graph.failing(second) == {0, 1} and graph.failing(3) == {3}


def test_cheap_runs_come_first_and_the_longest_last() -> None:
    graph = graph_of([["s", "a"], ["b"], ["s", "c"], ["d"]], [50.0, 20.0, 3.0, 100.0])
    (stage,) = graph.users
    assert order(graph) == [stage, 2, 1, 0, 3]


def test_a_task_weighs_what_comes_on_top_of_the_stages_before_it() -> None:
    graph = graph_of([["s"], ["s", "t", "a"], ["s", "t", "b"], ["c"]], [10.0, 40.0, 60.0, 5.0])
    first, second = sorted(graph.users)
    assert graph.own_weights() == {first: 10.0, 0: 0.0, second: 30.0, 1: 0.0, 2: 20.0, 3: 5.0}


def test_a_forecast_takes_the_time_of_earlier_records(finished: Bench) -> None:
    record = next(iter_records(finished.store))
    seconds = record.facts.seconds
    known = History(finished.store, "cpu", 1)
    spec = RunSpec(record.cell.method, Pair("tiny-a", "tiny-b"), seed=7, recipe="check")
    assert known.seconds(spec) == pytest.approx(seconds.train + seconds.predict)
    assert known.seconds(RunSpec(record.cell.method, Pair("tiny-a"), recipe="check")) is None
    assert History(finished.store, "cuda", 1).seconds(spec) is None
    assert History(finished.store, "cpu", 1, ranks=2).seconds(spec) is None, "several processes shared none of them"
    plan, settings = finished.plan(record.cell.method, seed=7)
    forecast = Forecaster(load_registry([finished.data / "registry.yaml"]), settings).look(plan.spec)
    assert forecast.status == "to run" and forecast.seconds == known.seconds(plan.spec)


def test_a_learner_that_states_no_work_is_estimated_from_records_at_other_budgets(bench: Bench) -> None:
    """FixMatch's steps are fixed: training takes as long with other images, prediction goes with their number."""
    registry = load_registry([bench.data / "registry.yaml"])
    plan, settings = bench.plan("fixmatch", budget=16)
    assert (Forecaster(registry, settings).look(plan.spec).seconds or 0) > 0, "no record, so it is tried"
    bench.run("fixmatch", "--budget", "16", "--seed", "1", "--recipe", "check")
    (record,) = iter_records(bench.store)
    seconds, known = record.facts.seconds, History(bench.store, "cpu", 1)
    roles = [dataset.roles for dataset in record.datasets.values()]
    labeled, unlabeled, tested = (sum(own.get(role, 0) for own in roles) for role in ("labeled", "unlabeled", "test"))

    def similar(labeled: int, unlabeled: int | None, tested: int, *, fixed: bool) -> float | None:
        return known.similar_seconds(
            "fixmatch", "check", {}, labeled=labeled, unlabeled=unlabeled, tested=tested, fixed=fixed
        )

    more = 2 * tested + 2 * unlabeled  # so that three times as many are predicted
    predicted = seconds.train + 3 * seconds.predict
    assert similar(labeled, unlabeled, tested + more, fixed=True) == pytest.approx(predicted)
    assert similar(2 * labeled + unlabeled, unlabeled, tested + more, fixed=False) == pytest.approx(
        predicted + seconds.train
    )
    unread = similar(2 * labeled, None, 3 * tested, fixed=False)
    assert unread == pytest.approx(predicted + seconds.train), "unlabeled images that nobody reads do not count"

    def at(recipe: str = "check", **asked: Any) -> float:
        plan, _ = bench.plan("fixmatch", recipe=recipe, **asked)
        return Forecaster(registry, settings).look(plan.spec).seconds or 0.0

    assert seconds.train < at(budget=12) == at(budget=8), "steps do not depend on labels"
    assert seconds.train < at(budget=12, unlabeled_budget=1) < at(budget=12)
    assert at("demo", budget=12) == 0.0, "another recipe, whose batches are larger: such a run ends with an error"


def test_unlabeled_images_do_not_count_for_a_learner_that_reads_labels_alone(bench: Bench) -> None:
    words = ("--budget", "6", "--seed", "1", "--recipe", "check", "--set", "batch_size=4")
    bench.run("supervised-levels", *words, pair="tiny-a:tiny-a")
    (record,) = iter_records(bench.store)
    seconds, registry = record.facts.seconds, load_registry([bench.data / "registry.yaml"])
    (roles,) = (dataset.roles for dataset in record.datasets.values())
    assert roles["unlabeled"] > roles["test"]
    for asked in ({"budget": 4}, {"budget": 8}, {"budget": 6, "unlabeled_budget": 1}):
        plan, settings = bench.plan(
            "supervised-levels", "tiny-a:tiny-a", recipe="check", overrides=(("batch_size", 4),), **asked
        )
        found = Forecaster(registry, settings).look(plan.spec).seconds
        # Its steps are fixed. Of 24 images a forecast takes a fifth for the test part, the split a third: whole scenes.
        assert found == pytest.approx(seconds.train + seconds.predict * 5 / roles["test"])
