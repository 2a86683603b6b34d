"""Artifacts come back as they were stored, or not at all."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssliqa_bench.errors import SchemaError, StorageError
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.types import Artifact, Judgement

KEY = "ab" * 32
FACTS = {"stage": "initial", "steps": 12, "seconds": 1.5, "log": [{"epoch": 1, "loss": 0.25}]}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def artifact(value: float = 1.0) -> Artifact:
    tensors = {
        "model.weight": np.full((2, 3), value, np.float32),
        "labels.0": np.array([0.1, 0.2], np.float64),
        "replay.0": np.array([3, 1], np.int64),
        "none": np.zeros((0, 4), np.uint8),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "counter": np.array(7, np.int64),
    }
    return Artifact(tensors, {"steps": 12, "log": [], "note": "ü"})


def state(epoch: int) -> Artifact:
    return Artifact({"w": np.full(3, float(epoch))}, {"epoch": epoch, "stage": "phase-2", "seconds": 0.5})


def place(store: ArtifactStore, *parts: str) -> Path:
    """A folder of a store that is one."""
    assert store.store.folder is not None
    return store.store.folder.joinpath(*parts)


def tensors(folder: Path) -> Path:
    """The data file of an entry."""
    (found,) = folder.glob("tensors-*.safetensors")
    return found


def flip(path: Path, position: int) -> None:
    """Change one bit of the byte at a position, counted from the end where negative."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_an_artifact_comes_back_as_it_was(store: ArtifactStore) -> None:
    stored = artifact()
    store.save(KEY, stored, FACTS)
    loaded = store.load(KEY)
    assert loaded is not None
    back, facts = loaded
    assert facts == FACTS and back.meta == stored.meta
    assert back.tensors.keys() == stored.tensors.keys()
    for name, values in stored.tensors.items():
        assert back.tensors[name].dtype == values.dtype and np.array_equal(back.tensors[name], values)
        assert back.tensors[name].shape == np.shape(values)


def test_absent_replaced_and_removed(store: ArtifactStore) -> None:
    assert store.load(KEY) is None
    store.save(KEY, artifact(1), {})
    store.save(KEY, artifact(2), {})
    loaded = store.load(KEY)
    assert loaded is not None and loaded[0].tensors["model.weight"][0, 0] == 2
    store.remove(KEY)
    store.remove(KEY)
    assert store.load(KEY) is None and store.store.list() == []


def test_predictions_come_back_as_they_were(store: ArtifactStore) -> None:
    values, classes = np.array([0.1, -3.5, 1e-300]), np.array([0, 4, 2])
    assert store.load_predictions(KEY) is None
    for stored in (Judgement(values), Judgement(values, classes)):
        store.save_predictions(KEY, stored)
        back = store.load_predictions(KEY)
        assert back is not None and np.array_equal(back.quality, values)
        if stored.classes is None:
            assert back.classes is None
        else:
            assert back.classes is not None and back.classes.tolist() == [0, 4, 2]


def break_tensors(folder: Path) -> None:
    flip(tensors(folder), -1)


