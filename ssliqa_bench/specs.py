"""The words of a run: which pair of datasets, which run, and what a board calls one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ssliqa_bench.errors import InputError
from ssliqa_bench.types import Side


@dataclass(frozen=True)
class Pair:
    """`A:B`: dataset A gives labeled images, B unlabeled ones. `A` alone has no unlabeled side."""

    labeled: str
    unlabeled: str | None = None

    @classmethod
    def parse(cls, text: str) -> Pair:
        """Read `A` or `A:B`; names are resolved by the registry, not here."""
        parts = text.split(":")
        if len(parts) > 2 or not all(parts):
            raise InputError(f'Pair "{text}": expected A or A:B, for example demo-syn:demo-wild.')
        return cls(parts[0], parts[1] if len(parts) == 2 else None)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The one or two different datasets, A first."""
        return (self.labeled,) if self.unlabeled in (None, self.labeled) else (self.labeled, str(self.unlabeled))

    def side(self, dataset: str) -> Side:
        """Which side a dataset is on; a dataset of neither side is external."""
        if dataset == self.labeled:
            return "labeled"
        return "unlabeled" if dataset == self.unlabeled else "external"

    def __str__(self) -> str:
        return self.labeled if self.unlabeled is None else f"{self.labeled}:{self.unlabeled}"


@dataclass(frozen=True)
class RunSpec:
    """One run as asked for: method × pair × protocol × seed, with what was overridden.

    Budgets: a count (int ≥ 1) or a fraction (float in (0, 1]); None means what the protocol says.
    """

    method: str
    pair: Pair
    protocol: str = "standard"
    seed: int = 0
    recipe: str | None = None
    overrides: tuple[tuple[str, Any], ...] = ()
    budget: int | float | None = None
    unlabeled_budget: int | float | None = None
    tests: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.pair} {self.protocol} seed {self.seed}"


def cell_of(spec: RunSpec) -> dict[str, Any]:
    """What a board calls one cell, of a run as asked for; canonical where the spec is (that of a plan)."""
    return {
        "method": spec.method,
        "recipe": spec.recipe,
        "overrides": dict(spec.overrides),
        "pair": str(spec.pair),
        "protocol": spec.protocol,
        "seed": spec.seed,
        "budget": spec.budget,
        "unlabeled_budget": spec.unlabeled_budget,
    }
