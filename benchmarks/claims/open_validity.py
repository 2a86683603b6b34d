"""Whether the results on human scores could be an artefact: five checks whose outcome is known beforehand.

    python benchmarks/claims/open_validity.py [shuffled zero duplicates truth told] [--store runs/validity]
                                              [--splits 20]
                                              [--methods pseudo-label …]        the learners of zero and duplicates

Needs the dataset `livec` below $SSLIQA_DATA. Every run keeps 93 scores and trains with recipe `frozen`.

Boards state two of these for the methods of the family `control`, which permute the scores of the labeled images alone;
here the scores of test images are permuted with them, and more learners are looked at.

shuffled: scores are permuted over all images; the mean SRCC over the permutations is within two standard errors of 0.
zero: a learner whose unlabeled images have weight 0 equals its comparator, up to random numbers.
duplicates: the unlabeled images are the labeled ones again; on at most 5 % of the splits a paired bootstrap over the
    test images calls that a gain. Outcomes are kept in `benchmarks/claims/duplicates.csv`; those of other learners and
    splits stay there.
truth: with the true scores of the unlabeled images a comparator comes near `oracle`; printed, not judged.
told: SS-IQA whose pseudo-labels are the true scores, handed in by the runner, comes near `oracle`; printed, not judged.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ssliqa_bench.evaluation.comparisons import Comparison, compare_fixed, compare_splits
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.execute import run
from ssliqa_bench.runner.plan import Plan, make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import read_predictions
from ssliqa_bench.testing.pseudo_labels import metrics_with_pseudo_labels

DATASET, BUDGET, RECIPE, TEST_FRACTION = "livec", 93, "frozen", 0.2
SHUFFLED = ("kernel-ridge", "supervised", "pseudo-label", "rankup", "fixmatch")
COMPARED = {
    "fixmatch": "supervised-levels",
    "pi-model": "pi-model-supervised",
    "mean-teacher": "mean-teacher-supervised",
    "pseudo-label": "pseudo-label-supervised",
    "rankup": "rankup-supervised",
    "ucvme": "ucvme-supervised",
}
# Looked at by `duplicates` where they are named; `ssiqa` has no weight of unlabeled images that could be 0.
MORE = {
    "ssiqa": "supervised-long",
    "rankup-rda": "rankup-supervised",
    "crmatch": "supervised-levels",
    "adamatch": "supervised-levels",
    "freematch": "supervised-levels",
    "simmatch": "supervised-levels",
    "comatch": "supervised-levels",
}
TABLE, COLUMNS = Path(__file__).with_name("duplicates.csv"), ("learner", "seed", "difference", "verdict")
MOST = 0.05  # share of splits on which duplicates may be called a gain
TRUTH = ("pi-model-oracle", "mean-teacher-oracle", "pseudo-label-oracle", "rankup-oracle", "ucvme-oracle")


def planned(registry: Registry, settings: Settings, method: str, pair: str, seed: int, **other: Any) -> Plan:
    """The plan of one run with recipe `frozen`."""
    return make_plan(RunSpec(method, Pair.parse(pair), seed=seed, recipe=RECIPE, **other), registry, settings)


def srcc(record: Record, dataset: str = DATASET) -> float:
    """SRCC of a record, which every run of this script has."""
    value = record.results[dataset].metrics.srcc
    assert value is not None
    return value


def described(name: str, labels: Path, plan: Plan) -> dict[str, Any]:
    """A registry entry for the images of the dataset with labels of our own."""
    entry, folder = plan.entries[DATASET], str(Path(plan.tables[DATASET].path[0]).parent)
    return {
        "about": {"title": name, "family": "own"},
        "kind": "authentic",
        "reader": "ssliqa_bench.datasets.readers.table:read_csv",
        "folder": folder,
        "options": {"labels": str(labels), "images": folder},
        "images": entry.images,
        "scale": list(entry.scale),
        "direction": "higher_is_better",
    }


def write_labels(path: Path, plan: Plan, scores: Any) -> None:
    """A label file of the dataset's images and groups with other scores."""
    table = plan.tables[DATASET]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "score", "group"))
        writer.writerows(
            (Path(own).name, repr(float(score)), group)
            for own, score, group in zip(table.path, scores, table.group, strict=True)
        )


