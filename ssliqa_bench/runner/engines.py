"""Many runs: in this process, in several of this machine, or on a cluster; rows of one table, one planner for all.

The driver answers what is finished from the store. Of the rest, workers look which stages it has; the planner makes a
graph of them, in which a stage that several runs share is computed once; the pool of an engine works it off.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssliqa_bench.errors import InputError, SsliqaError, StorageError
from ssliqa_bench.runner import execute
from ssliqa_bench.runner.graph import Graph, Node, build_graph
from ssliqa_bench.runner.history import History
from ssliqa_bench.runner.plan import Plan, make_plan
from ssliqa_bench.runner.plan_cache import Known
from ssliqa_bench.runner.pools import ENGINES, Pool
from ssliqa_bench.runner.settings import Cluster, Settings
from ssliqa_bench.runner.tasks import Failed, Lost, Recorded, Result, StageStates, Task, forget, registry
from ssliqa_bench.runner.workers import Died
from ssliqa_bench.specs import RunSpec
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.record import Record

if TYPE_CHECKING:
    from ssliqa_bench.runner.sweep_display import Pace, Running, StageWatch, Standing, SweepDisplay

LOG = logging.getLogger("ssliqa_bench")


@dataclass(frozen=True)
class RunResult:
    """One run of a sweep: its record, or the error that stopped it."""

    spec: RunSpec
    status: str
    record: Record | None = None
    error: str | None = None


def check_jobs(jobs: int, threads: int, force: bool) -> None:
    """Refuse more threads than cores, which makes every job slower, unless forced.

    Raises:
        InputError: jobs × threads exceeds the cores this process may use.
    """
    cores = len(os.sched_getaffinity(0))
    if jobs < 1:
        raise InputError(f"--jobs: got {jobs}; expected 1 or more.")
    if jobs * threads > cores and not force:
        raise InputError(
            f"--jobs {jobs} with --threads {threads} asks for {jobs * threads} cores; this machine gives "
            f"{cores}. Lower one of them, or add --force."
        )


def run_all(
    specs: Sequence[RunSpec],
    registries: Sequence[Path],
    settings: Settings,
    jobs: int,
    report: Callable[[RunResult, int, int], None],
    *,
    engine: str = "local",
    cluster: Cluster | None = None,
) -> list[RunResult]:
    """Run every spec on an engine; a failed run does not stop the others.

    `report` receives each result as it comes, how many are done and how many there are.

    Args:
        jobs: runs at a time of the engine `local`, each in a process of its own.
        engine: a row of `ENGINES`.

    Raises:
        InputError: the cluster cannot be reached or used.
        StorageError: the disk is full; what was finished stays finished.
    """
    forget()
    sweep, row, chosen = _Sweep(specs, report), ENGINES[engine], cluster or Cluster()
    with row.prepared(settings, chosen) as settings:
        plans = _answered(sweep, registries, settings)
        if plans:
            pool = row.pool(registries, settings, jobs, chosen, list(plans.values()))
            try:
                _work_off(sweep, plans, pool, settings)
            finally:
                pool.close()
    return [sweep.results[number] for number in range(len(specs))]


class _Sweep:
    """Results so far, by the number of the run."""

    def __init__(self, specs: Sequence[RunSpec], report: Callable[[RunResult, int, int], None]) -> None:
        self.specs, self._report = specs, report
        self.results: dict[int, RunResult] = {}

    def add(self, number: int, result: RunResult) -> None:
        """A run is done, or has failed."""
        self.results[number] = result
        self._report(result, len(self.results), len(self.specs))

    def fail(self, number: int, error: str) -> None:
        """A run has failed."""
        self.add(number, RunResult(self.specs[number], "failed", error=error))


def _answered(sweep: _Sweep, registries: Sequence[Path], settings: Settings) -> dict[int, Plan]:
    """Answer what the store holds, and give the plans of the rest by number. No torch is imported."""
    left: dict[int, Plan] = {}
    known = Known()
    for number, spec in enumerate(sweep.specs):
        try:
            plan = make_plan(spec, registry(tuple(registries)), settings, known)
            stored = execute.stored_record(plan, settings, look_only=True) if settings.use_store else None
            if stored is None or execute.unanswered(plan, stored):
                left[number] = plan
                continue
            sweep.add(number, RunResult(spec, "cached", execute.run(plan, settings).record))
        except StorageError:
            raise
        except SsliqaError as error:
            sweep.fail(number, str(error))
        except (Exception, SystemExit) as error:  # a defect in one reader must not take the other runs with it
            sweep.fail(number, f"{type(error).__name__}: {error}")
    return left


def _work_off(sweep: _Sweep, plans: Mapping[int, Plan], pool: Pool, settings: Settings) -> None:
    from ssliqa_bench.runner.sweep_display import Pace, StageWatch, SweepDisplay

    runs = {number: (sweep.specs[number], plan.key) for number, plan in plans.items()}
    looked: dict[int, StageStates] = {}
    with SweepDisplay(live=not settings.quiet) as display:
        if settings.use_store and len(runs) > 1:
            looking = Graph({number: Node(Task(number, spec, "look", key=key)) for number, (spec, key) in runs.items()})
            for number, result in _finished(_Work(looking, pool, sweep), display):
                if isinstance(result, StageStates):
                    looked[number] = result
            runs = {number: own for number, own in runs.items() if number not in sweep.results}
        history = History.of(settings, next(iter(plans.values())).device)
        seconds = {number: history.seconds(plans[number].spec) for number in runs}
        graph = build_graph(runs, looked, seconds)
        pace = Pace(graph.own_weights(), certain=None not in seconds.values())
        stages = {number: [(name, key) for name, key, _ in own.stages] for number, own in looked.items()}
        watch = StageWatch(ArtifactStore(settings.store), stages)
        for number, result in _finished(_Work(graph, pool, sweep, pace, watch), display):
            if isinstance(result, Recorded):
                status = "cached" if result.cached else "done"
                sweep.add(number, RunResult(sweep.specs[number], status, result.record))
    _discard_shared(graph, sweep, settings)


@dataclass
class _Work:
    """The tasks of a graph: which are worked on, since when, and what shows how far they are."""

    graph: Graph
    pool: Pool
    sweep: _Sweep
    pace: Pace | None = None
    watch: StageWatch | None = None
    running: dict[int, float] = field(default_factory=dict)

    def begin(self, number: int, task: Task) -> None:
        """Submit a task."""
        self.running[number] = time.monotonic()
        self.pool.submit(number, task)

    def end(self, number: int, *, done: bool) -> None:
        """A task has ended; only one that is done says anything about the pace."""
        seconds = time.monotonic() - self.running.pop(number)
        if done and self.pace is not None:
            self.pace.add(number, seconds)

    def drop(self, numbers: set[int]) -> None:
        """Tasks that will not be done."""
        if self.pace is not None:
            self.pace.drop(numbers)

    def standing(self) -> Standing:
        """How far the sweep is."""
        from ssliqa_bench.runner.sweep_display import Standing

        now, results = time.monotonic(), self.sweep.results
        seconds = {number: now - since for number, since in self.running.items()}
        failed = sum(result.status == "failed" for result in results.values())
        runs = {self.graph.nodes[number].task.run for number in self.running if number not in self.graph.users}
        places = len(seconds) + max(self.pool.free, 0)
        return Standing(
            runs=len(self.sweep.specs),
            finished=len(results) - failed,
            failed=failed,
            waiting=len(self.sweep.specs) - len(results) - len(runs - results.keys()),
            running=tuple(self._told(number, own) for number, own in seconds.items()),
            left=None if self.pace is None else self.pace.left(seconds, places),
        )

    def _told(self, number: int, seconds: float) -> Running:
        from ssliqa_bench.runner.sweep_display import Running

        task = self.graph.nodes[number].task
        stage, epochs = ("planning", None) if self.watch is None else self.watch.of(task.run)
        users = len(self.graph.users.get(number, ()))
        shared = f" for {users} runs" if users else ""
        return Running(str(task.spec), self.pool.where(number), f"{stage or task.stage or ''}{shared}", epochs, seconds)


def _finished(work: _Work, display: SweepDisplay) -> Iterator[tuple[int, Result]]:
    """Number and result of every node, as they are done; runs that fail are reported to the sweep."""
    graph, pool, sweep = work.graph, work.pool, work.sweep
    waiting, done = set(graph.nodes), set[int]()
    attempts: dict[int, int] = {}
    made: dict[int, list[str]] = {}
    while waiting or work.running:
        for number in graph.ready(waiting, done)[: pool.free]:
            task = graph.nodes[number].task
            waiting.discard(number)
            work.begin(number, replace(task, made=tuple(made.get(task.run, ()))) if task.do == "record" else task)
        for number, result in pool.finished(display.pulse):
            task = graph.nodes[number].task
            work.end(number, done=not isinstance(result, Lost | Died | Failed))
            if isinstance(result, Lost) and attempts.get(number, 0) < pool.retries:
                attempts[number] = attempts.get(number, 0) + 1
                LOG.warning("%s: %s. Again from its last checkpoint, attempt %d of %d.", task, result.reason,
                            attempts[number] + 1, pool.retries + 1)  # fmt: skip
                waiting.add(number)
                continue
            if isinstance(result, Died | Lost):
                told = result.reason if isinstance(result, Lost) else f"its worker process died ({result})"
                result = Failed(f"{told}. The same sweep runs it again.")
            if isinstance(result, Failed):
                for run in sorted(graph.failing(number)):
                    if run in waiting or run == number:
                        sweep.fail(run, result.error)
                lost = {number, *graph.failing(number), *graph.beyond(number)}
                waiting -= lost
                work.drop(lost)
                continue
            if isinstance(result, tuple):
                made.setdefault(task.run, []).extend(result)
            done.add(number)
            yield number, result
        if work.running:
            display.show(work.standing)


def _discard_shared(graph: Graph, sweep: _Sweep, settings: Settings) -> None:
    """Remove the artifacts of shared stages that are not to be kept, once no run of the sweep needs them."""
    if settings.keep == "phases":
        return
    records = {number: result.record for number, result in sweep.results.items()}
    final = {record.facts.model_key for record in records.values() if record is not None}
    for number, users in graph.users.items():
        if all(records.get(user) is not None for user in users):  # a run that failed may still need them
            for key in graph.keys[number]:
                if settings.keep == "none" or key not in final:
                    ArtifactStore(settings.store).remove(key)
