"""Running a learner's stages: each is found under its key, or computed and stored there."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.models.weights import usable_file
from ssliqa_bench.runner.artifact_keys import stage_keys
from ssliqa_bench.runner.devices import peak_memory_bytes, reset_peak_memory
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.ranks import Group, Order, current_group
from ssliqa_bench.runner.sets import LearnerSets
from ssliqa_bench.runner.stage_context import stage_context
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.record import Record
from ssliqa_bench.training.stages import Checkpoints, Reporter, Stage, StageContext
from ssliqa_bench.types import Artifact

_log = logging.getLogger("ssliqa_bench")


@dataclass
class StageResult:
    """A finished stage: where its artifact is and what it cost when it was computed."""

    stage: Stage
    key: str
    facts: Mapping[str, Any]
    cached: bool
    store: ArtifactStore

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return int(self.facts["steps"])

    @property
    def seconds(self) -> float:
        """Seconds that the stage took when it was computed, over all its interruptions."""
        return float(self.facts["seconds"])

    @property
    def notes(self) -> list[str]:
        """Sentences of the stage that belong to the result."""
        return list(self.facts["notes"])

    def load(self) -> Artifact:
        """Its artifact, read from the store."""
        loaded = self.store.load(self.key)
        if loaded is None:
            raise RunError(
                f"{self.stage.name}: its artifact {self.key[:12]} vanished from {self.store.store} during the "
                f"run. Run the same command again."
            )
        return loaded[0]

    def summary(self) -> dict[str, Any]:
        """What a record says of it."""
        return {
            "name": self.stage.name,
            "key": self.key,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "cached": self.cached,
            "log": self.facts["log"],
            "notes": self.notes,
        }


class StageRunner:
    """Runs the stages of one plan in order."""

    def __init__(
        self,
        plan: Plan,
        learner: Learner,
        sets: LearnerSets,
        store: ArtifactStore,
        report: Reporter,
        use_store: bool,
        made: Collection[str] = (),
    ) -> None:
        self._plan = plan
        self._learner = learner
        self._sets = sets
        self._store = store
        self._report = report
        self._use_store = use_store
        self._made = made  # keys of stages that were computed for this run before: they do not count as found

    def run(self, last: str | None = None) -> list[StageResult]:
        """All stages, or those up to one, found or computed."""
        keys = stage_keys(self._plan, self._learner, self._sets.roles)
        done: dict[str, StageResult] = {}
        for stage in self._learner.stages():
            done[stage.name] = self._one(stage, keys[stage.name], done)
            if stage.name == last:
                break
        return list(done.values())

    def follow(self, order: Order, group: Group) -> None:
        """Train a stage in step with process 0, which keeps what it leaves.

        Raises:
            RunError: its key is another one here.
        """
        found = stage_keys(self._plan, self._learner, self._sets.roles).get(order.stage)
        if found != order.key:
            raise RunError(
                f"the key of stage {order.stage} is {str(found)[:12]} here, that of process 0 {order.key[:12]}: code, "
                f"data or libraries changed meanwhile."
            )
        stage = next(own for own in self._learner.stages() if own.name == order.stage)
        group.ready()
        inputs = group.sent(None)
        group.run(stage.run, self._context(stage, inputs, group.checkpoints(None), self._report))

    def _one(self, stage: Stage, key: str, done: Mapping[str, StageResult]) -> StageResult:
        with self._store.lock(key):
            loaded = self._store.load(key) if self._use_store else None
            if loaded is not None:
                return StageResult(stage, key, loaded[1], key not in self._made, self._store)
            facts = self._compute(stage, key, done)
        return StageResult(stage, key, facts, False, self._store)

    def _compute(self, stage: Stage, key: str, done: Mapping[str, StageResult]) -> dict[str, Any]:
        plan, group = self._plan, current_group()
        checkpoints = _StageCheckpoints(self._store, key)
        if not self._use_store:
            self._store.clear_checkpoints(key)
        report = _Notes(self._report, stage.name)
        inputs = {name: done[name].load() for name in stage.inputs}
        if group is not None:
            group.lead(Order(plan.spec, stage.name, key))
            inputs = group.sent(inputs)
        shared = checkpoints if group is None else group.checkpoints(checkpoints)
        context = self._context(stage, inputs, shared, report)
        reset_peak_memory(plan.device)
        started = time.perf_counter()
        artifact = stage.run(context) if group is None else group.run(stage.run, context)
        seconds = checkpoints.seconds_before + time.perf_counter() - started
        facts = {
            "stage": stage.name,
            "inputs": {name: done[name].key for name in stage.inputs},
            "steps": int(artifact.meta.get("steps", 0)),
            "seconds": round(seconds, 3),
            "log": list(artifact.meta.get("log", [])),
            "notes": report.notes,
            "peak_memory_bytes": peak_memory_bytes(plan.device),
        }
        self._store.save(key, artifact, facts)
        self._store.clear_checkpoints(key)
        return facts

    def _context(
        self, stage: Stage, inputs: Mapping[str, Artifact], checkpoints: Checkpoints, report: Reporter
    ) -> StageContext:
        plan = self._plan
        return stage_context(
            stage,
            self._sets,
            inputs,
            stage.declared(plan.params),
            {name: usable_file(w) for name, w in plan.weights.items() if name in stage.params},
            seed=plan.spec.seed,
            device=plan.device,
            precision=plan.precision,
            checkpoints=checkpoints,
            report=report,
        )


def final_artifact(record: Record, store: ArtifactStore) -> Artifact | None:
    """The artifact of a record's final model; None of a method that learns nothing.

    Raises:
        InputError: it was not kept or is damaged.
    """
    if not record.facts.stages:
        return None
    loaded = store.load(record.facts.model_key)
    if loaded is None:
        raise InputError(
            f"Record {record.key[:12]}: its final weights were not kept or are damaged. Run it again "
            f"with --no-cache --keep final."
        )
    return loaded[0]


def discard(stages: Sequence[StageResult], keep: str, store: ArtifactStore, shared: Collection[str] = ()) -> None:
    """Remove artifacts that this run made and was not asked to keep; those it found or shares belong to others too."""
    doomed = {"phases": [], "final": stages[:-1], "none": stages}[keep]
    for result in doomed:
        if not result.cached and result.key not in shared:
            store.remove(result.key)


class _Notes:
    """The reporter of one stage, which keeps what the stage notes."""

    def __init__(self, report: Reporter, stage: str) -> None:
        self._stage = stage
        self._report = report
        self.start = report.start
        self.step = report.step
        self.say = report.say
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Say it, and keep it once."""
        if text not in self.notes:
            self.notes.append(text)
            self._report.note(f"{self._stage}: {text}")


class _StageCheckpoints:
    """The checkpoints of one stage, which also carry the seconds spent before an interruption."""

    def __init__(self, store: ArtifactStore, key: str) -> None:
        self._store = store
        self._key = key
        self._started = time.perf_counter()
        self.seconds_before = 0.0

    def save(self, state: Artifact) -> None:
        """Replace the checkpoint; whole or not at all."""
        seconds = self.seconds_before + time.perf_counter() - self._started
        self._store.save_checkpoint(self._key, Artifact(state.tensors, {**state.meta, "seconds": seconds}))

    def load(self) -> Artifact | None:
        """The newest whole checkpoint, or None."""
        state = self._store.load_checkpoint(self._key)
        if state is not None:
            self.seconds_before = float(state.meta["seconds"])
            _log.info("Stage %s resumes from its checkpoint after epoch %s.", self._key[:12], state.meta.get("epoch"))
        return state