def written(path: Path, content: dict[str, Any]) -> Registry:
    """The packaged registry under a registry file made now."""
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_registry([path])


def shuffled(settings: Settings, splits: int, folder: Path, learners: dict[str, str]) -> Iterator[str]:
    """Mean SRCC of learners whose scores are permuted."""
    found: dict[str, list[float]] = {name: [] for name in SHUFFLED}
    plain = planned(load_registry(), settings, SHUFFLED[0], f"{DATASET}:{DATASET}", 0, budget=BUDGET)
    for seed in range(splits):
        name = f"{DATASET}-shuffled-{seed}"
        labels = folder / f"{name}.csv"
        write_labels(labels, plain, np.random.default_rng(seed).permutation(plain.tables[DATASET].score))
        registry = written(folder / f"{name}.yaml", {"datasets": {name: described(name, labels, plain)}})
        for method in SHUFFLED:
            plan = planned(registry, settings, method, f"{name}:{name}", seed, budget=BUDGET)
            found[method].append(srcc(run(plan, settings).record, name))
    for method, values in found.items():
        mean, error = statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
        highest = float(np.quantile(values, 0.99))
        said = "holds" if abs(mean) <= 2 * error else "FAILS"
        yield f"{method:14s} mean {mean:+.4f}, standard error {error:.4f}, 99th percentile {highest:.4f}: {said}"


def compared(methods: Sequence[str] | None) -> dict[str, str]:
    """The learners that are looked at, with their comparators; those of `MORE` only where they are named."""
    return COMPARED if methods is None else {name: {**COMPARED, **MORE}[name] for name in methods}


def paired(settings: Settings, splits: int, one: str, other: str, **changed: Any) -> list[float]:
    """SRCC of a row with parameters changed, less that of another as it is."""
    registry, differences = load_registry(), []
    for seed in range(splits):
        pair = f"{DATASET}:{DATASET}"
        ours = planned(registry, settings, one, pair, seed, budget=BUDGET, overrides=tuple(changed.items()))
        theirs = planned(registry, settings, other, pair, seed, budget=BUDGET)
        differences.append(srcc(run(ours, settings).record) - srcc(run(theirs, settings).record))
    return differences


def zero(settings: Settings, splits: int, folder: Path, learners: dict[str, str]) -> Iterator[str]:
    """Learners whose unlabeled images weigh nothing, less their comparators."""
    for method, comparator in learners.items():
        found = compare_splits(paired(settings, splits, method, comparator, unlabeled_weight=0.0), TEST_FRACTION)
        holds = found.lo is None or found.hi is None or found.lo <= 0 <= found.hi
        yield f"{_interval(method, found)}: {'holds' if holds else 'FAILS'}"


def truth(settings: Settings, splits: int, folder: Path, learners: dict[str, str]) -> Iterator[str]:
    """Comparators that are given all true scores, less `oracle`."""
    for method in TRUTH:
        yield _interval(method, compare_splits(paired(settings, splits, method, "oracle"), TEST_FRACTION))


def told(settings: Settings, splits: int, folder: Path, learners: dict[str, str]) -> Iterator[str]:
    """SS-IQA whose pseudo-labels are the true scores, less `oracle` and less itself."""
    registry, pair = load_registry(), f"{DATASET}:{DATASET}"
    differences: dict[str, list[float]] = {"oracle": [], "ssiqa": []}
    for seed in range(splits):
        plans = {name: planned(registry, settings, name, pair, seed, budget=BUDGET) for name in differences}
        value = metrics_with_pseudo_labels(plans["ssiqa"], settings, "true")[DATASET].srcc
        assert value is not None
        for name, plan in plans.items():
            differences[name].append(value - srcc(run(plan, settings).record))
    for name, found in differences.items():
        yield _interval(f"less {name}", compare_splits(found, TEST_FRACTION))


def _interval(name: str, found: Comparison) -> str:
    ends = "no interval" if found.lo is None else f"{found.lo:+.4f} to {found.hi:+.4f}"
    return f"{name:20s} mean {found.mean:+.4f}, {ends}"


