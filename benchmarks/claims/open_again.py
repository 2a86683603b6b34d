"""Whether committed records come out again: some of them run on a fresh store and compared to the last digit.

    python benchmarks/claims/open_again.py [STORE] [--runs 5] [--methods supervised rankup …] [--pair livec:livec]
    python benchmarks/claims/open_again.py [STORE] --keys 0123abcd …

Needs the datasets below $SSLIQA_DATA. Takes records by the first digits of their keys, or of each method the first, by
key, that a run of today would make: one whose key is that of today's plan. A method without such a record is named;
older code made its records. Prints a table and exits with 1 where a key, a prediction or a metric differs. Another kind
of processor may round otherwise: the fit behind mapped metrics differs in the last digit first, so that metrics within
1e-9 are reported with their largest difference and are no failure.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.execute import run
from ssliqa_bench.runner.plan import Plan, make_plan
from ssliqa_bench.runner.plan_cache import Known
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.predictions import to_parquet
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import find_record, iter_records, read_predictions, read_record

CLOSE = 1e-9  # relative; the tolerance of `store verify`
HEAD = ("record", "method", "pair", "recipe", "labels", "seed", "SRCC", "run again")


@dataclass
class Plans:
    """Today's plans of the runs of records, on the kind of device that made them; datasets are read once."""

    known: Known = field(default_factory=Known)

    def of(self, record: Record, store: Path) -> tuple[Plan, Settings]:
        """The plan, and settings with the store of the new run."""
        facts = record.facts
        settings = Settings.from_environment(store=store, device=facts.device, threads=facts.threads)
        return make_plan(record.spec, load_registry(), settings, self.known), settings


def chosen(records: list[Record], methods: list[str], runs: int, plans: Plans) -> Iterator[Record | str]:
    """Of each method the first record whose key is today's, or the name of a method that has none."""
    by_method: dict[str, list[Record]] = {name: [] for name in methods}
    for record in records:
        if not methods or record.cell.method in by_method:
            by_method.setdefault(record.cell.method, []).append(record)
    found = 0
    for name in methods or sorted(by_method):
        if found == runs and not methods:
            return
        same = (own for own in by_method[name] if plans.of(own, Path("unused"))[0].key == own.key)
        picked = next(same, None)
        found += picked is not None
        yield name if picked is None else picked


def differences(record: Record, store: Path, again: Record, fresh: Path) -> list[str]:
    """In what a record and its repetition differ."""
    differing = [] if again.key == record.key else ["key"]
    for dataset, result in record.results.items():
        ours = read_predictions(fresh, again.key, dataset)
        ours = ours.without_images() if result.withheld else ours
        theirs = read_predictions(store, record.key, dataset)
        # As bytes: withheld scores are NaN, which equals nothing.
        if to_parquet(ours, dataset) != to_parquet(theirs, dataset):
            said = f"predictions for {dataset}"
            if len(ours.prediction) == len(theirs.prediction) and ours.prediction != theirs.prediction:
                most = float(np.abs(np.subtract(ours.prediction, theirs.prediction)).max())
                said += f", by up to {most:.0e}"
            differing.append(said)
        most = apart(again.results[dataset].metrics.model_dump(), result.metrics.model_dump())
        if most > CLOSE:
            differing.append(f"metrics on {dataset}, by up to {most:.0e} of their values")
    return differing


def apart(one: object, other: object) -> float:
    """The largest relative difference of two documents; infinite where they differ in anything but a number."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((apart(one[name], other[name]) for name in one), default=0.0)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) / max(abs(one), abs(other), 1e-300)
    return 0.0 if one == other else math.inf


def main() -> int:
    """Run them again and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("store", nargs="?", type=Path, default=Path("leaderboards/open"))
    parser.add_argument("--runs", type=int, default=5, help="how many methods, where none is named")
    parser.add_argument("--methods", nargs="*", default=[], help="one record of each of these")
    parser.add_argument("--pair", help="only records of this pair")
    parser.add_argument("--keys", nargs="*", default=[], help="these records, whatever a run of today would make")
    options = parser.parse_args()
    plans, sound = Plans(), True
    if options.keys:
        keys = [find_record(options.store, key) for key in options.keys]
        picked: Iterator[Record | str] = (read_record(options.store, key) for key in keys)
    else:
        records = [own for own in iter_records(options.store) if options.pair in (None, own.cell.pair)]
        if not records:
            sys.exit(f"{options.store}: no records{f' of {options.pair}' if options.pair else ''}; expected a store.")
        picked = chosen(records, options.methods, options.runs, plans)
    lacking = []
    print(f"| {' | '.join(HEAD)} |\n| {' | '.join('---' for _ in HEAD)} |", flush=True)
    with tempfile.TemporaryDirectory() as fresh:
        for record in picked:
            if isinstance(record, str):
                lacking.append(record)
                continue
            plan, settings = plans.of(record, Path(fresh))
            again = run(plan, settings).record
            differing = differences(record, options.store, again, Path(fresh))
            most = max(apart(again.results[name].metrics.model_dump(), own.metrics.model_dump())
                       for name, own in record.results.items())  # fmt: skip
            sound &= not differing
            cell, tested = record.cell, record.results[record.cell.pair.split(":")[-1]].metrics
            labels = "all" if cell.budget is None else str(cell.budget)
            end = f"differs in {', '.join(differing)}" if differing else "equal"
            end += f", metrics within {most:.0e}" if most and not differing else ""
            row = (f"`{record.key[:12]}`", f"`{cell.method}`", cell.pair, cell.recipe, labels, str(cell.seed),
                   f"{tested.srcc:.4f}", end)  # fmt: skip
            print(f"| {' | '.join(row)} |", flush=True)
    for name in lacking:
        print(f"\nNo record of {name} has the key of today's plan: older code made them.")
    return int(not sound or any(name in lacking for name in options.methods))


if __name__ == "__main__":
    sys.exit(main())
