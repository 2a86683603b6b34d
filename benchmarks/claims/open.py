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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssliqa_bench.evaluation.comparisons import Comparison, compare_splits, holm
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.store.comparable import newest_of_cells
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records

TEST_FRACTION = 0.2
BASELINES = ("ridge-probe", "kernel-ridge", "supervised", "supervised-ensemble")
# Trained on the scores of the unlabeled images too.
ORACLES = ("oracle", "oracle-levels", "pi-model-oracle", "mean-teacher-oracle", "pseudo-label-oracle", "rankup-oracle",
           "ucvme-oracle")  # fmt: skip
TRAINED, FROZEN, SLACK = "frozen/last-stages", "frozen", 0.01
ADAPTED = ("adabn", "coral")  # ridge regression with statistics of the unlabeled images

# Pair, labels and the rest of a setting -> method -> seed -> the figure that the dataset of the unlabeled images is
# ranked by.
Settings = dict[tuple[str, str, str], dict[str, dict[int, float]]]


def figures(records: Iterable[Record]) -> Settings:
    """Figures of the newest record of every cell that has unlabeled images."""
    found: Settings = defaultdict(lambda: defaultdict(dict))
    for record in newest_of_cells(records):
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
    """Learner -> the labels-only method with the same network, steps and inference, as the registry declares it for the
    learner or for the nearest method that it extends."""
    registry = load_registry()
    known = [name for name in registry.methods if name in methods and registry.methods[name].about.family != "control"]
    uses_unlabeled = [entry for entry in map(registry.resolve_method, known) if entry.unlabeled_role == "unlabeled"]
    declared = {entry.like: entry.name for entry in uses_unlabeled if entry.like is not None}
    found = {}
    for entry in uses_unlabeled:
        nearest = [link for link in reversed(entry.chain) if link in declared]
        if entry.like is None and nearest:
            found[entry.name] = declared[nearest[0]]
    return found


@dataclass(frozen=True)
class Gain:
    """A learner against a row of the same setting.

    Attributes:
        over: the row that it is compared with.
        by_split: the differences, in the order of the splits.
        own: their mean, interval and verdict, corrected for the comparisons of the setting.
    """

    learner: str
    over: str
    by_split: tuple[float, ...]
    own: Comparison

    @property
    def losses(self) -> int:
        """On how many splits the learner is worse."""
        return sum(value < 0 for value in self.by_split)


@dataclass(frozen=True)
class Findings:
    """What one setting shows.

    Attributes:
        few: rows with fewer splits than others, which are left out.
        means: row -> its mean over the splits.
        best: the best labels-only row, "" where none has all splits.
        bar: the mean of `ridge-probe` on frozen features that labels alone must reach; None: no bar.
        withheld: why no gain is shown, or "".
        over_comparator, over_best: gains, with corrected verdicts; what adapts statistics has no comparator.
        references: oracles over the best labels-only row, and what adapts statistics over the same regression without.
    """

    splits: int
    few: tuple[str, ...]
    means: Mapping[str, float]
    best: str
    bar: float | None = None
    withheld: str = ""
    over_comparator: tuple[Gain, ...] = ()
    over_best: tuple[Gain, ...] = ()
    references: tuple[Gain, ...] = ()

    @property
    def compared(self) -> int:
        """How many gains over comparators the verdicts are corrected for; learners with equal gains count once."""
        return len({gain.by_split for gain in self.over_comparator})


def findings(found: Mapping[str, Mapping[int, float]], probe: Mapping[int, float] | None) -> Findings:
    """Gains of one setting.

    Args:
        probe: the figure of `ridge-probe` by split, which labels alone must reach before a gain is shown; None: no bar.
    """
    most = max(map(len, found.values()))
    few = tuple(sorted(name for name, by_seed in found.items() if len(by_seed) < most))
    found = {name: by_seed for name, by_seed in found.items() if name not in few}
    own_comparator = comparators(set(found))
    splits = sorted(set.intersection(*(set(by_seed) for by_seed in found.values())))
    means = {name: float(np.mean([by_seed[s] for s in splits])) for name, by_seed in found.items()}
    labels_only = [own for own in (*BASELINES, *own_comparator.values()) if own in means]
    if not labels_only:
        return Findings(len(splits), few, means, "", withheld="no row that learns from labels alone has all splits")
    best = max(labels_only, key=lambda name: means[name])
    shown = Findings(len(splits), few, means, best)
    if probe is not None and not set(splits) <= set(probe):
        return replace(shown, withheld="no ridge-probe on frozen features of the same splits, so no gain is shown")
    if probe is not None:
        shown = replace(shown, bar=float(np.mean([probe[s] for s in splits])))
        if means[best] < shown.bar - SLACK:  # type: ignore[operator]  # set above
            return replace(shown, withheld="labels alone do not reach it, so no gain is shown")

    def differences(name: str, other: str) -> tuple[float, ...]:
        return tuple(found[name][s] - found[other][s] for s in splits)

    def gains(against: Mapping[str, str]) -> tuple[Gain, ...]:
        by_split = {name: differences(name, other) for name, other in against.items()}
        # One result under two names is one comparison.
        first = {own: name for name, own in reversed(by_split.items())}
        family = holm({name: compare_splits(own, TEST_FRACTION) for own, name in first.items()})
        return tuple(Gain(name, against[name], own, family[first[own]]) for name, own in by_split.items())

    others = (*((name, best) for name in ORACLES), *((name, "ridge-probe") for name in ADAPTED))
    pairs = {(name, other): differences(name, other) for name, other in others if name in found and other in found}
    return replace(
        shown,
        over_comparator=gains(own_comparator),
        over_best=gains(dict.fromkeys((*own_comparator, *(name for name in ADAPTED if name in found)), best)),
        references=tuple(Gain(*pair, own, compare_splits(own, TEST_FRACTION)) for pair, own in pairs.items()),
    )


