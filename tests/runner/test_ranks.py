"""One run shared by two processes: the same features, losses, gradients and predictions as one process's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.runner import execute
from tests.runner import shared_step

if TYPE_CHECKING:
    from tests.conftest import Bench

ROOT = Path(__file__).parents[2]
SHARED = pytest.mark.timeout(600)


def torchrun(*words: str, count: int = 2) -> subprocess.CompletedProcess[str]:
    """So many processes of a script, or of a module after -m."""
    path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, env={**os.environ, "PYTHONPATH": path})


def shared(bench: Bench, method: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A run of two processes on the tiny pair."""
    where = ("--store", str(bench.store), "--registry", str(bench.data / "registry.yaml"), "--device", "cpu")
    return torchrun("-m", "ssliqa_bench", "run", "--method", method, "--pair", "tiny-a:tiny-b", *where, *words)


OWN = '''
import os
import signal

from torch import nn

from ssliqa_bench.methods.supervised import Supervised
from ssliqa_bench.training.backbones.cnniqa import CNNIQA


class Normed(CNNIQA):
    def __init__(self) -> None:
        super().__init__(6, 10)
        self.norm = nn.BatchNorm1d(10)

    def forward(self, crops):
        return self.norm(super().forward(crops))


class Failing(CNNIQA):
    def forward(self, crops):
        if len(crops) > 1 and os.environ.get("RANK") == "1":
            if os.environ.get("FAIL") == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("the second device is broken")
        return super().forward(crops)


class Drifting(CNNIQA):
    def forward(self, crops):
        if self.training and os.environ.get("RANK") == "1":
            self._line.add_(1e-3)
            nn.init.zeros_(self.hidden[0].bias)
        return super().forward(crops)
'''


@pytest.fixture
def networks(bench: Bench) -> str:
    """A registry file with networks of a user's."""
    (bench.store.parent / "own_networks.py").write_text(OWN)
    own = {
        name.lower(): {"about": {"title": name}, "class": f"own_networks:{name}"}
        for name in ("Normed", "Failing", "Drifting")
    }
    return str(bench.registry({"backbones": own}))


ROWS = 7  # which two processes cannot share evenly


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each of two processes has of every case."""
    folder = tmp_path_factory.mktemp("steps")
    done = torchrun(str(Path(shared_step.__file__)), str(folder), str(ROWS))
    assert done.returncode == 0, done.stderr
    return folder


def step(folder: Path, case: str, rank: int) -> dict[str, np.ndarray]:
    with np.load(folder / f"{case}-{rank}.npz") as found:
        return dict(found)


@SHARED
@pytest.mark.parametrize("case", ["supervised", "consistency", "mixed", "recovered"])
def test_features_loss_and_gradients_equal_those_of_the_whole_batch_in_one_process(steps: Path, case: str) -> None:
    alone = shared_step.made(case, ROWS)
    assert any(name.startswith("gradient") for name in alone) and float(alone["loss"]) > 0
    for rank in (0, 1):
        found = step(steps, case, rank)
        assert set(found) == {"__rows__", *alone}
        for name, value in alone.items():
            np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-6, err_msg=f"{name}, process {rank}")


@SHARED
@pytest.mark.parametrize(
    ("case", "rows"),
    [("supervised", (4, 3)), ("consistency", (8, 6)), ("mixed", (8, 7)), ("recovered", (4, 3))],
)
def test_each_process_sends_its_own_rows_through_the_networks(steps: Path, case: str, rows: tuple[int, int]) -> None:
    assert tuple(int(step(steps, case, rank)["__rows__"]) for rank in (0, 1)) == rows


@SHARED
def test_numbers_drawn_inside_a_network_differ_between_rows_and_leave_no_trace(steps: Path) -> None:
    zero, one = (step(steps, "dropping", rank) for rank in (0, 1))
    for name in ("first", "second", "drawn"):
        np.testing.assert_array_equal(zero[name], one[name])
    every = np.concatenate([zero["first"], zero["second"]])
    assert len(np.unique(every, axis=0)) == 2 * ROWS, "no two rows drop the same"
    import torch

    torch.manual_seed(0)
    np.testing.assert_array_equal(zero["drawn"], torch.rand(3).numpy())


@pytest.mark.slow
@SHARED
@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("supervised", ("--set", "epochs=3", "--set", "batch_size=3")),
        ("ssliqa", ("--set", "labeled_batch=3", "--set", "unlabeled_batch=6")),
        ("ssiqa", ("--set", "blocks=2", "--set", "weak_views=1", "--set", "test_crops=4")),
    ],
)
def test_a_shared_run_predicts_what_one_process_predicts(
    bench: Bench, tmp_path: Path, method: str, words: tuple[str, ...]
) -> None:
    alone = bench.run(method, *words)
    expected = bench.predictions(alone["key"])
    bench.store = tmp_path / "shared"
    done = shared(bench, method, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("2 processes shared the rows of its networks") >= 1
    (record,) = (bench.store / "records").iterdir()
    assert record.name != alone["key"]
    found = bench.predictions(record.name)
    assert found.keys() == expected.keys()
    assert max(abs(found[name] - expected[name]) for name in expected) < 1e-4
    facts = bench.facts(record.name)
    assert facts["key_parts"]["processes"] == 2
    assert any("2 processes shared" in note for note in facts["notes"])
    code, out, err = bench("store", "why", record.name)
    assert code == 0 and "processes" not in out, err
    code, _, err = bench("test", record.name, "--on", "tiny-c")
    assert code == 0, err


@pytest.mark.slow
@SHARED
def test_a_shared_run_that_was_interrupted_resumes_and_predicts_the_same(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--set", "epochs=3", "--set", "batch_size=3")
    whole = shared(bench, "supervised", *words)
    assert whole.returncode == 0, whole.stderr
    (first,) = (bench.store / "records").iterdir()
    expected = bench.predictions(first.name)
    other = type(bench)(bench.data, tmp_path / "interrupted", bench.capture, bench.log)
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(STOPPING)
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", str(site))
        stopped = shared(other, "supervised", *words)
    assert stopped.returncode != 0 and not list((other.store / "records").glob("*/facts.json"))
    again = shared(other, "supervised", *words)
    assert again.returncode == 0 and "continues after epoch 2 of 3" in again.stderr, again.stderr
    assert other.predictions(first.name) == expected
    cached = shared(other, "supervised", *words)
    assert cached.returncode == 0 and "answered from the store" in cached.stderr


STOPPING = """
import os, signal
import ssliqa_bench.store.artifacts as artifacts