def cut_tensors(folder: Path) -> None:
    content = tensors(folder).read_bytes()
    tensors(folder).write_bytes(content[: len(content) // 2])


def lose_tensors(folder: Path) -> None:
    tensors(folder).unlink()


def break_json(folder: Path) -> None:
    flip(folder / "artifact.json", 5)


def edit_json(folder: Path) -> None:
    text = (folder / "artifact.json").read_text()
    (folder / "artifact.json").write_text(text.replace('"steps": 12', '"steps": 13'))


def other_schema(folder: Path) -> None:
    body = json.loads((folder / "artifact.json").read_text())
    (folder / "artifact.json").write_text(json.dumps({**body, "schema": 1}))


DAMAGE = [break_tensors, cut_tensors, lose_tensors, break_json, edit_json]


def test_what_another_version_wrote_is_refused_and_stays(store: ArtifactStore) -> None:
    store.save(KEY, artifact(), FACTS)
    other_schema(place(store, "artifacts", KEY))
    with pytest.raises(SchemaError, match="schema 1; this version reads schema 2.*store gc"):
        store.load(KEY)
    assert (place(store, "artifacts", KEY, "artifact.json")).is_file()


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_damaged_is_said_set_aside_and_absent(
    store: ArtifactStore, caplog: pytest.LogCaptureFixture, damage: Any
) -> None:
    store.save(KEY, artifact(), FACTS)
    damage(place(store, "artifacts", KEY))
    (problem,) = store.damaged()
    assert KEY in problem and caplog.text == "", "looking changes nothing"
    with caplog.at_level(logging.WARNING, "ssliqa_bench"):
        assert store.load(KEY) is None
    assert f"{KEY}.corrupt-1" in caplog.text and "computed again" in caplog.text
    assert (place(store, "artifacts", f"{KEY}.corrupt-1")).is_dir()
    store.save(KEY, artifact(), FACTS)
    assert store.load(KEY) is not None and store.damaged() == []


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_predictions_and_checkpoints_count_as_absent(store: ArtifactStore, damage: Any) -> None:
    store.save_predictions(KEY, Judgement(np.zeros(5)))
    store.save_checkpoint(KEY, Artifact(state(3).tensors, {**state(3).meta, "steps": 12}))
    if damage is not edit_json:
        damage(place(store, "predictions", KEY))
        assert store.load_predictions(KEY) is None
    damage(place(store, "checkpoints", KEY) / "epoch-0003")
    assert store.load_checkpoint(KEY) is None
    assert store.load_checkpoint(KEY) is None, "what was set aside is not looked at again"


@pytest.mark.parametrize("held", [None, 1.0])
def test_an_artifact_that_was_being_written_is_the_one_before(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, held: float | None
) -> None:
    """The mark comes last, so that a writer killed before it leaves what was there, or nothing."""
    if held is not None:
        store.save(KEY, artifact(held), FACTS)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("ssliqa_bench.store.store.seal", interrupt)
        store.save(KEY, artifact(2), FACTS)
    loaded = store.load(KEY)
    assert (None if loaded is None else loaded[0].tensors["model.weight"][0, 0]) == held
    assert not list(place(store).rglob("*.corrupt-*")), "unfinished is not damaged"
    store.save(KEY, artifact(3), FACTS)
    loaded = store.load(KEY)
    assert loaded is not None and loaded[0].tensors["model.weight"][0, 0] == 3


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_everything_works_at_an_address_that_is_no_folder(caplog: pytest.LogCaptureFixture) -> None:
    store = ArtifactStore("memory://artifacts-test")
    store.save(KEY, artifact(), FACTS)
    store.save_checkpoint(KEY, state(1))
    store.save_checkpoint(KEY, state(2))
    store.save_predictions(KEY, Judgement(np.arange(3.0)), {"model": KEY})
    other = ArtifactStore("memory://artifacts-test")
    loaded, checkpoint, said = other.load(KEY), other.load_checkpoint(KEY), other.load_predictions(KEY)
    assert loaded is not None and loaded[1] == FACTS
    assert checkpoint is not None and checkpoint.meta["epoch"] == 2
    assert said is not None and said.quality.tolist() == [0, 1, 2]
    assert other.damaged() == [] and len(other.store.list()) == 6
    (data,) = [path for path in other.store.list("artifacts/") if "tensors-" in path]
    other.store.put(data, b"damaged")
    assert len(other.damaged()) == 1 and other.load(KEY) is None and f"{KEY}.corrupt-1" in caplog.text
    store.clear_checkpoints(KEY)
    store.remove(KEY)
    assert [path.split("/")[1] for path in store.store.list()] == [f"{KEY}.corrupt-1"] * 2 + [KEY] * 2


def test_only_the_newest_checkpoint_is_kept(store: ArtifactStore) -> None:
    assert store.load_checkpoint(KEY) is None
    for epoch in (1, 2, 9, 10, 11):
        store.save_checkpoint(KEY, state(epoch))
        assert [p.name for p in (place(store, "checkpoints", KEY)).iterdir()] == [f"epoch-{epoch:04d}"]
    loaded = store.load_checkpoint(KEY)
    assert loaded is not None and loaded.meta["epoch"] == 11 and loaded.tensors["w"][0] == 11
    store.clear_checkpoints(KEY)
    assert store.load_checkpoint(KEY) is None and store.store.list() == []


def test_a_checkpoint_that_could_not_be_written_leaves_the_one_before(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_checkpoint(KEY, state(1))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError):
            store.save_checkpoint(KEY, state(2))
    loaded = store.load_checkpoint(KEY)
    assert loaded is not None and loaded.meta["epoch"] == 1


def _compute_once(root: Path, started: Any) -> None:
    """What a run does: under the lock, look whether it is there, else compute and store it."""
    store = ArtifactStore(root)
    started.wait(30)
    with store.lock(KEY):
        if store.load(KEY) is None:
            time.sleep(0.1)
            with open(root / "computed", "a") as log:
                log.write(f"{os.getpid()}\n")
            store.save(KEY, artifact(), {})


def test_of_two_processes_one_computes_and_the_other_finds_it(store: ArtifactStore) -> None:
    context = multiprocessing.get_context("fork")
    started = context.Event()
    processes = [context.Process(target=_compute_once, args=(place(store), started)) for _ in range(2)]
    for process in processes:
        process.start()
    started.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(place(store, "computed").read_text().split()) == 1


def test_locks_of_different_keys_do_not_wait_for_each_other(store: ArtifactStore) -> None:
    with store.lock("one"), store.lock("two"):
        pass
