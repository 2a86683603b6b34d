"""Settings for heads on frozen features, chosen on one database to be applied unchanged to another.

    python benchmarks/tuning.py livec 100 [--store runs/tuning] [--methods fixmatch …]     run the trials, then print
    python benchmarks/tuning.py --chosen                                                  print what was chosen

Every learner and every labels-only row that has settings gets the same number of trials: three learning rates times
two values of one more parameter, the weight of what unlabeled images teach where a learner has one, else the weight
decay. A trial is the mean SRCC over three random splits that no result uses. What `livec` chooses becomes recipe
`frozen/tuned-on-livec`, which results on BIQ2021 use, and what `biq2021` chooses `frozen/tuned-on-biq2021`, for results
on `livec`; so no result is chosen by images of its own database. Numbers of
steps are never tuned, so that a learner and its comparator make as many. Trials are kept in
`benchmarks/tuning/DATASET-LABELS.csv`, those of other rows stay there; runs that the store holds are not repeated.

    python benchmarks/tuning.py biq2021-test-list 100 --recipe frozen/last-stages --registry own.yaml
    python benchmarks/tuning.py livec 100 --recipe frozen/last-stages

Where the last stages of the network are trained too, a run takes minutes, so that only the rate of `supervised`
is tried, and every row has it; these trials are kept in `DATASET-last-stages-LABELS.csv`. `biq2021-test-list` is a
dataset of one's own (`ssliqa-bench data add`): the 2,000 photographs of the official test list.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.execute import run
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec

FOLDER = Path(__file__).parent / "tuning"
RECIPE, FACTORS, SEEDS = "frozen", (1 / 3, 1, 3), (1000, 1001, 1002)
# The second parameter of each row and the two values that are tried.
SECOND: dict[str, tuple[str, tuple[float, float]]] = {
    **dict.fromkeys(
        ("supervised", "supervised-long", "supervised-levels", "pi-model-supervised", "mean-teacher-supervised",
         "pseudo-label-supervised", "rankup-supervised", "ucvme-supervised"),
        ("weight_decay", (0.1, 1.0)),
    ),
    **dict.fromkeys(
        ("fixmatch", "adamatch", "freematch", "simmatch", "comatch", "crmatch", "pi-model", "mean-teacher",
         "pseudo-label", "rankup", "rankup-rda"),
        ("unlabeled_weight", (1.0, 0.3)),
    ),
    "ucvme": ("unlabeled_weight", (1.0, 10.0)),
    "ssiqa": ("krr_lambda", (0.1, 1.0)),
}  # fmt: skip
RATES = ("lr", "phase_lr")
LAST_STAGES = "frozen/last-stages"
SHORT = ("supervised",)  # what is tried with that recipe


def trials(method: str, recipe: str) -> Iterator[dict[str, float]]:
    """What each trial of a row sets."""
    params = load_registry().resolve_method(method, recipe=recipe).params
    name, values = SECOND[method]
    if recipe == LAST_STAGES:
        values = (params[name],)
    for factor in FACTORS:
        rates = {rate: float(f"{params[rate] * factor:.2g}") for rate in RATES if rate in params}
        for value in values:
            yield {**rates, name: value}


def measure(
    dataset: str, budget: int, recipe: str, methods: list[str], registry: Registry, settings: Settings
) -> Iterator[dict[str, Any]]:
    """SRCC of every trial of every row on every split."""
    for method in methods:
        for trial in trials(method, recipe):
            for seed in SEEDS:
                changed = tuple(sorted(trial.items()))
                spec = RunSpec(method, Pair(dataset, dataset), "standard", seed, recipe, changed, budget)
                record = run(make_plan(spec, registry, settings), settings).record
                said = ", ".join(f"{key}={value:g}" for key, value in changed)
                row = {"method": method, "trial": said, "seed": seed, "srcc": record.results[dataset].metrics.srcc}
                print(*row.values(), flush=True)
                yield row


def keep(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write trials into a file, in the place of earlier ones of the same rows."""
    path.parent.mkdir(exist_ok=True)
    made = {row["method"] for row in rows}
    with open(path, "a+", encoding="utf-8", newline="") as file:
        file.seek(0)
        others = [row for row in csv.DictReader(file) if row["method"] not in made]
        file.truncate(0)
        writer = csv.DictWriter(file, ["method", "trial", "seed", "srcc"], lineterminator="\n")
        writer.writeheader()
        writer.writerows([*others, *({**row, "srcc": f"{row['srcc']:.6f}"} for row in rows)])


def chosen(path: Path) -> dict[str, tuple[str, float]]:
    """Row -> its best trial and that trial's mean SRCC; of equal ones the first."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values[row["method"], row["trial"]].append(float(row["srcc"]))
    best: dict[str, tuple[str, float]] = {}
    for (method, trial), found in values.items():
        mean = statistics.fmean(found)
        if method not in best or mean > best[method][1]:
            best[method] = (trial, mean)
    return best


def main() -> int:
    """Run trials, or print what they chose."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", nargs="?")
    parser.add_argument("budget", nargs="?", type=int)
    parser.add_argument("--store", type=Path, default=Path("runs/tuning"))
    parser.add_argument("--methods", nargs="*")
    parser.add_argument("--recipe", default=RECIPE, choices=(RECIPE, LAST_STAGES))
    parser.add_argument("--registry", type=Path, action="append", default=[], help="a file with the dataset")
    parser.add_argument("--chosen", action="store_true")
    options = parser.parse_args()
    if not options.chosen:
        if options.dataset is None or options.budget is None:
            parser.error("DATASET and BUDGET are needed, for example: livec 100")
        settings = Settings.from_environment(store=options.store, device="cpu", threads=1)
        methods = options.methods or list(SHORT if options.recipe == LAST_STAGES else SECOND)
        registry = load_registry(options.registry)
        rows = list(measure(options.dataset, options.budget, options.recipe, methods, registry, settings))
        stages = "-last-stages" if options.recipe == LAST_STAGES else ""
        keep(FOLDER / f"{options.dataset}{stages}-{options.budget}.csv", rows)
    for path in sorted(FOLDER.glob("*.csv")):
        name, _, labels = path.stem.rpartition("-")
        dataset, stages = name.removesuffix("-last-stages"), ", last stages" * name.endswith("-last-stages")
        print(f"\nchosen on {dataset} with {labels} labels{stages}: mean SRCC of {len(SEEDS)} splits")
        for method, (trial, mean) in chosen(path).items():
            print(f"{method:26s} {mean:.4f}  {trial}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
