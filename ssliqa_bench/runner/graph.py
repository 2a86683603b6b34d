"""The graph of a sweep: a record node for every run, and a stage node for every stage that several runs share.

Stages that only one run needs belong to its record node: a task of their own would read the same images again. Of
consecutive stages that the same runs share, the last one has a node, which computes those before it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ssliqa_bench.runner.tasks import StageStates, Task
from ssliqa_bench.specs import RunSpec

_SECONDS_PER_CROP = 1e-3  # of a run without earlier records


@dataclass
class Node:
    """A task with what must be finished before it, and about how many seconds its run takes."""

    task: Task
    needs: frozenset[int] = frozenset()
    weight: float = 0.0


@dataclass
class Graph:
    """Nodes by number; those of records have the numbers of their runs.

    Attributes:
        nodes: every task of the sweep.
        users: of a stage node, the runs that need it.
        keys: of a stage node, the keys of the stages that it computes.
    """

    nodes: dict[int, Node] = field(default_factory=dict)
    users: dict[int, tuple[int, ...]] = field(default_factory=dict)
    keys: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def ready(self, waiting: set[int], done: set[int]) -> list[int]:
        """Those that wait for nothing, cheap runs first, the longest last; a stage before the runs that need it."""
        free = [number for number in waiting if self.nodes[number].needs <= done]
        return sorted(free, key=lambda number: (self.nodes[number].weight, number not in self.users, number))

    def beyond(self, number: int) -> set[int]:
        """Everything that cannot be done without a node."""
        found, last = set[int](), {number}
        while last:
            last = {other for other, node in self.nodes.items() if node.needs & last} - found
            found |= last
        return found

    def failing(self, number: int) -> set[int]:
        """The runs that fail with a node: those that need its stages, and those that need what is beyond it."""
        return {*self.users.get(number, (number,)), *(self.beyond(number) - self.users.keys())}

    def own_weights(self) -> dict[int, float]:
        """What every task alone weighs: that of a run without the stages that are computed before it."""
        weights = {number: node.weight for number, node in self.nodes.items()}
        return {number: max(weights[number] - max((weights[other] for other in node.needs), default=0.0), 0.0)
                for number, node in self.nodes.items()}  # fmt: skip


def build_graph(
    runs: Mapping[int, tuple[RunSpec, str]], looked: Mapping[int, StageStates], seconds: Mapping[int, float | None]
) -> Graph:
    """The graph of the runs that are to be made.

    Args:
        runs: by number, what was asked for and its key.
        looked: by number, the stages of a run; a run that is not in it gets a record node alone.
        seconds: by number, how long it takes according to earlier records; None: unknown.
    """
    graph = Graph()
    users: dict[str, list[int]] = {}
    for number in runs:
        for _, key, _ in looked.get(number, StageStates(())).stages:
            users.setdefault(key, []).append(number)
    node_of: dict[str, int] = {}
    free = max(runs, default=-1) + 1
    for number, (spec, run_key) in runs.items():
        own = looked.get(number, StageStates(()))
        known = seconds.get(number)
        weight = known if known is not None else own.crops * _SECONDS_PER_CROP
        needs: set[int] = set()
        before: frozenset[int] = frozenset()
        pending: list[str] = []
        for position, (name, key, present) in enumerate(own.stages):
            if len(users[key]) < 2 or present:
                continue
            if key in node_of:
                before = frozenset({node_of[key]})
                needs.add(node_of[key])
                continue
            pending.append(key)
            following = next((k for _, k, there in own.stages[position + 1 :] if not there), None)
            if following is not None and users[following] == users[key]:
                continue  # the node of the next one computes it
            graph.nodes[free] = Node(Task(number, spec, "stages", name, key=run_key), before, weight)
            graph.users[free], graph.keys[free] = tuple(users[key]), tuple(pending)
            node_of.update(dict.fromkeys(pending, free))
            before = frozenset({free})
            needs.add(free)
            pending = []
            free += 1
        graph.nodes[number] = Node(Task(number, spec, "record", key=run_key), frozenset(needs), weight)
    for stage, numbers in graph.users.items():
        graph.nodes[stage].weight = min(graph.nodes[number].weight for number in numbers)
    return graph