def controls(found: Mapping[str, Mapping[int, float]]) -> tuple[Gain, ...]:
    """Controls of one setting that must equal another row, less that row, over the splits that both have."""
    registry = load_registry()
    pairs: dict[str, str] = {}
    for name in sorted(found):
        entry = registry.methods[name]
        if entry.about.family == "control" and entry.like is not None and entry.like in found:
            pairs[name] = entry.like
    return _over_common_splits(found, pairs)


def upper_references(found: Mapping[str, Mapping[int, float]]) -> tuple[Gain, ...]:
    """Comparators trained on the scores of all training images, less `oracle`, over the splits that both have."""
    known = [name for name in ORACLES if name in found]
    return _over_common_splits(found, {name: ORACLES[0] for name in known if name != ORACLES[0] in known})


def _over_common_splits(found: Mapping[str, Mapping[int, float]], pairs: Mapping[str, str]) -> tuple[Gain, ...]:
    by_split = {
        name: tuple(value - found[other][seed] for seed, value in sorted(found[name].items()) if seed in found[other])
        for name, other in pairs.items()
    }
    family = holm({name: compare_splits(own, TEST_FRACTION) for name, own in by_split.items()})
    return tuple(Gain(name, pairs[name], by_split[name], own) for name, own in family.items())


def interval(own: Comparison, digits: int = 4) -> str:
    """The interval of a mean difference; few splits have none."""
    return "no interval" if own.lo is None else f"{own.lo:+.{digits}f} to {own.hi:+.{digits}f}"


def report(own: Findings) -> None:
    """Print both tables of gains of one setting."""
    if own.few:
        print(f"left out, fewer than {own.splits} splits: {', '.join(own.few)}; ", end="")
    best = f"; best labels-only row: {own.best}, {own.means[own.best]:.4f}" if own.best else ""
    print(f"{own.splits} splits{best}")
    if own.bar is not None:
        print(f"ridge-probe on frozen features of the same splits: {own.bar:.4f}")
    if own.withheld:
        print(own.withheld)
        return
    for title, gains in (("own comparator", own.over_comparator), (own.best, own.over_best)):
        print(f"\ngain over {title}: mean, 95 % interval, splits with a loss, corrected p, verdict")
        for gain in gains:
            p = "–" if gain.own.p is None else f"{gain.own.p:.3f}"
            mean, verdict = gain.own.mean, gain.own.verdict
            print(f"{gain.learner:14s} {mean:+.4f}  {interval(gain.own)}  {gain.losses:2d}  {p}  {verdict}")
    print()
    for gain in own.references:
        print(f"{gain.learner} - {gain.over}: {gain.own.mean:+.4f}, {interval(gain.own)}")


def all_findings(records: Iterable[Record]) -> dict[tuple[str, str, str], Findings]:
    """What every setting shows in which learners stand beside comparators, by pair, labels and the rest."""
    settings, shown = figures(records), {}
    for (pair, labels, rest), found in sorted(settings.items()):
        if comparators(set(found)):
            frozen = settings.get((pair, labels, rest.replace(f"recipe {TRAINED}", f"recipe {FROZEN}")), {})
            probe = frozen.get("ridge-probe", {}) if f"recipe {TRAINED}" in rest else None
            shown[pair, labels, rest] = findings(found, probe)
    return shown


def main(stores: Sequence[Path]) -> None:
    """Print every setting in which learners stand beside comparators, with its controls and upper references."""
    records = [record for store in stores for record in iter_records(store)]
    settings = figures(records)
    for key, own in all_findings(records).items():
        pair, labels, rest = key
        print(f"\n== {pair}, {labels} labels, {rest}: ", end="")
        report(own)
        for gain in (*controls(settings[key]), *upper_references(settings[key])):
            said = f"{gain.own.mean:+.4f}, {interval(gain.own)}, {gain.own.verdict}, {len(gain.by_split)} splits"
            print(f"{gain.learner} - {gain.over}: {said}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:] or ("leaderboards/open", "leaderboards/last-stages")])
