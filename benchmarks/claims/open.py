"""What unlabeled photographs bring on human scores: gains over comparators, with intervals and corrected verdicts.

    python benchmarks/claims/open.py [STORE …]        leaderboards/open and leaderboards/last-stages unless named

Reads records alone, one setting (pair, number of labels, recipe) after the other, tested on the dataset of the
unlabeled images. Every learner is compared with its own labels-only comparator and with the best labels-only row, split
by split, by what the dataset is ranked by: SRCC, or SRCC within parts. Where the network itself is trained, no gain is
shown unless the best labels-only row reaches `ridge-probe` on frozen features of the same splits, −0.01 at most: a
training that does worse than a linear model says nothing about unlabeled images. Intervals and p-values are those of
the corrected resampled t-test (Nadeau and Bengio 2003), p-values corrected for the number of comparisons (Holm).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssliqa_bench.evaluation.comparisons import Comparison, compare_splits, holm
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.store.comparable import newest_of_cells
from ssliqa_bench.store.records import iter_records

TEST_FRACTION = 0.2
BASELINES = ("ridge-probe", "kernel-ridge", "supervised", "supervised-ensemble")
ORACLES = ("oracle", "rankup-oracle")  # trained on the scores of the unlabeled images too
TRAINED, FROZEN, SLACK = "frozen/last-stages", "frozen", 0.01
ADAPTED = ("adabn", "coral")  # ridge regression with statistics of the unlabeled images

# Pair, labels and the rest of a setting -> method -> seed -> the figure that the dataset of the unlabeled images is
# ranked by.
Settings = dict[tuple[str, str, str], dict[str, dict[int, float]]]


def read(stores: Sequence[Path]) -> Settings:
    """Figures of the newest record of every cell that has unlabeled images."""
    found: Settings = defaultdict(lambda: defaultdict(dict))
    for record in newest_of_cells(record for store in stores for record in iter_records(store)):
        cell = record.facts.cell
        if ":" not in cell.pair:
            continue
        value = record.results[cell.pair.partition(":")[2]].ranked_by
        assert value is not None  # defined for every record of these suites
        unlabeled = "" if cell.unlabeled_budget is None else f", {cell.unlabeled_budget} unlabeled"
        changed = "".join(f", {name}={own}" for name, own in sorted(cell.overrides.items()))
        rest = f"protocol {cell.protocol}, recipe {cell.recipe}{unlabeled}{changed}"
        labels = "all" if cell.budget is None else str(cell.budget)
        found[cell.pair, labels, rest][cell.method][cell.seed] = value
    return found


def comparators(methods: set[str]) -> dict[str, str]:
    """Learner -> the labels-only method with the same network, steps and inference, as the registry declares it."""
    registry = load_registry()
    return {
        entry.like: name
        for name, entry in registry.methods.items()
        if entry.like is not None
        and {name, entry.like} <= methods
        and registry.resolve_method(name).unlabeled_role == "unlabeled"
        and entry.about.family != "control"
    }


def interval(own: Comparison) -> str:
    """The interval of a mean difference; few splits have none."""
    return "no interval" if own.lo is None else f"{own.lo:+.4f} to {own.hi:+.4f}"


def report(found: dict[str, dict[int, float]], probe: dict[int, float] | None) -> None:
    """Print both tables of gains of one setting; a row with fewer splits than others is named and left out.

    Args:
        probe: the figure of `ridge-probe` by split, which labels alone must reach before a gain is shown; None: no bar.
    """
    most = max(map(len, found.values()))
    if few := sorted(name for name, by_seed in found.items() if len(by_seed) < most):
        print(f"left out, fewer than {most} splits: {', '.join(few)}; ", end="")
    found = {name: by_seed for name, by_seed in found.items() if name not in few}
    own_comparator = comparators(set(found))
    splits = sorted(set.intersection(*(set(by_seed) for by_seed in found.values())))
    means = {name: float(np.mean([by_seed[s] for s in splits])) for name, by_seed in found.items()}
    best = max((own for own in (*BASELINES, *own_comparator.values()) if own in means), key=lambda name: means[name])
    print(f"{len(splits)} splits; best labels-only row: {best}, {means[best]:.4f}")
    if probe is not None and not set(splits) <= set(probe):
        print("no ridge-probe on frozen features of the same splits, so no gain is shown")
        return
    if probe is not None:
        bar = float(np.mean([probe[s] for s in splits]))
        print(f"ridge-probe on frozen features of the same splits: {bar:.4f}")
        if means[best] < bar - SLACK:
            print("labels alone do not reach it, so no gain is shown")
            return
    for title, against in (("own comparator", own_comparator), (best, dict.fromkeys(own_comparator, best))):
        family = {
            name: compare_splits([found[name][s] - found[other][s] for s in splits], TEST_FRACTION)
            for name, other in against.items()
        }
        print(f"\ngain over {title}: mean, 95 % interval, splits with a loss, corrected p, verdict")
        for name, own in holm(family).items():
            losses = sum(found[name][s] < found[against[name]][s] for s in splits)
            p = "–" if own.p is None else f"{own.p:.3f}"
            print(f"{name:14s} {own.mean:+.4f}  {interval(own)}  {losses:2d}  {p}  {own.verdict}")
    print()
    for name, other in (*((name, best) for name in ORACLES), *((name, "ridge-probe") for name in ADAPTED)):
        if name in found and other in found:
            gap = compare_splits([found[name][s] - found[other][s] for s in splits], TEST_FRACTION)
            print(f"{name} - {other}: {gap.mean:+.4f}, {interval(gap)}")


def main(stores: Sequence[Path]) -> None:
    """Print every setting in which learners stand beside comparators."""
    settings = read(stores)
    for (pair, labels, rest), found in sorted(settings.items()):
        if comparators(set(found)):
            print(f"\n== {pair}, {labels} labels, {rest}: ", end="")
            frozen = settings.get((pair, labels, rest.replace(f"recipe {TRAINED}", f"recipe {FROZEN}")), {})
            report(found, frozen.get("ridge-probe", {}) if f"recipe {TRAINED}" in rest else None)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:] or ("leaderboards/open", "leaderboards/last-stages")])
