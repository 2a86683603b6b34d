"""What no record needs is found under every policy, at a folder and elsewhere; what is needed or young stays."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.store import Store
from ssliqa_bench.store.usage import KINDS, KeysInUse, Size, remove, sizes, unneeded
from ssliqa_bench.types import Artifact, Judgement

THETA, TEACHER, PHASE, OTHER = (letter * 64 for letter in "abcd")
# A run whose final model is PHASE; THETA is on record too, TEACHER is only an input of PHASE.
NEEDS = KeysInUse(models=frozenset({PHASE}), stages=frozenset({THETA, PHASE}), predictions=frozenset({"1" * 64}))
LATER = time.time() + 10 * 86_400


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "store" if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def filled(store: Store) -> ArtifactStore:
    """Four artifacts, of which one belongs to no record, predictions of three models, one checkpoint, a record."""
    own = ArtifactStore(store)
    for key, inputs in ((THETA, []), (TEACHER, []), (PHASE, [THETA, TEACHER]), (OTHER, [THETA])):
        facts = {"stage": key[:1], "inputs": {f"stage-{k}": name for k, name in enumerate(inputs)}}
        own.save(key, Artifact({"w": np.full(9, ord(key[0]), np.float32)}), facts)
    for digit, model in (("1", PHASE), ("2", THETA), ("3", OTHER)):
        own.save_predictions(digit * 64, Judgement(np.full(5, float(digit))), {"model": model})
    own.save_checkpoint(OTHER, Artifact({"w": np.zeros(3)}, {"epoch": 2}))
    store.put_entry(f"records/{'9' * 64}", {"predictions.parquet": b"p" * 7}, {}, kind="record", mark="facts.json")
    return own


def names(found: list) -> set[str]:  # type: ignore[type-arg]
    """Kind and first letter of what was found."""
    return {"/".join(part[:1] if k else part for k, part in enumerate(item.name.split("/")[:2])) for item in found}


GONE = {"artifacts/d", "predictions/3", "checkpoints/d"}


@pytest.mark.parametrize(
    ("keep", "also"),
    [
        ("phases", set()),
        ("final", {"artifacts/a", "artifacts/b", "predictions/2"}),
        ("none", {"artifacts/a", "artifacts/b", "artifacts/c", "predictions/2"}),
    ],
)
def test_each_policy_keeps_what_it_says(filled: ArtifactStore, keep: str, also: set[str]) -> None:
    store = filled.store
    before = set(store.list())
    found, spared = unneeded(store, NEEDS, keep, before=LATER)
    assert names(found) == GONE | also and spared == 0
    assert set(store.list()) == before, "looking changes nothing"
    assert [item.bytes for item in found] == [sum(store.size(path) for path in item.paths) for item in found]
    remove(store, found)
    left = set(store.list())
    assert left == before - {path for item in found for path in item.paths}
    assert {path for path in before if path.startswith("records/")} <= left
    assert filled.load_predictions("1" * 64) is not None, "a record names them"
    assert unneeded(store, NEEDS, keep, before=LATER) == ([], 0)
    assert filled.damaged() == []


def test_what_is_young_is_spared_and_counted(filled: ArtifactStore) -> None:
    assert unneeded(filled.store, NEEDS, "phases", before=time.time() - 86_400) == ([], 3)


def test_one_young_object_spares_its_entry(tmp_path: Path) -> None:
    own = ArtifactStore(tmp_path)
    own.save(OTHER, Artifact({"w": np.zeros(3)}), {"inputs": {}})
    folder = tmp_path / "artifacts" / OTHER
    (data,) = folder.glob("tensors-*")
    os.utime(data, (0, 0))
    assert unneeded(own.store, NEEDS, "phases", before=1e9) == ([], 1)
    os.utime(folder / "artifact.json", (0, 0))
    assert len(unneeded(own.store, NEEDS, "phases", before=1e9)[0]) == 1


def test_what_killed_writers_leave(filled: ArtifactStore) -> None:
    """Data without mark, data that a mark no longer names, and entries set aside; those of records stay."""
    store = filled.store
    store.put(f"artifacts/{'e' * 64}/tensors-0123456789ab.safetensors", b"no mark")
    store.put(f"artifacts/{PHASE}/tensors-0123456789ab.safetensors", b"older")
    store.put(f"records/{'9' * 64}/predictions-0123456789ab.parquet", b"older")
    store.put(f"predictions/{'1' * 64}.corrupt-1/artifact.json", b"{")
    store.put(f"records/{'9' * 64}.corrupt-1/facts.json", b"{")
    found, _ = unneeded(store, NEEDS, "phases", before=LATER)
    reasons = {item.name: item.reason for item in found}
    assert reasons == {
        f"artifacts/{OTHER}": "no record needs it",
        f"predictions/{'3' * 64}": "no record needs it",
        f"checkpoints/{OTHER}/epoch-0002": "belongs to no run in progress",
        f"artifacts/{'e' * 64}": "was never completed",
        f"artifacts/{PHASE}/tensors-0123456789ab.safetensors": "no entry names it",
        f"records/{'9' * 64}/predictions-0123456789ab.parquet": "no entry names it",
        f"predictions/{'1' * 64}.corrupt-1": "was damaged and set aside",
    }
    remove(store, found)
    assert filled.load(PHASE) is not None and filled.damaged() == []
    assert store.read_entry(f"records/{'9' * 64}", kind="record", mark="facts.json").files
    assert store.list(f"records/{'9' * 64}.corrupt-1/") == [f"records/{'9' * 64}.corrupt-1/facts.json"]


def test_a_damaged_mark_of_a_record_costs_none_of_its_data(filled: ArtifactStore) -> None:
    store = filled.store
    mark = f"records/{'9' * 64}/facts.json"
    store.put(mark, store.read(mark).replace(b'"record"', b'"recorf"'))
    assert names(unneeded(store, NEEDS, "phases", before=LATER)[0]) == GONE


def test_temporary_files_and_locks_of_the_dead(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("records/x/facts.json", b"{}")
    leftover = tmp_path / "records" / "x" / ".facts.json.abc123.tmp"
    leftover.write_bytes(b"half")
    assert store.list() == ["records/x/facts.json"]
    (found,), _ = unneeded(store, NEEDS, "phases", before=LATER)
    assert found.name == "records/x/.facts.json.abc123.tmp" and found.bytes == 4 and "temporary" in found.reason
    remove(store, [found])
    assert not leftover.exists()
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "other.lock").touch()
    with store.lock("held"), store.lock("shared", shared=True):
        left = store.left_behind()
        assert [own.path for own in left] == ["locks/other.lock"]
        assert unneeded(store, NEEDS, "phases", before=time.time() - 60, left=left) == ([], 1), "it is young"
        (found,), _ = unneeded(store, NEEDS, "phases", before=LATER, left=left)
        assert found.name == "locks/other.lock" and "killed process" in found.reason
        remove(store, [found])
        assert sorted(file.name for file in (tmp_path / "locks").iterdir()) == ["held.lock", "shared.lock"]
    (tmp_path / "locks" / "in-use.lock").touch()
    found_now, _ = unneeded(store, NEEDS, "phases", before=0.0, left=store.left_behind())
    assert [item.name for item in found_now] == ["locks/in-use.lock"], "no run is in progress, whatever its age"


def test_a_lock_that_somebody_took_since_is_not_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "key.lock").touch()
    left = store.left_behind()
    (found,), _ = unneeded(store, NEEDS, "phases", before=LATER, left=left)
    with Store(tmp_path).lock("key"):
        remove(store, [found])
        assert (tmp_path / "locks" / "key.lock").exists()


def test_sizes_count_entries_and_all_bytes(filled: ArtifactStore) -> None:
    store = filled.store
    store.put(f"predictions/{'1' * 64}.corrupt-1/artifact.json", b"{")
    found = sizes(store)
    assert {kind: size.entries for kind, size in found.items()} == {
        "records": 1, "artifacts": 4, "checkpoints": 1, "predictions": 3,
    }  # fmt: skip
    for kind in KINDS:
        assert found[kind].bytes == sum(len(store.read(path)) for path in store.list(f"{kind}/"))
    assert set(sizes(Store("memory://empty")).values()) == {Size(0, 0)}
