"""Processes that are killed, and several that share a store: the record is that of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from ssliqa_bench.stop import Stopped, stopping_on_signals
from tests.faults.conftest import Count, size
from tests.faults.test_flips import results
from tests.faults.world import called, worked

pytestmark = pytest.mark.faults

KILLS = size("KILLS", 8)
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORDS = ("run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b")


def forked(*words: str) -> int:
    """The id of a process that runs a command; its exit code is that of the command, from its first moment on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the child can answer them
    number = os.fork()
    if number == 0:
        try:
            with stopping_on_signals():
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                code = worked(*words).code
                os._exit(70 if code is None else code)
        except Stopped as stop:
            os._exit(stop.exit_code)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return number


def files(store: Path) -> int:
    """How many files there are while another process makes and removes some."""
    return sum(len(names) for _, _, names in os.walk(store))


def ended(number: int, seconds: float) -> int | None:
    """The wait status of a process that ends in time, else None."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            return status
        time.sleep(0.005)
    return None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_pair: Path) -> dict[str, list[list[float]]]:
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    answer = worked(*WORDS, "--registry", str(tiny_pair / "registry.yaml"), "--store", str(store))
    assert answer.code == 0, answer.err
    return results(store)


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_run_leaves_what_the_next_one_can_use(
    tmp_path: Path, tiny_pair: Path, whole: dict[str, list[list[float]]], kill: int, count: Count
) -> None:
    count("kills")
    store = tmp_path / "store"
    words = (*WORDS, "--registry", str(tiny_pair / "registry.yaml"), "--store", str(store))
    draw = random.Random(kill)
    number, enough = forked(*words), draw.randrange(1, 26)
    status = None
    until = time.monotonic() + 100
    while status is None and files(store) < enough and time.monotonic() < until:
        status = ended(number, 0.002)
    if status is None:
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    answer = worked(*words)
    assert answer.code == 0 and not answer.fault, answer.err
    assert results(store) == whole
    assert called("store", "verify", "--store", str(store)).code == 0
    assert not list(store.rglob("*.corrupt-*"))
    assert not list(store.rglob("*.tmp")) and not list(store.glob("locks/*")), "the next run removes what it left"
    count("kills: same record from the same command, nothing left behind")


def test_three_processes_on_one_store(
    tmp_path: Path, tiny_pair: Path, whole: dict[str, list[list[float]]], count: Count
) -> None:
    store = tmp_path / "store"
    words = (*WORDS, "--registry", str(tiny_pair / "registry.yaml"), "--store", str(store))
    numbers = [forked(*words) for _ in range(3)]
    ends = [ended(number, 200) for number in numbers]
    for number, end in zip(numbers, ends, strict=True):
        if end is None:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
    assert ends == [0, 0, 0]
    assert results(store) == whole
    assert called("store", "verify", "--store", str(store)).code == 0
    count("processes on one store at once that gave the same record", 3)
