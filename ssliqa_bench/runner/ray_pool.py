"""The engine `ray`: tasks on the nodes of a Ray cluster.

The driver chooses the node of every task, so that it knows what runs where; a node is inspected before it gets its
first task, and refused where it would compute something else or cannot reach data or store. Ray itself retries nothing:
a task whose node was lost is submitted again by the planner and resumes from the last checkpoint in the store.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import InputError, RunError, StorageError
from ssliqa_bench.runner.devices import KINDS
from ssliqa_bench.runner.keys import FORMAT_DECODERS
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.settings import Cluster, Settings
from ssliqa_bench.runner.tasks import Lost, Task, do
from ssliqa_bench.stop import Stopped, stopping_on_signals
from ssliqa_bench.store.provenance import library_versions, own_version, python_version
from ssliqa_bench.store.store import Store

_log = logging.getLogger("ssliqa_bench")

_LOOK_AGAIN = 5.0  # seconds between looks at which nodes there are
_WITHOUT_NODES = 30.0  # seconds that a sweep waits where no node is left
_PATIENCE = 120.0  # seconds that a node has to answer before it is refused
_KNOCKING = 10.0  # seconds that an address has to answer
_EPSILON = 1e-6
_SHOWN = 5


@dataclass(frozen=True)
class Demands:
    """What a node must have before it gets a task.

    Attributes:
        versions: of libraries, by distribution.
        store: address of the store, and the object in it that the driver wrote.
        files: registry files and one file of every dataset.
    """

    versions: dict[str, str]
    store: str
    probe: str
    files: tuple[str, ...]


def inspect_node(asked: Demands) -> list[str]:
    """On a node: what it lacks, one sentence each."""
    problems = []
    own = versions_here([name for name in asked.versions if name not in ("python", "ssliqa-bench")])
    differing = [f"{name} {own.get(name)} in place of {version}" for name, version in asked.versions.items()
                 if own.get(name) != version]  # fmt: skip
    if differing:
        problems.append(f"versions differ: {', '.join(differing[:_SHOWN])}. Install the driver's versions there.")
    missing = [file for file in asked.files if not os.path.exists(file)]
    if missing:
        problems.append(f"{missing[0]} is not there ({len(missing)} of {len(asked.files)} files missing). The data "
                        f"root and registry files must have the same paths on every node.")  # fmt: skip
    try:
        Store(asked.store).read(asked.probe)
    except Exception as error:  # whatever the file system raises, the store is not the driver's
        problems.append(f"the store {asked.store} is not shared: what the driver wrote there is not found "
                        f"({type(error).__name__}). --store must name a folder or an address that all nodes "
                        f"reach.")  # fmt: skip
    return problems


def do_on_node(task: Task, registries: Sequence[Path], settings: Settings) -> tuple[Any, list[str]]:
    """On a node: do a task; its result, and what was logged."""
    log, heard = logging.getLogger("ssliqa_bench"), _Heard()
    level = log.level
    log.addHandler(heard)
    log.setLevel(logging.INFO)
    try:
        return do(task, registries, settings), heard.lines
    finally:
        log.removeHandler(heard)
        log.setLevel(level)


def versions_here(distributions: Sequence[str]) -> dict[str, str]:
    """Versions in this process: the interpreter, this package, and some distributions."""
    return {"python": python_version(), "ssliqa-bench": own_version(), **library_versions(distributions)}


class _Heard(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.lines.append(record.getMessage())


@dataclass
class _Node:
    """A node of the cluster, and what of it is taken."""

    node: str
    name: str
    resources: dict[str, float]
    taken: dict[str, float] = field(default_factory=dict)

    def fits(self, demand: dict[str, float]) -> bool:
        """Whether a task fits now."""
        return all(self.resources.get(k, 0.0) - self.taken.get(k, 0.0) >= v - _EPSILON for k, v in demand.items())

    def could(self, demand: dict[str, float]) -> bool:
        """Whether a task would fit an idle node."""
        return all(self.resources.get(k, 0.0) >= v - _EPSILON for k, v in demand.items())

    def take(self, demand: dict[str, float], times: int) -> None:
        """Count a task in (1) or out (−1)."""
        for k, v in demand.items():
            self.taken[k] = self.taken.get(k, 0.0) + times * v


class RayPool:
    """Tasks on a Ray cluster; see `engines.Pool`.

    Args:
        plans: of the runs that are to be made: their versions and files are what nodes must have.

    Raises:
        InputError: no node is accepted, or none is large enough.
    """

    def __init__(
        self, registries: Sequence[Path], settings: Settings, cluster: Cluster, plans: Sequence[Plan]
    ) -> None:
        self.retries = cluster.retries
        import ray

        self._ray: Any = ray
        self._settings = replace(
            settings, store=_everywhere(settings.store), data_root=settings.data_root.absolute(),
            cache_root=settings.cache_root.absolute(), device=plans[0].device, quiet=True, elsewhere=False,
        )  # fmt: skip
        self._registries = [file.absolute() for file in registries]
        self._demand = {"CPU": float(settings.threads)}
        if plans[0].device == "cuda":
            self._demand["GPU"] = cluster.gpu_share
        if cluster.memory_gb is not None:
            self._demand["memory"] = cluster.memory_gb * 1e9
        self._nodes: dict[str, _Node] = {}
        self._refused: dict[str, str] = {}
        self._tasks: dict[Any, tuple[int, _Node]] = {}
        self._looked = 0.0
        self._store = Store(self._settings.store)
        self._probe = f"probes/{uuid.uuid4().hex}"
        self._store.put(self._probe, socket.gethostname().encode())
        self._demands = Demands(versions_of(plans), str(self._settings.store), self._probe,
                                _files(plans, self._registries))  # fmt: skip
        try:
            options = {"max_retries": 0, "num_cpus": self._demand["CPU"], "num_gpus": self._demand.get("GPU", 0)}
            if "memory" in self._demand:
                options["memory"] = int(self._demand["memory"])
            self._do = self._ray.remote(**options)(do_on_node)
            self._inspect = self._ray.remote(num_cpus=0, max_retries=0)(inspect_node)
            self._look()
            self._check()
        except BaseException:
            self.close()
            raise

    @property
    def free(self) -> int:
        """How many tasks can be submitted now."""
        self._look()
        return sum(self._room(node) for node in self._nodes.values())

    def submit(self, number: int, task: Task) -> None:
        """Begin a task on the node with the most room."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        node = max(self._nodes.values(), key=lambda own: (self._room(own), own.node))
        there = NodeAffinitySchedulingStrategy(node.node, soft=False)
        reference = self._do.options(scheduling_strategy=there).remote(task, self._registries, self._settings)
        node.take(self._demand, 1)
        self._tasks[reference] = (number, node)

    def finished(self, timeout: float) -> list[tuple[int, Any]]:
        """Number and result of tasks that are done; `Lost` where the worker or its node was lost.

        Raises:
            StorageError: the disk is full.
            InputError: no node is left.
        """
        if not self._tasks:
            return self._waited()
        done, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=timeout)
        found = []
        for reference in done:
            number, node = self._tasks.pop(reference)
            node.take(self._demand, -1)
            try:
                result, lines = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except self._ray.exceptions.RayError as error:
                self._looked = 0.0  # the node may be gone
                result, lines = Lost(f"its worker on {node.name} was lost ({_line(error)})"), []
            for line in lines:
                _log.warning("%s: %s", node.name, line)
            found.append((number, result))
        return found

    def where(self, number: int) -> str:
        """The node on which a task runs."""
        return next((node.name for own, node in self._tasks.values() if own == number), "")

    def close(self) -> None:
        """Cancel what is in progress; finished work is in the store."""
        for reference in self._tasks:
            with contextlib.suppress(Exception):  # the connection may be gone
                self._ray.cancel(reference, force=True)
        self._tasks.clear()
        with contextlib.suppress(StorageError):
            self._store.delete(self._probe)

    def _room(self, node: _Node) -> int:
        return int(min((node.resources.get(k, 0.0) - node.taken.get(k, 0.0) + _EPSILON) // v
                       for k, v in self._demand.items()))  # fmt: skip

    def _waited(self) -> list[tuple[int, Any]]:
        """Nothing runs: wait for a node, and give up where none comes."""
        until = time.monotonic() + _WITHOUT_NODES
        while time.monotonic() < until:
            self._looked = 0.0
            if self.free:
                return []
            time.sleep(1.0)
        raise RunError("No node of the cluster is left that could take a task. Finished work is in the store; the same "
                       "sweep resumes once nodes are there.")  # fmt: skip

    def _look(self) -> None:
        """Forget nodes that are gone, and look at new ones."""
        if time.monotonic() - self._looked < _LOOK_AGAIN:
            return
        alive = {own["NodeID"]: own for own in self._ray.nodes() if own["Alive"]}
        self._nodes = {name: node for name, node in self._nodes.items() if name in alive}
        new = [own for name, own in alive.items() if name not in self._nodes and name not in self._refused]
        for node, problems in self._inspected(new):
            if problems:
                self._refused[node.node] = f"{node.name}: {' '.join(problems)}"
                _log.warning("Node %s is refused: %s", node.name, " ".join(problems))
            else:
                self._nodes[node.node] = node
        self._looked = time.monotonic()

    def _inspected(self, found: Sequence[dict[str, Any]]) -> list[tuple[_Node, list[str]]]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = []
        for own in found:
            resources = {name: float(value) for name, value in own["Resources"].items()}
            node = _Node(own["NodeID"], f"{own['NodeManagerHostname']} ({own['NodeID'][:6]})", resources)
            if not node.could({"CPU": 1.0}):
                continue  # a node for the driver alone
            there = NodeAffinitySchedulingStrategy(node.node, soft=False)
            asked.append((node, self._inspect.options(scheduling_strategy=there).remote(self._demands)))
        answers = []
        until = time.monotonic() + _PATIENCE
        for node, reference in asked:
            try:
                problems = self._ray.get(reference, timeout=max(1.0, until - time.monotonic()))
            except self._ray.exceptions.GetTimeoutError:
                problems = [f"it did not answer within {_PATIENCE:.0f} seconds."]
            except self._ray.exceptions.RayError as error:  # ssliqa_bench is not installed there, or it is gone
                problems = [f"it cannot be used ({_line(error)})."]
            answers.append((node, problems))
        return answers

    def _check(self) -> None:
        """Refuse to start without a node that could take a task.

        Raises:
            InputError: none is accepted, or none is large enough.
        """
        if not self._nodes:
            reasons = " ".join(self._refused.values()) or "The cluster has no node with a CPU core."
            raise InputError(f"--engine ray: no node can be used. {reasons}")
        if not any(node.could(self._demand) for node in self._nodes.values()):
            names = {"CPU": "cores", "GPU": "GPUs", "memory": "bytes of memory"}
            wanted = ", ".join(f"{value:,g} {names[k]}" for k, value in self._demand.items())
            most = ", ".join(f"{max(n.resources.get(k, 0.0) for n in self._nodes.values()):,g} {names[k]}"
                             for k in self._demand)  # fmt: skip
            raise InputError(f"--engine ray: a task asks for {wanted}; the largest node has {most}. Lower --threads, "
                             f"--gpu-share or --task-memory, or add a larger node.")  # fmt: skip


