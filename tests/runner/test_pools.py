"""What the processes of the local engine are given: one GPU each, in turn, and one import of PyTorch for all."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from ssliqa_bench.runner import pools, workers
from ssliqa_bench.runner.pools import Processes
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.tasks import Task
from ssliqa_bench.specs import Pair, RunSpec


def environment(task: Task, **_: Any) -> tuple[int, str | None, str | None]:
    """In place of a task: the process, its GPUs and its threads."""
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("OMP_NUM_THREADS")


def three_at_once(monkeypatch: pytest.MonkeyPatch, kind: str) -> dict[int, tuple[int, str | None, str | None]]:
    """What three tasks see, by the process that the pool names."""
    monkeypatch.setattr(workers, "_PRELOADED", [])
    monkeypatch.setattr(pools, "do", environment)
    monkeypatch.setattr(pools, "device_kind", lambda asked: kind)
    pool = Processes([], Settings(threads=2), 3)
    try:
        for number in range(3):
            pool.submit(number, Task(number, RunSpec("m", Pair("a", "b")), "look"))
        named = {number: pool.where(number) for number in range(3)}
        found: dict[int, Any] = {}
        while len(found) < 3:
            found.update(pool.finished(10.0))
    finally:
        pool.close()
    assert {number: f"process {own[0]}" for number, own in found.items()} == named and len(set(named.values())) == 3
    return found


def test_each_process_gets_one_gpu_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pools, "cuda_devices", lambda: 2)
    found = three_at_once(monkeypatch, "cuda")
    assert [found[number][1] for number in range(3)] == ["0", "1", "0"]
    assert {own[2] for own in found.values()} == {"2"}


def test_gpus_that_the_environment_names_are_those_that_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    found = three_at_once(monkeypatch, "cuda")
    assert [found[number][1] for number in range(3)] == ["3", "5", "3"]


def test_without_gpus_nothing_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert {own[1] for own in three_at_once(monkeypatch, "cpu").values()} == {None}


@pytest.mark.slow
def test_processes_find_pytorch_imported_and_the_driver_does_not_import_it() -> None:
    code = """
import sys
from ssliqa_bench.runner.workers import Workers
pool = Workers(eval, 2)
for number in range(2):
    pool.submit(number, "'torch' in __import__('sys').modules")
found = {}
while len(found) < 2:
    found.update(pool.finished(60.0))
pool.close()
print(sorted(found.items()), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout == "[(0, True), (1, True)] False\n"
