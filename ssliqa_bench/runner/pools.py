"""Where the tasks of a sweep are worked on: this process, several of this machine, a cluster; rows of one table."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ssliqa_bench.runner.devices import cuda_devices, device_kind
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.settings import Cluster, Settings
from ssliqa_bench.runner.tasks import Task, do
from ssliqa_bench.runner.workers import Workers

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Pool(Protocol):
    """Where tasks are worked on."""

    retries: int

    @property
    def free(self) -> int:
        """How many tasks can be submitted now."""

    def submit(self, number: int, task: Task) -> None:
        """Begin a task."""

    def finished(self, timeout: float) -> list[tuple[int, Any]]:
        """Number and result of tasks that are done; `Died` or `Lost` where a worker was lost."""

    def where(self, number: int) -> str:
        """The machine or the process that works on a task; empty for this one."""

    def close(self) -> None:
        """End what is in progress; finished work is in the store."""


class Serial:
    """Tasks in this process, one at a time."""

    retries = 0

    def __init__(self, registries: Sequence[Path], settings: Settings) -> None:
        self._registries, self._settings = registries, settings
        self._waiting: list[tuple[int, Task]] = []

    @property
    def free(self) -> int:
        """See `Pool`."""
        return 1 - len(self._waiting)

    def submit(self, number: int, task: Task) -> None:
        """See `Pool`."""
        self._waiting.append((number, task))

    def finished(self, timeout: float) -> list[tuple[int, Any]]:
        """See `Pool`; the task is done now."""
        number, task = self._waiting.pop()
        return [(number, do(task, self._registries, self._settings))]

    def where(self, number: int) -> str:
        """See `Pool`."""
        return ""

    def close(self) -> None:
        """See `Pool`."""


class Processes(Workers):
    """Tasks in processes of this machine; on CUDA each process has one GPU."""

    retries = 0

    def __init__(self, registries: Sequence[Path], settings: Settings, jobs: int) -> None:
        threads = dict.fromkeys(_THREAD_VARIABLES, str(settings.threads))  # before a library is imported
        gpus = _gpus() if device_kind(settings.device) == "cuda" else []

        def variables(slot: int) -> dict[str, str]:
            return {**threads, **({"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {})}

        super().__init__(functools.partial(do, registries=registries, settings=settings), jobs, variables)
        self._before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
        os.environ.update(threads)  # the fork server inherits them

    def where(self, number: int) -> str:
        """See `Pool`."""
        process = self.process(number)
        return "" if process is None else f"process {process}"

    def close(self) -> None:
        """See `Pool`."""
        super().close()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _gpus() -> list[str]:
    """The GPUs of this process, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").strip()
    return [own.strip() for own in named.split(",")] if named else [str(k) for k in range(cuda_devices())]


@dataclass(frozen=True)
class Engine:
    """A row of the table.

    Attributes:
        prepared: the settings of a sweep, with what the engine decides of them, for as long as it lasts.
        pool: made once there is something to do; of registry files, settings, jobs, cluster and the plans of the runs.
    """

    prepared: Callable[[Settings, Cluster], AbstractContextManager[Settings]]
    pool: Callable[[Sequence[Path], Settings, int, Cluster, Sequence[Plan]], Pool]


@contextlib.contextmanager
def _here(settings: Settings, cluster: Cluster) -> Iterator[Settings]:
    yield settings


def _local(registries: Sequence[Path], settings: Settings, jobs: int, cluster: Cluster, plans: Sequence[Plan]) -> Pool:
    return Serial(registries, settings) if jobs == 1 else Processes(registries, replace(settings, quiet=True), jobs)


def _connected(settings: Settings, cluster: Cluster) -> AbstractContextManager[Settings]:
    from ssliqa_bench.runner.ray_pool import connected

    return connected(settings, cluster)


def _ray(registries: Sequence[Path], settings: Settings, jobs: int, cluster: Cluster, plans: Sequence[Plan]) -> Pool:
    from ssliqa_bench.runner.ray_pool import RayPool

    return RayPool(registries, settings, cluster, plans)


ENGINES = {"local": Engine(_here, _local), "ray": Engine(_connected, _ray)}