@contextlib.contextmanager
def connected(settings: Settings, cluster: Cluster) -> Iterator[Settings]:
    """Connect to a cluster for as long as a sweep lasts; the settings with the kind of device of the whole sweep.

    `auto` is CUDA where any node has a GPU.

    Raises:
        InputError: Ray is not installed, the address does not answer, or CUDA is asked for where no node has a GPU.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("--engine ray: Ray is not installed; pip install 'ssliqa-bench[ray]', or --engine local."
                         ) from error
    before = ray.is_initialized()
    if not before:
        _connect(ray, cluster.address)
    try:
        # Ray takes SIGTERM for itself; a sweep stops on it as every command does.
        with stopping_on_signals():
            gpus = ray.cluster_resources().get("GPU", 0)
            yield replace(settings, device=_kind(settings.device, gpus), elsewhere=True)
    except SystemError as error:
        if isinstance(error.__cause__, Stopped):  # what a signal handler raises inside the code of Ray comes out so
            raise error.__cause__ from None
        raise
    finally:
        if not before:
            ray.shutdown()


def _kind(asked: str, gpus: float) -> str:
    if asked == "auto":
        return "cuda" if gpus else "cpu"
    if asked == "cuda" and not gpus:
        raise InputError("--device cuda: no node of the cluster has a GPU. Run with --device cpu, or add such a node.")
    if asked not in KINDS:
        raise InputError(f'--device: got "{asked}"; expected auto, cpu or cuda.')
    return asked


def _connect(ray: Any, address: str) -> None:
    """Connect to a cluster.

    Raises:
        InputError: the address does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {} if address.startswith("ray://") else {"log_to_driver": False, "configure_logging": False}
    try:
        _knock(address)
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise InputError(f'--address {address}: no Ray cluster answers ({_line(error)}). "ray start --head" begins '
                         f"one; --engine local uses this machine.") from error  # fmt: skip


