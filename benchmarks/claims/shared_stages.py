"""What one sweep of SS-IQA's ablations costs against running each of them alone, with equal results.

    python benchmarks/claims/shared_stages.py [--set KEY=VALUE …] [--seed N]

The variants of Table 3, five numbers of blocks (Table 5) and ten replay rates (Table 6) on the demo pair, recipe
`demo`: once as one sweep, whose planner computes shared stages once, and once each with a store of its own. Everything
happens in this process on one thread, images are decoded before, and CPU seconds are taken. A run that several tables
name counts once. With `--set crops=2 --set test_crops=4` an image costs a quarter of the time. Exits with 1 where a
key, a prediction or a metric differs, or where the sweep takes more than 60 % of the time of the runs alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ssliqa_bench.registry.yamlfile import parse_assignments
from ssliqa_bench.runner.engines import run_all
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import read_predictions

PAIR = Pair("demo-syn", "demo-wild")
TABLES = {
    3: ("ssiqa-baseline", "ssiqa-il", "ssiqa-krr", "ssiqa-1in100", "ssiqa"),
    5: ("ssiqa-q1", "ssiqa-q2", "ssiqa", "ssiqa-q4", "ssiqa-q6"),
    6: ("ssiqa-k1-0", "ssiqa-k1-10", "ssiqa-k1-20", "ssiqa-k1-50", "ssiqa-k1-100",
        "ssiqa-k2-0", "ssiqa-k2-10", "ssiqa-k2-50", "ssiqa-k2-100", "ssiqa"),
}  # fmt: skip
ALLOWED = 0.6


def made(specs: Sequence[RunSpec], store: Path) -> tuple[list[Record], float]:
    """The records of some runs in a store that is new, and the CPU seconds that they took."""
    settings = Settings.from_environment(store=store, device="cpu", quiet=True)
    began = time.process_time()
    results = run_all(specs, (), settings, 1, lambda *_: None)
    seconds = time.process_time() - began
    failed = [f"{result.spec}: {result.error}" for result in results if result.record is None]
    if failed:
        sys.exit("\n".join(failed))
    return [result.record for result in results if result.record is not None], seconds


def differences(first: tuple[Path, Record], second: tuple[Path, Record]) -> list[str]:
    """In what two records of one run differ, each with its store."""
    (one, a), (two, b) = first, second
    found = [] if a.key == b.key else ["key"]
    for name, result in a.results.items():
        if read_predictions(one, a.key, name) != read_predictions(two, b.key, name):
            found.append(f"predictions for {name}")
        if result.metrics != b.results[name].metrics:
            found.append(f"metrics on {name}")
    return found


def main() -> int:
    """Run, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="parameter of every run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    overrides = tuple(parse_assignments(options.set).items())
    methods = list(dict.fromkeys(name for names in TABLES.values() for name in names))
    specs = [RunSpec(name, PAIR, seed=options.seed, overrides=overrides) for name in methods]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        made([RunSpec("ssiqa", PAIR, seed=options.seed, recipe="check")], root / "first")  # imports, decodes
        together, shared = made(specs, root / "sweep")
        alone, equal = 0.0, True
        for spec, record in zip(specs, together, strict=True):
            (own,), seconds = made([spec], root / spec.method)
            alone += seconds
            differing = differences((root / "sweep", record), (root / spec.method, own))
            equal &= not differing
            print(f"{spec.method:15} {seconds:7.1f} s alone, {', '.join(differing) or 'equal'}", flush=True)
        stages = {stage.key for record in together for stage in record.facts.stages}
        named = sum(len(record.facts.stages) for record in together)
    ratio = shared / alone
    print(f"{len(specs)} runs with {named} stages, {len(stages)} different ones: {shared:.1f} CPU s as one sweep, "
          f"{alone:.1f} each alone: {ratio:.3f} times, at most {ALLOWED} asked; "
          f"{'all results equal' if equal else 'RESULTS DIFFER'}")
    return 0 if equal and ratio < ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