save = artifacts.ArtifactStore.save_checkpoint

def save_and_stop(store, key, state):
    save(store, key, state)
    if state.meta["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)

artifacts.ArtifactStore.save_checkpoint = save_and_stop
"""


def messages(stderr: str) -> list[str]:
    """What the command line said of errors; torchrun's own report is left out."""
    return [line for line in stderr.splitlines() if line.startswith(("Error:", "Stopped"))]


@pytest.mark.slow
@SHARED
@pytest.mark.parametrize(
    ("network", "code", "told"),
    [
        ("normed", 2, "initial: network Normed has batch norm in training (layer norm, BatchNorm1d): each of the 2"),
        ("failing", 1, "process 1 of 2: ValueError: the second device is broken"),
        ("drifting", 1, "initial: process 1 has other weights than process 0"),
    ],
)
def test_an_error_of_any_process_ends_all_with_one_message(
    bench: Bench, networks: str, network: str, code: int, told: str
) -> None:
    done = shared(bench, "supervised", "--registry", networks, "--set", f"backbone={network}")
    assert done.returncode != 0 and done.stdout == ""
    (message,) = messages(done.stderr)
    assert told in message, done.stderr
    assert f"exitcode  : {code} " in done.stderr or f"exitcode: {code})" in done.stderr
    assert not (bench.store / "records").exists()


@pytest.mark.slow
@SHARED
def test_an_error_that_all_processes_meet_is_told_once(bench: Bench) -> None:
    done = shared(bench, "nothing")
    assert done.returncode != 0 and done.stdout == ""
    (message,) = messages(done.stderr)
    assert '"nothing"' in message


@pytest.mark.faults
@SHARED
def test_a_process_that_is_killed_ends_all(bench: Bench, networks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "killed")
    done = shared(bench, "supervised", "--registry", networks, "--set", "backbone=failing")
    assert done.returncode != 0 and done.stdout == ""
    (message,) = messages(done.stderr)
    assert "one of the 2 processes that share the run was lost" in message or message.startswith("Stopped (SIGTERM)")


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that torchrun gives the first of two processes."""
    given = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2",
             "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


def test_a_method_that_trains_nothing_is_refused_before_images_are_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssliqa_bench.runner import compute

    plan, settings = bench.plan("piqe", pair="tiny-a")
    monkeypatch.setattr(compute, "open_sources", lambda *_: pytest.fail("images were opened"))
    with pytest.raises(InputError, match="this method trains nothing that 2 processes could share. Run it without"):
        execute.run(plan, replace(settings, ranks=2))


@pytest.mark.parametrize("words", [("sweep", "demo"), ("leaderboard",), ("store", "ls"), ("label", "x", "--out", "y")])
def test_other_commands_are_for_one_process(bench: Bench, launch: dict[str, str], words: tuple[str, ...]) -> None:
    code, out, err = bench(*words)
    assert code == 2 and out == ""
    assert err.startswith(f"Error: {words[0]} runs in one process, but torchrun started 2.") and "--jobs N" in err


def test_the_other_processes_print_nothing_and_wait_for_the_first_to_report(
    bench: Bench, launch: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssliqa_bench.runner import launch as starting

    waits: list[float] = []
    monkeypatch.setattr(starting, "time", SimpleNamespace(sleep=waits.append))
    assert bench("sweep", "demo")[0] == 2 and waits == [], "the first one need not wait"
    monkeypatch.setenv("RANK", "1")
    assert bench("sweep", "demo") == (2, "", "")
    assert bench("run", "--method", "nothing", "--pair", "tiny-a", "--dry-run") == (2, "", "")
    assert waits == [starting.PARTING] * 2


def test_processes_of_several_machines_are_refused(
    bench: Bench, launch: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    code, message = bench.fails("supervised")
    assert code == 2 and "started 2 processes, 1 of them on this machine" in message


@pytest.mark.parametrize(
    "other", [{"WORLD_SIZE": "1"}, {"WORLD_SIZE": "many"}, {"MASTER_ADDR": None}, {"LOCAL_RANK": None}]
)
def test_variables_of_other_programs_start_nothing(
    launch: dict[str, str], monkeypatch: pytest.MonkeyPatch, other: dict[str, str | None]
) -> None:
    from ssliqa_bench.cli.app import main

    for name, value in other.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    assert main(["list", "protocols"]) == 0


def test_the_key_names_the_processes_where_there_are_several(
    bench: Bench, launch: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "--method", "supervised", "--pair", "tiny-a:tiny-b", "--dry-run")
    keys = {}
    for size in ("1", "2", "3"):
        monkeypatch.setenv("WORLD_SIZE", size)
        code, out, err = bench(*words)
        assert code == 0, err
        keys[size] = json.loads(out)["runs"][0]["key"]
    assert len(set(keys.values())) == 3
    assert keys["1"] == bench.key(), "one process has the key that it always had"
