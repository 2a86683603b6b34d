"""What the demo pair must show, checked on trained models: run after `make demo-records`, in the same store.

    python benchmarks/claims/demo.py --store runs/demo-records [--seeds 5]

Prints means over the seeds and exits with 1 where a claim does not hold. With true scores as pseudo-labels SS-IQA
must come close to the oracle; with shuffled ones it must not beat its supervised start. Parameters of the recipe
`demo` were fixed on seeds from 100 on.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from statistics import mean

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.execute import run
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.record import Metrics
from ssliqa_bench.testing import metrics_with_pseudo_labels

PAIR = Pair("demo-syn", "demo-wild")


def main() -> int:
    """Collect the metrics, print them, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    settings = Settings.from_environment(store=options.store, device="cpu")
    registry = load_registry()
    results: dict[str, list[dict[str, Metrics]]] = {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for method in ("supervised", "oracle", "ssiqa"):
            plan = make_plan(RunSpec(method, PAIR, seed=seed), registry, settings)
            results.setdefault(method, []).append(run(plan, settings).record.metrics)
        for labels in ("true", "shuffled"):
            told = metrics_with_pseudo_labels(plan, replace(settings, quiet=False), labels)
            results.setdefault(f"ssiqa, {labels} pseudo-labels", []).append(told)
    means = {
        name: {d: mean(m[d].srcc for m in per_seed) for d in PAIR.datasets} for name, per_seed in results.items()
    }
    print("SRCC demo-syn / demo-wild, mean over the seeds")
    for name, per_dataset in means.items():
        by_seed = "  ".join(f"{m['demo-syn'].srcc:.3f}/{m['demo-wild'].srcc:.3f}" for m in results[name])
        print(f"{name:28} {per_dataset['demo-syn']:.3f} / {per_dataset['demo-wild']:.3f}   by seed: {by_seed}")
    return _claims(means)


def _claims(means: dict[str, dict[str, float]]) -> int:
    supervised, oracle = means["supervised"], means["oracle"]
    true, shuffled = (means[f"ssiqa, {labels} pseudo-labels"] for labels in ("true", "shuffled"))
    claims = {
        "supervised ≥ 0.70 on the labeled side": supervised["demo-syn"] >= 0.70,
        "oracle ≥ 0.82 on the labeled side": oracle["demo-syn"] >= 0.82,
        "oracle ≥ 0.82 on the unlabeled side": oracle["demo-wild"] >= 0.82,
        "true pseudo-labels within 0.03 of the oracle on the unlabeled side": true["demo-wild"]
        >= oracle["demo-wild"] - 0.03,
        "shuffled pseudo-labels do not beat supervised on the unlabeled side": shuffled["demo-wild"]
        <= supervised["demo-wild"],
    }
    for claim, holds in claims.items():
        print(f"{'holds ' if holds else 'FAILS '} {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