def _knock(address: str) -> None:
    """Open and close a connection to HOST:PORT; Ray itself tries for minutes where nothing listens.

    Raises:
        ConnectionError: nothing answers.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return  # a word such as auto
    try:
        with socket.create_connection((host, int(port)), timeout=_KNOCKING):
            pass
    except (OSError, OverflowError) as error:
        raise ConnectionError(str(error)) from error


def _everywhere(store: Path) -> Path:
    """The store as any node finds it: addresses as they are, folders absolute."""
    space = Store(store)
    return store if space.folder is None else space.folder.absolute()


def versions_of(plans: Sequence[Plan]) -> dict[str, str]:
    """Versions that the keys of some plans hold, and those of the interpreter and of this package.

    The decoder of a single format counts where a dataset has such files, as in keys.
    """
    found = {name: version for plan in plans for name, version in plan.versions(plan.method_code).items()}
    for package, endings in FORMAT_DECODERS.items():
        found.pop(package, None)
        if any(path.lower().endswith(endings) for plan in plans for own in plan.tables.values() for path in own.path):
            found |= library_versions([package])
    return {**versions_here(()), **found}


def _files(plans: Sequence[Plan], registries: Sequence[Path]) -> tuple[str, ...]:
    """Registry files, and the first image of every dataset that is not generated on first use."""
    images = {name: os.path.abspath(own.table.path[0]) for plan in plans for name, own in plan.data.items()
              if len(own.table) and plan.entries[name].generator is None}  # fmt: skip
    return (*map(str, registries), *images.values())


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
