"""Processes that share work: whichever is killed, the item it had is named and the rest is done."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

from ssliqa_bench.runner import workers
from ssliqa_bench.runner.workers import Died, Workers

pytestmark = pytest.mark.faults


def process_after(seconds: float) -> int:
    """What a worker does here: nothing for a while, then its process id."""
    time.sleep(seconds)
    return os.getpid()


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setattr(workers, "_PRELOADED", [])
    pool = Workers(process_after, 2)
    yield pool
    pool.close()


def finished(pool: Workers, count: int) -> dict[int, int | Died]:
    found: dict[int, int | Died] = {}
    until = time.monotonic() + 60
    while len(found) < count and time.monotonic() < until:
        found.update(pool.finished(1.0))
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_is_killed_while_it_waits_costs_no_item(two: Workers, how: signal.Signals) -> None:
    two.submit(0, 0.0)
    named = two.process(0)
    process = finished(two, 1)[0]
    assert isinstance(process, int) and named == process and two.process(0) is None
    os.kill(process, how)
    until = time.monotonic() + 30
    while not gone(process) and time.monotonic() < until:
        time.sleep(0.01)
    two.submit(1, 0.0)
    other = finished(two, 1)[1]
    assert isinstance(other, int) and other != process


def test_the_fork_server_takes_its_processes_along_and_others_follow(two: Workers) -> None:
    for number in range(2):
        two.submit(number, 0.0)
    busy = [int(str(process)) for process in finished(two, 2).values()]
    for number in range(2):
        two.submit(number, 600.0)
    os.kill(int(str(forkserver._forkserver._forkserver_pid)), signal.SIGKILL)
    ends = finished(two, 2)
    assert {str(end) for end in ends.values()} == {
        "exit code 255, its own or because the process that starts workers ended"
    }
    until = time.monotonic() + 30
    while not all(map(gone, busy)) and time.monotonic() < until:
        time.sleep(0.01)
    assert all(map(gone, busy)), "none works on unseen"
    two.submit(2, 0.0)
    assert isinstance(finished(two, 1)[2], int)


def test_a_fork_server_that_ends_while_processes_wait_costs_no_item(two: Workers) -> None:
    for number in range(2):
        two.submit(number, 0.0)
    waiting = {int(str(process)) for process in finished(two, 2).values()}
    server = int(str(forkserver._forkserver._forkserver_pid))
    os.kill(server, signal.SIGKILL)
    until = time.monotonic() + 30
    while not gone(server) and time.monotonic() < until:
        time.sleep(0.01)
    for number in range(2):
        two.submit(number, 1.0)
    found = finished(two, 2)
    assert len(found) == 2 and all(isinstance(process, int) and process not in waiting for process in found.values())


def gone(process: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
