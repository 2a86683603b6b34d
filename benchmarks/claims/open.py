"""What unlabeled photographs bring on human scores: gains over comparators, with intervals and corrected verdicts.

    python benchmarks/claims/open.py [STORE]        leaderboards/open unless named

Reads records alone. Every learner is compared with its own labels-only comparator and with the best labels-only row,
split by split; intervals and p-values are those of the corrected resampled t-test (Nadeau and Bengio 2003), corrected
for the number of comparisons (Holm).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from ssliqa_bench.evaluation.comparisons import compare_splits, holm
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.store.records import iter_records

DATASET, TEST_FRACTION = "livec", 0.2
BASELINES = ("ridge-probe", "kernel-ridge", "supervised", "supervised-ensemble")


def comparators(methods: set[str]) -> dict[str, str]:
    """Learner -> the labels-only method with the same network, steps and inference, as the registry declares it."""
    registry = load_registry()
    return {
        entry.like: name
        for name, entry in registry.methods.items()
        if {name, entry.like} <= methods and registry.resolve_method(name).unlabeled_role == "unlabeled"
    }


def main(store: Path) -> None:
    """Print means and both tables of gains."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for record in iter_records(store):
        value = record.results[DATASET].metrics.srcc
        assert value is not None  # defined for every record of this suite
        found[record.facts.cell.method][record.facts.cell.seed] = value
    own_comparator = comparators(set(found))
    best = max((*BASELINES, *own_comparator.values()), key=lambda name: np.mean(list(found[name].values())))
    print(f"{len(next(iter(found.values())))} splits; best labels-only row: {best}")
    for title, against in (("own comparator", own_comparator), (best, dict.fromkeys(own_comparator, best))):
        family = {
            name: compare_splits([found[name][s] - found[other][s] for s in sorted(found[name])], TEST_FRACTION)
            for name, other in against.items()
        }
        print(f"\nSRCC gain over {title}: mean, 95 % interval, splits with a loss, corrected p, verdict")
        for name, own in holm(family).items():
            losses = sum(found[name][s] < found[against[name]][s] for s in found[name])
            p = "–" if own.p is None else f"{own.p:.3f}"
            print(f"{name:14s} {own.mean:+.4f}  {own.lo:+.4f} to {own.hi:+.4f}  {losses:2d}  {p}  {own.verdict}")
    oracle = compare_splits([found["oracle"][s] - found[best][s] for s in sorted(found["oracle"])], TEST_FRACTION)
    print(f"\noracle - {best}: {oracle.mean:+.4f}, {oracle.lo:+.4f} to {oracle.hi:+.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "leaderboards/open"))
