"""`run`: train and evaluate, or answer from the store; `records`: what a store holds, as a table."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.names import ALWAYS
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner import execute
from ssliqa_bench.runner.plan import Plan, make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records

if TYPE_CHECKING:
    import pandas as pd

_METRICS = ("n", *ALWAYS, "mapping")
_CELL = ("method", "recipe", "pair", "protocol", "seed", "budget", "unlabeled_budget")


@dataclass(frozen=True)
class Runs(Sequence[Record]):
    """Finished runs, in the order of their seeds.

    Attributes:
        cached: which of them the store held already.
    """

    found: tuple[Record, ...]
    cached: tuple[bool, ...]

    def __getitem__(self, index: Any) -> Any:
        """The record of a run, or those of a slice."""
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def table(self) -> pd.DataFrame:
        """A row per run and tested dataset, as `records` gives them."""
        return record_table(self.found)

    def __repr__(self) -> str:
        return self.table().drop(columns=["key", "overrides"]).to_string(index=False)

    def _repr_html_(self) -> str:
        return _shown(self.table())


def run(
    method: str | Plan,
    pair: str | Settings,
    *,
    seed: int = 0,
    seeds: int | None = None,
    protocol: str = "standard",
    recipe: str | None = None,
    params: Mapping[str, Any] | None = None,
    budget: int | float | None = None,
    unlabeled_budget: int | float | None = None,
    tests: Sequence[str] = (),
    registry: Sequence[str | os.PathLike[str]] = (),
    **settings: Any,
) -> Any:
    """Train and evaluate a method on a pair of datasets, or return the stored result.

    Args:
        method: name of a method. A plan of `make_plan`, with its `Settings` as the second argument, is run as it is and
            gives an `Outcome`.
        pair: "A:B" (labeled images from A, unlabeled images from B) or "A".
        seed: of split and training.
        seeds: runs seeds 0 to N-1 in place of one.
        protocol, recipe: names; the recipe is that of dataset A unless it is given.
        params: parameters of the method to change, by name.
        budget, unlabeled_budget: labeled images from A, unlabeled images from B: a count (int) or a fraction (float).
        tests: further datasets to evaluate on.
        registry: registry files of your own.
        settings: fields of `Settings`: store, data_root, device, threads, quiet and so on.

    Returns:
        `Runs`: a sequence of records, with `.table()`; a notebook shows the table.

    Raises:
        InputError: an unknown name, a budget that does not fit, missing data or weights.
        RunError: training or prediction failed.
    """
    if isinstance(method, Plan):
        if not isinstance(pair, Settings):
            raise InputError("run(plan, settings): the second argument must be the Settings of the plan.")
        return execute.run(method, pair)
    if isinstance(pair, Settings):
        raise InputError('run(method, pair): the pair must be text such as "demo-syn:demo-wild".')
    where, names = Settings.from_environment(**_paths(settings)), load_registry([Path(file) for file in registry])
    specs = [
        RunSpec(
            method=method,
            pair=Pair.parse(pair),
            protocol=protocol,
            seed=number,
            recipe=recipe,
            overrides=tuple((params or {}).items()),
            budget=budget,
            unlabeled_budget=unlabeled_budget,
            tests=tuple(tests),
        )
        for number in (range(seeds) if seeds is not None else (seed,))
    ]
    outcomes = [execute.run(make_plan(spec, names, where), where) for spec in specs]
    return Runs(tuple(outcome.record for outcome in outcomes), tuple(outcome.cached for outcome in outcomes))


def records(store: str | os.PathLike[str] = "runs") -> pd.DataFrame:
    """The records of a store as a table: a row per run and dataset that it was tested on.

    Returns:
        Columns method, recipe, pair, protocol, seed, budget, unlabeled_budget, overrides, dataset, side, n, srcc, krcc,
        plcc_raw, plcc_mapped, rmse_mapped (in units of the scores), mapping, seconds (of training), device, created and
        key, which `load_model(key, store=store)` takes. Undefined figures are NaN.

    Raises:
        CorruptFileError: a record is damaged.
    """
    return record_table(iter_records(store))


def record_table(found: Sequence[Record] | Iterator[Record]) -> pd.DataFrame:
    """As `records`, of records at hand."""
    import pandas as pd

    columns = [*_CELL, "overrides", "dataset", "side", *_METRICS, "seconds", "device", "created", "key"]
    return pd.DataFrame([row for record in found for row in _rows(record)], columns=columns)


def _rows(record: Record) -> Iterator[dict[str, Any]]:
    cell = record.cell.model_dump()
    for name, result in record.results.items():
        yield {
            **{field: cell[field] for field in _CELL},
            "overrides": ", ".join(f"{key}={value}" for key, value in cell["overrides"].items()),
            "dataset": name,
            "side": result.dataset.side,
            **{metric: getattr(result.metrics, metric) for metric in _METRICS},
            "seconds": record.facts.seconds.train,
            "device": record.facts.device,
            "created": record.facts.created,
            "key": record.key,
        }


def _paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with folders given as text made paths."""
    known = {"store", "data_root", "cache_root"}
    return {name: Path(value) if name in known and value is not None else value for name, value in settings.items()}


def _shown(table: pd.DataFrame) -> str:
    short = table.drop(columns=["overrides", "created"]).copy()
    short["key"] = [html.escape(key[:12]) for key in short["key"]]
    return str(short.to_html(index=False, float_format="{:.4f}".format, border=0))
