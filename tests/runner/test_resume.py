"""A run that was interrupted goes on where it stopped and gives what it would have given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ssliqa_bench.store.artifacts import ArtifactStore

if TYPE_CHECKING:
    from tests.conftest import Bench


class Killed(BaseException):
    """Stands for the end of the process."""


def stop_after(stage: str, epoch: int) -> Callable[[ArtifactStore, str, Any], None]:
    """A `save_checkpoint` that dies when the checkpoint of an epoch of a stage has been written."""
    save = ArtifactStore.save_checkpoint

    def save_and_stop(store: ArtifactStore, key: str, state: Any) -> None:
        save(store, key, state)
        if (state.meta["stage"], state.meta["epoch"]) == (stage, epoch):
            raise Killed

    return save_and_stop


SMALL = ("blocks=2", "phase_epochs=2", "weak_views=1", "test_crops=4")
WORDS = ("ssiqa", *(word for small in SMALL for word in ("--set", small)))


@pytest.mark.parametrize(("stage", "epoch"), [("phase-2", 1), ("phase-2", 2), ("initial", 1)])
def test_an_interrupted_run_goes_on_and_gives_the_same_bits(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole_run: tuple[str, Path], stage: str, epoch: int
) -> None:
    key, whole = whole_run
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(ArtifactStore, "save_checkpoint", stop_after(stage, epoch))
        bench.run(*WORDS)
    before = bench.files("artifacts")
    assert len(before) == (0 if stage == "initial" else 4), "two finished stages, two files each"
    assert len(list((bench.store / "checkpoints").iterdir())) == 1
    code, _, err = bench("run", "--pair", "tiny-a:tiny-b", "--method", *WORDS)
    assert code == 0 and f"{stage}: continues after epoch {epoch}" in err
    assert {path: bench.files()[path] for path in before} == before, "finished stages were not trained again"
    other = type(bench)(bench.data, whole, bench.capture, bench.log)
    assert bench.predictions(key) == other.predictions(key)
    one, two = bench.facts(key), other.facts(key)
    assert one["metrics"] == two["metrics"] and one["steps"] == two["steps"] and one["keys"] == two["keys"]
    assert [s["cached"] for s in one["stages"]] == [path_of(s) in before for s in one["stages"]]
    assert losses(one) == losses(two)
    for artifact in sorted((whole / "artifacts").iterdir()):
        (data,) = artifact.glob("tensors-*.safetensors")
        assert (bench.store / "artifacts" / artifact.name / data.name).read_bytes() == data.read_bytes()
    assert not list((bench.store / "checkpoints").rglob("*.safetensors"))


def losses(facts: dict[str, Any]) -> list[list[float]]:
    return [[epoch["loss"] for epoch in stage["log"]] for stage in facts["stages"]]


def path_of(stage: dict[str, Any]) -> str:
    return f"artifacts/{stage['key']}/artifact.json"


@pytest.fixture(scope="module")
def whole_run(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Key and store of the same run, never interrupted."""
    from ssliqa_bench.cli.app import main

    store = tmp_path_factory.mktemp("whole") / "store"
    where = ["--store", str(store), "--registry", str(tiny_pair / "registry.yaml")]
    assert main(["run", "--pair", "tiny-a:tiny-b", "--method", *WORDS, *where]) == 0
    (record,) = (store / "records").iterdir()
    return record.name, store


@pytest.mark.parametrize("damage", ["tensors-*.safetensors", "artifact.json"])
def test_a_damaged_checkpoint_is_set_aside_and_the_stage_starts_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, whole_run: tuple[str, Path], damage: str
) -> None:
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(ArtifactStore, "save_checkpoint", stop_after("phase-2", 2))
        bench.run(*WORDS)
    (path,) = (bench.store / "checkpoints").glob(f"*/epoch-0002/{damage}")
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    code, _, err = bench("run", "--pair", "tiny-a:tiny-b", "--method", *WORDS)
    assert code == 0 and "Set aside as epoch-0002.corrupt-1" in err and "continues" not in err
    other = type(bench)(bench.data, whole_run[1], bench.capture, bench.log)
    assert bench.predictions(whole_run[0]) == other.predictions(whole_run[0])


