"""What the Blind Noisy Student must show on the demo pair: run after the suite `demo_bns`, in the same store.

    ssliqa-bench sweep demo_bns --store runs/demo-records
    python benchmarks/claims/demo_bns.py --store runs/demo-records [--seeds 5]

Prints the teacher beside the full-reference metrics of pyiqa that need no download, and the gain of the student with
pseudo-labels over the same student on labels alone, paired by seed, whatever its sign. Exit code 1 where the teacher
on all labels does not beat the best metric on unseen photographs, or where the student with the true scores in place of
pseudo-labels does not come within 0.03 of the one trained on all labels. Parameters were fixed on seeds from 100 on.
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
from ssliqa_bench.testing import metrics_with_pseudo_labels

DATASET = "demo-syn"
PAIR = Pair(DATASET, DATASET)
BUDGET = 0.25
METRICS = ("psnr", "psnry", "ssim", "ssimc", "cw_ssim", "vif", "nlpd", "gmsd", "fsim", "vsi", "mad")  # as in the suite
ALL_LABELS_SEEDS = 3  # as in the suite
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

    def srcc(spec: RunSpec) -> float:
        return float(run(make_plan(spec, registry, settings), settings).record.metrics[DATASET].srcc)

    def by_seed(method: str) -> list[float]:
        return [srcc(RunSpec(method, PAIR, seed=seed, budget=BUDGET)) for seed in seeds]

    def all_labels(method: str) -> list[float]:
        return [srcc(RunSpec(method, Pair(DATASET), seed=seed)) for seed in seeds[:ALL_LABELS_SEEDS]]

    def told(seed: int) -> float:
        plan = make_plan(RunSpec("noisy-student", PAIR, seed=seed, budget=BUDGET), registry, settings)
        return float(metrics_with_pseudo_labels(plan, replace(settings, quiet=False), "true")[DATASET].srcc)

    rows = {f"pyiqa:{name}": all_labels(f"pyiqa:{name}") for name in METRICS}
    best = max(rows, key=lambda name: mean(rows[name]))
    rows["iqa-conformer, all labels"] = all_labels("iqa-conformer")
    for method in ("iqa-conformer", "bns-supervised", "noisy-student", "bns-oracle"):
        rows[method] = by_seed(method)
    rows["noisy-student, true scores"] = [told(seed) for seed in seeds]
    print(f"SRCC on unseen photographs of {DATASET}, from {BUDGET:.0%} of the labels unless said: mean, by seed")
    for name, values in rows.items():
        print(f"{name:28} {mean(values):.3f}   {'  '.join(f'{value:.3f}' for value in values)}")
    gains = [one - other for one, other in zip(rows["noisy-student"], rows["bns-supervised"], strict=True)]
    spread = stdev(gains) if len(gains) > 1 else 0.0
    print(f"gain of pseudo-labels, paired by seed: {mean(gains):+.3f} ± {spread:.3f} (sample standard deviation)")
    teacher = mean(rows["iqa-conformer, all labels"])
    claims = {
        f"the teacher on all labels beats {best}, the best full-reference metric": teacher > mean(rows[best]),
        f"true scores within {WITHIN} of the student on all labels": mean(rows["noisy-student, true scores"])
        >= mean(rows["bns-oracle"]) - WITHIN,
    }
    for claim, holds in claims.items():
        print(f"{'holds ' if holds else 'FAILS '} {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
