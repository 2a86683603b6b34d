"""Whether committed records come out again: some of them run on a fresh store and compared to the last digit.

    python benchmarks/claims/open_again.py [STORE] [--runs 5] [--methods supervised rankup …]

Needs the dataset below $SSLIQA_DATA. Takes the record with the smallest key of each method, methods in the order of
their names unless named. Exits with 1 where a key, a prediction or a metric differs; another kind of processor may
round otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.execute import run
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records, read_predictions


def chosen(store: Path, methods: list[str], runs: int) -> list[Record]:
    """The first record, by key, of each method."""
    first: dict[str, Record] = {}
    for record in iter_records(store):
        first.setdefault(record.facts.cell.method, record)
    names = methods or sorted(first)[:runs]
    return [first[name] for name in names]


def main() -> int:
    """Run them again and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("store", nargs="?", type=Path, default=Path("leaderboards/open"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--methods", nargs="*", default=[])
    options = parser.parse_args()
    registry, same = load_registry(), True
    with tempfile.TemporaryDirectory() as fresh:
        for record in chosen(options.store, options.methods, options.runs):
            facts = record.facts
            settings = Settings.from_environment(store=Path(fresh), device=facts.device, threads=facts.threads)
            again = run(make_plan(record.spec, registry, settings), settings).record
            differing = [] if again.facts.key == facts.key else ["key"]
            for dataset, result in record.results.items():
                ours, theirs = (read_predictions(p, r.facts.key, dataset) for p, r in
                                ((fresh, again), (options.store, record)))  # fmt: skip
                differing += [] if ours == theirs else [f"predictions for {dataset}"]
                differing += [] if again.results[dataset].metrics == result.metrics else [f"metrics on {dataset}"]
            same &= not differing
            print(f"{record.spec}: {'differs in ' + ', '.join(differing) if differing else 'equal'}", flush=True)
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
