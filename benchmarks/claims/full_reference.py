"""How well the full-reference metrics of pyiqa that need no download judge the distorted photographs of the demo set.

    python benchmarks/claims/full_reference.py --store runs/full-reference [--seeds 5] [--first-seed 100] [--jobs 2]

Prints SRCC on the test part of `demo-syn` under protocol `standard`, best mean first: the mark that a full-reference
learner has to pass on unseen photographs. Seeds from 100 on are those on which parameters are chosen; records of the
demo boards take those from 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.execute import run
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec

# Those that consist of formulae alone; the others start from weights that have to be downloaded. MS-SSIM is one of them
# and takes images of more than 160 pixels. MAD takes seconds an image, the others together a few minutes.
METRICS = ("cw_ssim", "fsim", "gmsd", "mad", "nlpd", "psnr", "psnry", "ssim", "ssimc", "vif", "vsi")
DATASET = "demo-syn"


def main() -> None:
    """Run every metric at every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--metric", action="append", help="in place of all that need no download")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the images of a slow metric")
    options = parser.parse_args()
    settings = Settings.from_environment(store=options.store, device="cpu", processes=options.jobs)
    registry = load_registry()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    found: dict[str, list[float]] = {}
    for metric in options.metric or METRICS:
        for seed in seeds:
            plan = make_plan(RunSpec(f"pyiqa:{metric}", Pair(DATASET), seed=seed), registry, settings)
            found.setdefault(metric, []).append(run(plan, settings).record.metrics[DATASET].srcc)
    print(f"SRCC on {DATASET}, test part   mean   seeds {seeds.start} to {seeds.stop - 1}")
    for metric, values in sorted(found.items(), key=lambda item: -mean(item[1])):
        print(f"pyiqa:{metric:24} {mean(values):.4f}   {'  '.join(f'{value:.4f}' for value in values)}")


if __name__ == "__main__":
    main()
