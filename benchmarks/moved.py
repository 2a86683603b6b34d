"""What a change of code moved: the runs that two stores have in common, before and after.

    python benchmarks/moved.py BEFORE AFTER [--markdown]

For every method, pair, protocol and number of labels it prints the mean SRCC over the seeds that both stores hold, and
how many of these runs have equal predictions, to the last digit. Runs of one store alone are counted, not compared.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records, read_predictions

Group = tuple[str, str, str, str, str]  # method, pair, protocol, recipe with overrides, labels


@dataclass(frozen=True)
class Run:
    """A record and the store that holds it."""

    store: Path
    record: Record

    def srcc(self, dataset: str) -> float | None:
        """Of the record's predictions for a dataset; None where it is undefined."""
        return self.record.results[dataset].metrics.srcc

    def equals(self, other: Run) -> bool:
        """Whether all predictions are those of another run, to the last digit."""
        if self.record.results.keys() != other.record.results.keys():
            return False
        return all(
            np.array_equal(
                read_predictions(self.store, self.record.key, dataset).prediction,
                read_predictions(other.store, other.record.key, dataset).prediction,
            )
            for dataset in self.record.results
        )


def runs_of(store: Path) -> dict[Group, dict[int, Run]]:
    """Runs by group and seed; of several records of one cell the newest."""
    found: dict[Group, dict[int, Run]] = defaultdict(dict)
    for record in sorted(iter_records(store), key=lambda record: str(record.facts.created)):
        cell = record.cell
        changes = ", ".join([cell.recipe, *(f"{name}={value}" for name, value in sorted(cell.overrides.items()))])
        labels = "all" if cell.budget is None else f"{cell.budget:g}"
        if cell.unlabeled_budget is not None:
            labels += f", {cell.unlabeled_budget:g} unlabeled"
        found[cell.method, cell.pair, cell.protocol, changes, labels][cell.seed] = Run(store, record)
    return found


def mean_of(runs: Iterable[Run], dataset: str) -> str:
    """Mean SRCC, or a dash where one is undefined."""
    values = [run.srcc(dataset) for run in runs]
    known = [value for value in values if value is not None]
    return f"{statistics.fmean(known):.4f}" if known and len(known) == len(values) else "–"


def compared(before: dict[int, Run], after: dict[int, Run]) -> list[str]:
    """Seeds in common, equal runs, and the means before and after, by dataset."""
    seeds = sorted(before.keys() & after.keys())
    old, new = [before[seed] for seed in seeds], [after[seed] for seed in seeds]
    equal = sum(one.equals(other) for one, other in zip(old, new, strict=True))
    datasets = list(new[0].record.results)
    was, now = (" / ".join(mean_of(runs, dataset) for dataset in datasets) for runs in (old, new))
    return [str(len(seeds)), str(equal), was, now]


def show(rows: Sequence[Sequence[str]], markdown: bool) -> None:
    """Print rows, the first of which is the head, as a table."""
    if markdown:
        for number, row in enumerate(rows):
            print("| " + " | ".join(row) + " |")
            if not number:
                print("|" + " --- |" * len(row))
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    """Compare two stores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    before, after = runs_of(options.before), runs_of(options.after)
    common = [group for group in sorted(before.keys() & after.keys()) if before[group].keys() & after[group].keys()]
    head = ["method", "pair", "protocol", "recipe", "labels", "seeds", "equal", "SRCC before", "SRCC after"]
    show([head, *([*group, *compared(before[group], after[group])] for group in common)], options.markdown)
    for name, one, other in (("before", before, after), ("after", after, before)):
        alone = sum(len(seeds.keys() - other.get(group, {}).keys()) for group, seeds in one.items())
        print(f"{alone} runs are in the store {name} alone.")


if __name__ == "__main__":
    main()
