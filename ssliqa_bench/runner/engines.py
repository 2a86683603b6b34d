"""Many runs: on this machine, one process per job.

Workers set the threads of every numerical library before they import one. Runs that share a stage find it by
its key; whoever comes first computes it, the others wait.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ssliqa_bench.errors import InputError, SsliqaError, StorageError
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.workers import Died, in_processes
from ssliqa_bench.specs import RunSpec
from ssliqa_bench.store.record import Record

LOG = logging.getLogger("ssliqa_bench")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


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
) -> list[RunResult]:
    """Run every spec, `jobs` at a time, in worker processes; a failed run does not stop the others.

    `report` is told each result as it comes, how many are done and how many there are.

    Raises:
        StorageError: the disk is full; what was finished stays finished.
    """
    _registry.cache_clear()
    if jobs == 1:
        results = []
        for spec in specs:
            results.append(_guarded(spec, registries, settings))
            report(results[-1], len(results), len(specs))
        return results
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(settings.threads)))  # workers inherit them
    try:
        return _in_processes(specs, registries, replace(settings, quiet=True), jobs, report)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _in_processes(
    specs: Sequence[RunSpec],
    registries: Sequence[Path],
    settings: Settings,
    jobs: int,
    report: Callable[[RunResult, int, int], None],
) -> list[RunResult]:
    results: dict[int, RunResult] = {}

    def pulse(running: Mapping[int, float]) -> None:
        told = ", ".join(f"{specs[index]} ({seconds:.0f} s)" for index, seconds in running.items())
        LOG.warning("[%d/%d] running: %s", len(results), len(specs), told)

    work = functools.partial(_guarded, registries=registries, settings=settings)
    for index, result in in_processes(work, specs, jobs, pulse):
        if isinstance(result, Died):
            told = f"its worker process died ({result}). The same sweep runs it again."
            result = RunResult(specs[index], "failed", error=told)
        results[index] = result
        report(result, len(results), len(specs))
    return [results[i] for i in range(len(specs))]


@functools.lru_cache(maxsize=1)
def _registry(registries: tuple[Path, ...]) -> Registry:
    """Read once by each process of a sweep, so that all of its runs mean the same."""
    from ssliqa_bench.registry.load import load_registry

    return load_registry(registries)


def _guarded(spec: RunSpec, registries: Sequence[Path], settings: Settings) -> RunResult:
    from ssliqa_bench.runner.execute import run
    from ssliqa_bench.runner.plan import make_plan

    try:
        outcome = run(make_plan(spec, _registry(tuple(registries)), settings), settings)
        return RunResult(spec, "cached" if outcome.cached else "done", outcome.record)
    except StorageError:
        raise
    except SsliqaError as error:
        return RunResult(spec, "failed", error=str(error))
    except (Exception, SystemExit) as error:  # a defect in one learner must not take the other runs with it
        return RunResult(spec, "failed", error=f"{type(error).__name__}: {error}")