def test_the_seconds_of_a_stage_count_what_was_spent_before_the_interruption(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(ArtifactStore, "save_checkpoint", stop_after("initial", 1))
        bench.run("supervised", "--set", "epochs=2")
    (path,) = (bench.store / "checkpoints").glob("*/epoch-0001/artifact.json")
    before = json.loads(path.read_text())["meta"]["seconds"]
    assert bench.run("supervised", "--set", "epochs=2")["seconds"] > before > 0


def written(folder: Path) -> int:
    """How many files there are, while another process makes and removes some."""
    return sum(len(names) for _, _, names in os.walk(folder))


@pytest.mark.faults
def test_a_run_killed_in_its_second_phase_goes_on_and_gives_the_same_bits(bench: Bench, tmp_path: Path) -> None:
    """The real thing: kill -9 of a process between two checkpoints of phase-2, then the same command again."""
    words = ["run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b", "--set", "phase_epochs=40", "--json",
             "--registry", str(bench.data / "registry.yaml")]

    def command(store: Path) -> list[str]:
        return [sys.executable, "-m", "ssliqa_bench", *words, "--store", str(store)]

    bench.store.mkdir()
    key = bench.key("ssiqa", overrides=(("phase_epochs", 40),))
    process = subprocess.Popen(command(bench.store), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    artifacts, checkpoints = bench.store / "artifacts", bench.store / "checkpoints"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        finished = list(artifacts.glob("*/artifact.json"))
        epochs = [int(Path(place).name[6:]) for place, _, names in os.walk(checkpoints) if "artifact.json" in names]
        if len(finished) == 2 and epochs and 1 < max(epochs) < 35:
            break
        time.sleep(0.005)
    assert process.poll() is None, f"the run ended before it could be killed: {process.communicate()[1]}"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = bench.files("artifacts")
    assert len({Path(path).parent for path in before}) == 2 and not (bench.store / "records").exists()
    again = subprocess.run(command(bench.store), capture_output=True, text=True, timeout=280)
    assert again.returncode == 0 and "phase-2: continues after epoch" in again.stderr
    assert "initial" not in again.stderr and "phase-1" not in again.stderr
    after = bench.files()
    assert {path: after[path] for path in before} == before, "Θ_0 and Θ_1 were not touched"
    whole = tmp_path / "whole"
    subprocess.run(command(whole), capture_output=True, timeout=280, check=True)
    other = type(bench)(bench.data, whole, bench.capture, bench.log)
    assert bench.predictions(key) == other.predictions(key)
    assert bench.facts(key)["metrics"] == other.facts(key)["metrics"]
    assert bench("store", "verify")[0] == 0


@pytest.mark.faults
def test_a_run_killed_again_and_again_gets_there(bench: Bench, finished_store: Path) -> None:
    """Killed each time it has written a few more files, it still ends with the record of an undisturbed run."""
    command = [sys.executable, "-m", "ssliqa_bench", "run", "--method", "ssiqa", "--pair", "tiny-a:tiny-b",
               "--registry", str(bench.data / "registry.yaml"), "--store", str(bench.store)]
    kills = 0
    while True:
        enough = written(bench.store) + 12
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and written(bench.store) < enough:
            time.sleep(0.002)
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills += 1
    assert process.returncode == 0, process.communicate()[1]
    assert kills >= 2
    (record,) = (bench.store / "records").iterdir()
    whole = type(bench)(bench.data, finished_store, bench.capture, bench.log)
    assert bench.predictions(record.name) == whole.predictions(record.name)
    assert bench("store", "verify")[0] == 0 and not list(bench.store.rglob("*.corrupt-*"))
