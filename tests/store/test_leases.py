"""Leases: one owner at a time, renewed, taken over once they have expired; no object of the store."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from ssliqa_bench.errors import StorageError
from ssliqa_bench.store.leases import lease
from ssliqa_bench.store.store import Store

FAST = 0.01


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"memory://leases-{tmp_path.name}" if request.param == "memory" else tmp_path / "store")


def owner(store: Store, key: str = "key") -> dict[str, object]:
    found: dict[str, object] = json.loads(store.read(f"leases/{key}.json"))
    return found


def test_a_second_owner_waits_until_the_first_one_leaves(store: Store) -> None:
    order: list[str] = []

    def second() -> None:
        with lease(store, "key", poll=FAST) as held:
            order.append(f"second {held}")

    with lease(store, "key") as held, lease(store, "other") as other:
        assert held and other
        with lease(store, "key", wait=False) as refused:
            assert not refused
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(5 * FAST)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second True"]
    assert store.list() == []
    with pytest.raises(FileNotFoundError):
        owner(store)


def test_an_expired_lease_is_taken_over_and_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    dead = {"owner": "dead", "expires": time.time() - 1, "where": "process 1"}
    store.put("leases/key.json", json.dumps(dead).encode())
    with lease(store, "key", poll=FAST) as held:
        assert held and owner(store)["owner"] != "dead"
    assert "had expired" in caplog.text
    store.put("leases/key.json", b"half of a le")
    with lease(store, "key", poll=FAST) as held:
        assert held


def test_an_owner_renews_its_lease_and_lets_a_new_owner_be(store: Store) -> None:
    with lease(store, "key", ttl=0.06) as held:
        first = float(str(owner(store)["expires"]))
        until = time.monotonic() + 10
        while float(str(owner(store)["expires"])) <= first and time.monotonic() < until:
            time.sleep(FAST)
        assert held and float(str(owner(store)["expires"])) > first
        other = {"owner": "other", "expires": time.time() + 1000, "where": "process 2"}
        until = time.monotonic() + 10
        while owner(store) != other and time.monotonic() < until:  # a renewal under way may still replace it once
            store.put("leases/key.json", json.dumps(other).encode())
            time.sleep(0.1)
    assert owner(store) == other, "the lease of another owner is neither renewed nor removed"


def test_a_store_that_cannot_be_written_keeps_nobody_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise StorageError("read-only")

    monkeypatch.setattr(Store, "create", refuse)
    with lease(store, "key") as held:
        assert held


def test_the_lock_of_a_store_without_locks_is_a_lease() -> None:
    store, same = Store("memory://leased"), Store("memory://leased")
    with store.lock("key") as held, same.lock("key", wait=False) as other:
        assert held and not other and store.list() == []
    with same.lock("key", wait=False) as other:
        assert other


def test_a_run_holds_a_lease_while_it_uses_a_store_without_locks() -> None:
    """So that what removes objects sees it, also from another machine; several runs do not wait for each other."""
    store, other = Store("memory://in-use"), Store("memory://in-use")
    assert not store.leased()
    with store.in_use(), other.in_use():
        assert store.leased()
    assert not store.leased() and store.list() == []
    with lease(store, "key", ttl=-1.0):
        assert not store.leased(), "a lease that has expired belongs to a process that died"


def test_leases_of_processes_that_died_are_removed() -> None:
    store = Store("memory://died")
    store.put("leases/in-use-a.json", json.dumps({"owner": "a", "expires": time.time() - 1, "where": "x"}).encode())
    with store.in_use():
        (left,) = store.left_behind()
        assert left.path == "leases/in-use-a.json" and store.leased()
        store.remove_left(left.path)
        assert store.leased() and store.left_behind() == []
    with pytest.raises(FileNotFoundError):
        store.read("leases/in-use-a.json")


def test_a_start_leaves_expired_leases_to_gc(tmp_path: Path) -> None:
    """Their owner may be a machine that pauses."""
    store = Store(tmp_path / "store")
    dead = json.dumps({"owner": "a", "expires": time.time() - 5, "where": "x"}).encode()
    store.put("leases/in-use-a.json", dead)
    with store.in_use():
        assert store.read("leases/in-use-a.json") == dead
    assert [left.path for left in store.left_behind()] == ["leases/in-use-a.json"]
