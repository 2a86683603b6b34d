"""The parts that a sweep is cut into, and what a worker does with one; the same for every engine.

A task is small: it names a run, and what of it to do. A worker makes the plan itself and keeps the tables that it has
read, so that runs on the same datasets read them once.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssliqa_bench.errors import RunError, SsliqaError, StorageError
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.plan import Plan, make_plan
from ssliqa_bench.runner.plan_cache import Known
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec
from ssliqa_bench.store.record import Record


@dataclass(frozen=True)
class Task:
    """A part of a sweep.

    Attributes:
        run: the number of the run in the sweep, which names it.
        do: look which stages it has; compute its stages up to `stage`; or make its record.
        stage: the last stage that is computed.
        made: keys of stages that were computed for this run by tasks of their own; its record states it.
        key: of the run, as planned by the driver; a worker that finds another one refuses. None: not compared.
    """

    run: int
    spec: RunSpec
    do: Literal["look", "stages", "record"]
    stage: str | None = None
    made: tuple[str, ...] = ()
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.spec}{'' if self.stage is None else f', {self.stage}'}"


@dataclass(frozen=True)
class StageStates:
    """The stages of a run in their order: name, key, and whether the store has it. `crops` is what training reads and
    learns, where the learner states it."""

    stages: tuple[tuple[str, str, bool], ...]
    crops: float = 0.0


@dataclass(frozen=True)
class Failed:
    """In place of a result: why there is none."""

    error: str


@dataclass(frozen=True)
class Recorded:
    """A record, and whether it was there before."""

    record: Record
    cached: bool


@dataclass(frozen=True)
class Lost:
    """In place of a result: the worker was lost, and the task may be done again from its last checkpoint."""

    reason: str


Result = StageStates | Failed | Recorded | tuple[str, ...]


def do(task: Task, registries: Sequence[Path], settings: Settings) -> Result:
    """Do a task: what `look` finds, the keys of the stages that were computed, or the record.

    Raises:
        StorageError: the disk is full, which stops the whole sweep.
    """
    try:
        plan = make_plan(task.spec, registry(tuple(registries)), settings, _kept(tuple(registries), settings))
        if task.key is not None and plan.key != task.key:
            raise RunError(f"{task.spec}: the key of the run on {socket.gethostname()} is {plan.key[:12]}, that of the "
                           f"driver {task.key[:12]}: code, data or libraries differ there.")  # fmt: skip
        return _done(task, plan, settings)
    except StorageError:
        raise
    except SsliqaError as error:
        return Failed(str(error))
    except (Exception, SystemExit) as error:  # a defect in one learner must not take the other runs with it
        return Failed(f"{type(error).__name__}: {error}")


def _done(task: Task, plan: Plan, settings: Settings) -> Result:
    if task.do == "record":
        from ssliqa_bench.runner.execute import run

        outcome = run(plan, settings, task.made)
        return Recorded(outcome.record, outcome.cached)
    if task.do == "stages":
        from ssliqa_bench.runner.compute import compute_stages

        return compute_stages(plan, settings, str(task.stage))
    return _looked(plan, settings)


def _looked(plan: Plan, settings: Settings) -> StageStates:
    from ssliqa_bench.runner.artifact_keys import readable_roles, stage_keys
    from ssliqa_bench.runner.learners import make_learner
    from ssliqa_bench.store.artifacts import ArtifactStore

    learner, store = make_learner(plan), ArtifactStore(settings.store)
    roles = readable_roles(plan, settings)
    work = learner.work(sum(own.count("labeled") for own in plan.roles.values()), plan.unlabeled)
    crops = 0.0 if work is None else 3.0 * work.learned + work.read
    # Which images are readable is known once they are decoded; until then no stage has a key.
    found = {} if roles is None else stage_keys(plan, learner, roles)
    return StageStates(tuple((name, key, store.has(key)) for name, key in found.items()), crops)


@functools.lru_cache(maxsize=1)
def registry(registries: tuple[Path, ...]) -> Registry:
    """Read once by each process of a sweep, so that all of its runs mean the same."""
    from ssliqa_bench.registry.load import load_registry

    return load_registry(registries)


@functools.lru_cache(maxsize=1)
def _kept(registries: tuple[Path, ...], settings: Settings) -> Known:
    """What this process has read and worked out for the sweep."""
    return Known()


def forget() -> None:
    """Read registries and tables anew: at the beginning of a sweep in a process that ran another one."""
    registry.cache_clear()
    _kept.cache_clear()
