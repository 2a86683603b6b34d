"""Sweeps on a Ray cluster of two nodes on this machine: the same records; a lost node or driver costs nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.conftest import Bench

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_MEMORY = 100_000_000
METHODS = ["supervised", "ssiqa", "supervised-long", "oracle", "ssiqa-krr", "ssiqa-1in100"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children get Ctrl-C; a job in the background has it ignored, as have its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes with one core each; the head runs nothing."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    found = (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(found))
    head = {"num_cpus": 0, "object_store_memory": _MEMORY, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        made.workers = [made.add_node(num_cpus=1, object_store_memory=_MEMORY) for _ in range(2)]
        made.wait_for_nodes(120)
        yield made
    finally:
        made.shutdown()


def suite(
    bench: Bench, methods: list[str], seeds: int, pair: str = "tiny-a:tiny-b", recipe: str | None = None, **sets: Any
) -> str:
    path = bench.store.parent / "suite.yaml"
    block = {"methods": methods, "pairs": [pair], "protocol": "standard", "seeds": seeds, "recipe": recipe, "set": sets}
    path.write_text(yaml.safe_dump({"title": "Tiny", "runs": [{k: v for k, v in block.items() if v}]}))
    return str(path)


def swept(bench: Bench, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    code, out, err = bench("sweep", *words, "--json")
    return code, json.loads(out)["runs"] if out else [], err


def boards(bench: Bench, folder: Path) -> dict[str, bytes]:
    from ssliqa_bench.cli.app import main

    assert main(["leaderboard", "--store", str(bench.store), "--out", str(folder), "--no-cost"]) == 0
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def meanwhile(condition: Callable[[], bool], action: Callable[[], None]) -> Iterator[threading.Event]:
    """Wait for a condition beside what is done here, then act once; the event tells that it acted."""
    acted, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            if condition():
                action()
                acted.set()
                return
            time.sleep(0.02)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield acted
    finally:
        over.set()
        watching.join()


def test_a_cluster_gives_what_this_machine_gives(
    bench: Bench, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssliqa_bench.runner import sweep_display

    path = suite(bench, METHODS, 2, pair="demo-syn:demo-wild", recipe="check")
    code, here, err = swept(bench, path)
    assert code == 0 and len(here) == 12, err
    local = {entry["key"]: bench.predictions(entry["key"]) for entry in here}
    board = boards(bench, tmp_path / "local")
    bench.store = tmp_path / "shared"
    monkeypatch.setattr(sweep_display, "PULSE", 0.05)
    code, there, err = swept(bench, path, "--engine", "ray", "--address", cluster.address)
    assert code == 0 and [entry["status"] for entry in there] == ["done"] * 12, err
    nodes = {own.node_id[:6] for own in cluster.workers}
    assert set(re.findall(r"seed \d[^()]* on \S+ \((\w{6})\) \(\d+ s\)", err)) == nodes, "both worked, and it was said"
    assert {entry["key"]: bench.predictions(entry["key"]) for entry in there} == local
    assert [entry["metrics"] for entry in there] == [entry["metrics"] for entry in here]
    assert boards(bench, tmp_path / "ray") == board
    stages = [stage for entry in there for stage in bench.facts(entry["key"])["stages"]]
    computed = [stage["key"] for stage in stages if not stage["cached"]]
    assert len(computed) == len(set(computed)) == len({stage["key"] for stage in stages}), "each stage once"
    assert not (bench.store / "probes").exists() and bench("store", "verify")[0] == 0
    code, again, _ = swept(bench, path, "--engine", "ray", "--address", cluster.address)
    assert code == 0 and {entry["status"] for entry in again} == {"cached"}
    code, _, err = swept(bench, path, "--engine", "ray", "--address", cluster.address, "--no-cache",
                         "--task-memory", "100000")  # fmt: skip
    assert code == 2 and "--task-memory" in err and "the largest node" in err
    code, _, err = swept(bench, path, "--engine", "ray", "--address", cluster.address, "--device", "cuda")
    assert code == 2 and "no node of the cluster has a GPU" in err
    cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=_MEMORY)
    code, _, err = swept(bench, path, "--engine", "ray", "--address", cluster.address, "--gpu-share", "2")
    assert code == 2 and "asks for 1 cores, 2 GPUs; the largest node has 1 cores, 1 GPUs" in err


def test_nodes_with_other_versions_are_refused_before_the_first_task(
    bench: Bench, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssliqa_bench.runner import ray_pool

    own = ray_pool.versions_here
    monkeypatch.setattr(ray_pool, "versions_here", lambda names: {**own(names), "ssliqa-bench": "0.0.1"})
    code, _, err = swept(bench, suite(bench, ["supervised"], 1), "--engine", "ray", "--address", cluster.address)
    assert code == 2 and "no node can be used" in err and "in place of 0.0.1" in err
    assert not list(bench.store.rglob("facts.json")) and not (bench.store / "checkpoints").exists()


def test_a_lost_node_costs_no_record(bench: Bench, cluster: Any) -> None:
    path = suite(bench, ["supervised"], 3, epochs=300)
    checkpoints = bench.store / "checkpoints"

    def under_way() -> bool:
        return checkpoints.is_dir() and len(list(checkpoints.glob("*/epoch-*/artifact.json"))) >= 2

    with meanwhile(under_way, lambda: cluster.remove_node(cluster.workers[0])) as removed:
        code, entries, err = swept(bench, path, "--engine", "ray", "--address", cluster.address)
    assert removed.is_set() and code == 0 and [entry["status"] for entry in entries] == ["done"] * 3, err
    assert "was lost" in err and "resumes from its checkpoint after epoch" in err
    keys = [entry["key"] for entry in entries]
    assert sorted(path.name for path in (bench.store / "records").iterdir()) == sorted(keys) and len(set(keys)) == 3
    assert bench("store", "verify")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_ends_leaves_only_what_is_missing_to_do(
    bench: Bench, interruptible: None, cluster: Any, number: signal.Signals
) -> None:
    path = suite(bench, ["supervised"], 4, epochs=200)
    words = [sys.executable, "-m", "ssliqa_bench", "sweep", path, "--engine", "ray", "--address", cluster.address,
             "--store", str(bench.store), "--registry", str(bench.data / "registry.yaml")]  # fmt: skip
    driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    records = bench.store / "records"
    until = time.monotonic() + 400
    while not list(records.glob("*/facts.json")) and time.monotonic() < until and driver.poll() is None:
        time.sleep(0.05)
    driver.send_signal(number)
    _, said = driver.communicate(timeout=200)
    if number == signal.SIGINT:
        assert driver.returncode == 130 and "the same command resumes" in said and "Traceback" not in said
    finished = {path.parent.name: path.stat().st_mtime_ns for path in records.glob("*/facts.json")}
    assert 1 <= len(finished) < 4
    code, entries, err = swept(bench, path, "--engine", "ray", "--address", cluster.address)
    assert code == 0 and {entry["key"] for entry in entries if entry["status"] == "cached"} >= set(finished), err
    assert {entry["status"] for entry in entries} == {"cached", "done"} and len({own["key"] for own in entries}) == 4
    assert {path.name for path in records.iterdir()} == {entry["key"] for entry in entries}
    assert {key: (records / key / "facts.json").stat().st_mtime_ns for key in finished} == finished
    assert bench("store", "verify")[0] == 0


def test_an_address_where_no_cluster_answers_is_refused(bench: Bench) -> None:
    code, _, err = swept(bench, suite(bench, ["supervised"], 1), "--engine", "ray", "--address", "127.0.0.1:9")
    assert code == 2 and "--address 127.0.0.1:9" in err and "ray start --head" in err and not bench.store.exists()
