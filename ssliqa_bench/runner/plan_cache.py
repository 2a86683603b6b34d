"""What planning many runs works out once: datasets as read, who has which role, and what run keys hold of both.

A suite asks for the same split with every method, and for the same dataset with every seed. Both cost time that grows
with the images: on a dataset of 12,000 images most of that of a plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import ReadDataset
from ssliqa_bench.datasets.leaks import check_files, check_roles
from ssliqa_bench.datasets.splits import assign_roles
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.files import canonical_json
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.schema import DatasetEntry
from ssliqa_bench.runner import keys
from ssliqa_bench.runner.resolve import Resolved
from ssliqa_bench.runner.settings import Settings, tolerated
from ssliqa_bench.types import Role

Roles = Mapping[str, tuple[Role, ...]]


@dataclass
class Known:
    """Belongs to one registry and one set of settings; give it to every plan that is made of them.

    Attributes:
        datasets: as read, by name.
    """

    datasets: dict[str, ReadDataset] = field(default_factory=dict)
    _drawn: dict[tuple[Any, ...], tuple[Roles, tuple[str, ...]]] = field(default_factory=dict)
    _parts: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    _scores: dict[str, str] = field(default_factory=dict)

    def read(self, name: str, entry: DatasetEntry, registry: Registry, settings: Settings) -> ReadDataset:
        """A dataset, read once.

        Raises:
            InputError: it is not on this machine, or damaged.
        """
        if name not in self.datasets:
            table = load_table(
                entry, settings.data_root, settings.cache_root, load=registry.load, skip_missing=settings.skip_bad
            )
            self.datasets[name] = ReadDataset(table, settings.cache_root)
        return self.datasets[name]

    def drawn(self, asked: Resolved, settings: Settings) -> tuple[Roles, tuple[str, ...]]:
        """The role of every image of a run whose datasets are read, and the leaks that a reason was given for.

        Raises:
            InputError: a budget or split that does not fit.
            LeakError: an image or group has two roles, and no reason was given.
        """
        spec = asked.spec
        budgets = canonical_json([spec.budget, spec.unlabeled_budget])  # 1 is an image and 1.0 are all
        key = (spec.pair, spec.protocol, spec.seed, budgets, tuple(asked.entries))
        if key not in self._drawn:
            data = {name: self.datasets[name] for name in asked.entries}
            tables = {name: own.table for name, own in data.items()}
            roles = assign_roles(spec.pair, tables, asked.protocol, spec.seed, spec.budget, spec.unlabeled_budget)
            leaks = tolerated(lambda: check_roles(tables, roles), settings)
            if not leaks:
                files = {name: own.hashes for name, own in data.items()}
                leaks = tolerated(lambda: check_files(tables, roles, files), settings)
            self._drawn[key] = roles, leaks
        return self._drawn[key]

    def part(
        self, name: str, roles: tuple[Role, ...], *, working_size: int | None, references: str | None
    ) -> dict[str, Any]:
        """`keys.dataset_part` of a dataset that is read."""
        key = (name, roles, working_size, references)
        if key not in self._parts:
            table = self.datasets[name].table
            if name not in self._scores:
                self._scores[name] = keys.scores_part(table.name, _told(table))
            self._parts[key] = keys.dataset_part(
                fingerprint=self.datasets[name].fingerprint,
                names=table.name,
                roles=roles,
                scores=self._scores[name],
                working_size=working_size,
                references=references,
            )
        return self._parts[key]


def _told(table: Table) -> Sequence[Sequence[float]]:
    """What learners may receive of images that the fingerprint does not hold: scores on the [0, 1] scale, ratings."""
    ratings = [column for column in (table.rating_std, table.distribution) if column is not None]
    found: list[list[float]] = np.column_stack([table.score01, *ratings]).tolist()
    return found
