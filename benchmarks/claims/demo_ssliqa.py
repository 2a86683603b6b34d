"""What SSLIQA must show on the demo pair: run after the suite `demo_ssliqa`, in the same store.

    ssliqa-bench sweep demo_ssliqa --store runs/demo-records
    python benchmarks/claims/demo_ssliqa.py --store runs/demo-records [--seeds 5]

Prints the gain of the small pair over its own student on labels alone, paired by seed, with 10 % of the labels and
with all, whatever its sign. Exit code 1 where, with the true distributions in place of the teacher's, the student does
not come within 0.03 of the oracle on the unlabeled side. Parameters were fixed on seeds from 100 on.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.execute import run
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.testing import metrics_with_true_consistency

PAIR = Pair("demo-syn", "demo-wild")
BUDGETS = (0.1, None)
WITHIN = 0.03


def main() -> int:
    """Collect the metrics, print them, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    settings = Settings.from_environment(store=options.store, device="cpu")
    registry = load_registry()
    seeds = range(options.first_seed, options.first_seed + options.seeds)

    def srcc(method: str, seed: int, budget: float | None = None) -> dict[str, float]:
        plan = make_plan(RunSpec(method, PAIR, seed=seed, budget=budget), registry, settings)
        metrics = run(plan, settings).record.metrics
        return {dataset: metrics[dataset].srcc for dataset in PAIR.datasets}

    print("gain in SRCC over ssliqa-small-supervised, paired by seed: mean ± sample standard deviation")
    for budget in BUDGETS:
        pairs = [(srcc("ssliqa-small", s, budget), srcc("ssliqa-small-supervised", s, budget)) for s in seeds]
        gains = {dataset: [one[dataset] - other[dataset] for one, other in pairs] for dataset in PAIR.datasets}
        shown = "   ".join(f"{d} {mean(g):+.3f} ± {stdev(g) if len(g) > 1 else 0:.3f}" for d, g in gains.items())
        print(f"{'all labels' if budget is None else f'{budget:.0%} of the labels':18} {shown}")
    told, oracle = [], []
    for seed in seeds:
        plan = make_plan(RunSpec("ssliqa-small", PAIR, seed=seed), registry, settings)
        told.append(metrics_with_true_consistency(plan, replace(settings, quiet=False))["demo-wild"].srcc)
        oracle.append(srcc("ssliqa-small-oracle", seed)["demo-wild"])
    print(f"demo-wild: true distributions {mean(told):.3f}, oracle {mean(oracle):.3f}")
    holds = mean(told) >= mean(oracle) - WITHIN
    print(f"{'holds ' if holds else 'FAILS '} true distributions within {WITHIN} of the oracle on the unlabeled side")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
