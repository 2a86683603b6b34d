"""What `sweep --dry-run` estimates without any record, beside what the committed records of the same runs took.

    python benchmarks/claims/estimates.py open open_biq2021 --records leaderboards/open [--since 2026-11-30]

Needs the datasets of the suites below $SSLIQA_DATA. The first seed of each row is estimated; seconds are those of
training and prediction, which planning, decoding, metrics and the writing of records are no part of.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.suite import load_runs
from ssliqa_bench.runner.forecast import Forecaster
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.records import iter_records

Cell = tuple[object, ...]


def recorded(folder: Path, since: str) -> dict[Cell, list[float]]:
    """Seconds of the runs of each row, without its seeds."""
    found: dict[Cell, list[float]] = defaultdict(list)
    for record in iter_records(folder):
        if record.facts.created >= since:
            seconds = record.facts.seconds
            found[without_seed(record.cell)].append(seconds.train + seconds.predict)
    return found


def without_seed(asked: object) -> Cell:
    """What a run was asked to do, apart from its seed."""
    names = ("method", "pair", "protocol", "recipe", "budget", "unlabeled_budget")
    return tuple(str(getattr(asked, name)) for name in names)


def main() -> int:
    """Print a line per method and the sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="+")
    parser.add_argument("--records", type=Path, required=True, help="a store with records of these suites")
    parser.add_argument("--since", default="", help="records made on this day or later")
    options = parser.parse_args()
    took, registry = recorded(options.records, options.since), load_registry()
    by_method: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as empty:
        settings = Settings.from_environment(store=Path(empty), device="cpu", threads=1)
        forecaster = Forecaster(registry, settings)
        for spec in load_runs(options.suites, registry, seeds=[0]):
            runs = took.get(without_seed(spec))
            seconds = forecaster.look(spec).seconds if runs else None
            if runs and seconds is not None:
                by_method[spec.method].append((len(runs), len(runs) * seconds, sum(runs)))
    rows = [(name, *map(sum, zip(*own, strict=True))) for name, own in sorted(by_method.items())]
    if not rows:
        parser.error(f"{options.records}: no record of a run of {', '.join(options.suites)}")
    rows.append(("all", *map(sum, zip(*(row[1:] for row in rows), strict=True))))
    for name, runs, estimate, seconds in rows:
        print(f"{name:26s} {runs:5d} runs  estimated {estimate:8.1f} s  recorded {seconds:8.1f} s  "
              f"ratio {estimate / seconds:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
