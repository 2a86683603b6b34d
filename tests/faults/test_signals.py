"""Ctrl-C, SIGTERM and SIGHUP end a command with one line and 128 + the number, at whatever point it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.conftest import Count

pytestmark = pytest.mark.faults

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
# Sends itself a signal when a module is about to be imported.
AT_IMPORT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, and what is ignored stays so

awaited, number, *words = sys.argv[1:]
sys.argv = ["ssliqa-bench", *words]

class Bell:
    def find_spec(self, name, path=None, target=None):
        if name == awaited:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Bell())
from ssliqa_bench.__main__ import entry_point
sys.exit(entry_point())
"""
STARTED = ("import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
           "signal.signal(signal.SIGHUP, signal.SIG_DFL); ")  # fmt: skip
COMMAND = f"{STARTED}import sys; from ssliqa_bench.__main__ import entry_point; sys.exit(entry_point())"


def ended_well(number: int, code: int, err: str, *words: str) -> None:
    lines = [line for line in err.splitlines() if line.startswith("Stopped (")]
    assert code == 128 + number, err
    assert len(lines) == 1 and "Traceback" not in err, err
    assert all(word in lines[0] for word in words), err


@SIGNALS
@pytest.mark.parametrize(("module", "words"), [
    ("ssliqa_bench.cli.app", ("run",)),
    ("typer", ("list", "datasets")),
    ("ssliqa_bench.registry.load", ("list", "datasets")),
    ("rich", ("list", "datasets")),
])  # fmt: skip
def test_while_modules_are_imported(number: int, module: str, words: tuple[str, ...], count: Count) -> None:
    count("signals sent")
    done = subprocess.run([sys.executable, "-c", AT_IMPORT, module, str(int(number)), *words],
                          capture_output=True, text=True, timeout=200)  # fmt: skip
    ended_well(number, done.returncode, done.stderr)
    assert done.stdout == ""
    count("signals answered by one line and the exit code")


def started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", COMMAND, *words], text=True, stderr=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 200
    while process.poll() is None and not list(folder.glob(pattern)) and time.monotonic() < until:
        time.sleep(0.02)
    assert process.poll() is None and list(folder.glob(pattern)), process.communicate()[1]


@SIGNALS
def test_while_a_run_trains_and_the_same_command_resumes(
    tmp_path: Path, tiny_pair: Path, number: int, count: Count
) -> None:
    from tests.faults.world import worked

    count("signals sent")
    store, registry = tmp_path / "store", str(tiny_pair / "registry.yaml")
    words = ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--registry", registry, "--store", str(store))
    process = started(*words, "--set", "epochs=2000")
    wait_for(store, "checkpoints/*/*/artifact.json", process)
    process.send_signal(number)
    ended_well(number, process.wait(60), process.communicate()[1], "kept", "same command resumes")
    assert list(store.glob("checkpoints/*/*/artifact.json"))
    answer = worked(*words)
    assert answer.code == 0 and not answer.fault, answer.err
    assert not list(store.rglob("*.tmp")) and not list(store.glob("locks/*"))
    count("signals answered by one line and the exit code")


@SIGNALS
def test_while_the_workers_of_a_sweep_run(tmp_path: Path, tiny_pair: Path, number: int, count: Count) -> None:
    count("signals sent")
    store, suite = tmp_path / "store", tmp_path / "suite.yaml"
    suite.write_text(
        "title: Long\nruns:\n  - {methods: [supervised], pairs: ['tiny-a:tiny-b'], seeds: 2, set: {epochs: 2000}}\n"
    )
    process = started("sweep", str(suite), "--jobs", "2", "--force", "--registry", str(tiny_pair / "registry.yaml"),
                      "--store", str(store))  # fmt: skip
    wait_for(store, "checkpoints/*/*/artifact.json", process)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(number)
    ended_well(number, process.wait(60), process.communicate()[1], "kept", "same command resumes")
    until = time.monotonic() + 30
    while any(map(running, workers)) and time.monotonic() < until:  # what tracks resources for them ends last
        time.sleep(0.05)
    assert workers and not [worker for worker in workers if running(worker)]
    count("signals answered by one line and the exit code")


def running(number: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