@dataclass(frozen=True)
class Outcome:
    """A learner with duplicates less its comparator on one split: difference of SRCC, and the verdict on it."""

    learner: str
    seed: int
    difference: float
    verdict: str


def judged(outcomes: Sequence[Outcome]) -> tuple[float, int, bool]:
    """Mean difference of a learner, on how many splits it is called a gain, and whether these are few enough."""
    gains = sum(own.verdict == "better" for own in outcomes)
    return statistics.fmean(own.difference for own in outcomes), gains, gains <= MOST * len(outcomes)


def kept() -> dict[str, list[Outcome]]:
    """The outcomes of the committed table, by learner."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    if TABLE.is_file():
        with open(TABLE, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                own = Outcome(row["learner"], int(row["seed"]), float(row["difference"]), row["verdict"])
                found[own.learner].append(own)
    return found


def keep(found: dict[str, list[Outcome]]) -> None:
    """Write outcomes into the table, in the place of earlier ones of the same learners and splits."""
    outcomes = (own for known in (kept(), found) for rows in known.values() for own in rows)
    table = {(own.learner, own.seed): own for own in outcomes}
    with open(TABLE, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((*key, f"{table[key].difference:.6f}", table[key].verdict) for key in sorted(table))


def duplicates(settings: Settings, splits: int, folder: Path, learners: dict[str, str]) -> Iterator[str]:
    """Learners whose unlabeled images are the labeled ones again, less their comparators."""
    copies = f"{DATASET}-copies"
    found: dict[str, list[Outcome]] = {name: [] for name in learners}
    for seed in range(splits):
        plain = planned(load_registry(), settings, "supervised", f"{DATASET}:{DATASET}", seed, budget=BUDGET)
        table, roles = plain.tables[DATASET], plain.roles[DATASET]
        write_labels(folder / f"{copies}.csv", plain, table.score)
        split = folder / f"split-{seed}.csv"
        with open(split, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("dataset", "image", "split"))
            for name, path, role in zip(table.name, table.path, roles, strict=True):
                if role in ("labeled", "test"):
                    writer.writerow((DATASET, name, "train" if role == "labeled" else "test"))
                if role == "labeled":
                    writer.writerow((copies, Path(path).name, "train"))
        protocol = {"about": {"title": "Labeled images again"}, "split": {"rule": "file", "file": str(split)}}
        registry = written(
            folder / f"copies-{seed}.yaml",
            {"datasets": {copies: described(copies, folder / f"{copies}.csv", plain)},
             "protocols": {f"copies-{seed}": protocol}},
        )  # fmt: skip
        for method, comparator in learners.items():
            predictions = []
            for own in (method, comparator):
                plan = planned(registry, settings, own, f"{DATASET}:{copies}", seed, protocol=f"copies-{seed}")
                record = run(plan, settings).record
                predictions.append(read_predictions(settings.store, record.key, DATASET))
            ours, theirs = predictions
            own = compare_fixed(ours.prediction, theirs.prediction, ours.score, ours.group, seed=seed)
            found[method].append(Outcome(method, seed, own.mean, own.verdict))
    keep(found)
    for method, outcomes in found.items():
        mean, gains, holds = judged(outcomes)
        yield f"{method:14s} mean {mean:+.4f}; a gain on {gains} of {splits} splits: {'holds' if holds else 'FAILS'}"


CHECKS = {"shuffled": shuffled, "zero": zero, "duplicates": duplicates, "truth": truth, "told": told}


def main() -> int:
    """Run the checks that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []], default=list(CHECKS))
    parser.add_argument("--store", type=Path, default=Path("runs/validity"))
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--methods", nargs="+", choices=[*COMPARED, *MORE])
    options = parser.parse_args()
    if set(options.methods or ()) & set(MORE) and options.checks != ["duplicates"]:
        parser.error(f"{', '.join(MORE)} are looked at by the check duplicates alone")
    settings = Settings.from_environment(
        store=options.store, device="cpu", threads=1, allow_leak="labeled images stand in for unlabeled ones"
    )
    folder = options.store.absolute() / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for check in options.checks:
        print(f"\n{check}, {options.splits} splits", flush=True)
        for line in CHECKS[check](settings, options.splits, folder, compared(options.methods)):
            print(line, flush=True)
            failed |= line.endswith("FAILS")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
