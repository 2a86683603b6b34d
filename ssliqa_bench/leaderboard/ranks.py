"""Methods over datasets: the table that ranks are made of, and mean ranks with their critical difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.constants import CONFIDENCE, MINIMUM_DATASETS
from ssliqa_bench.leaderboard.compare import summarise
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import CONTROL
from ssliqa_bench.store.comparable import newest_of_cells
from ssliqa_bench.store.record import Budget, Record

# Method, recipe, labels and unlabeled images as they were asked for.
Setting = tuple[str, str, Budget, Budget]


@dataclass(frozen=True)
class MeanRanks:
    """Methods ranked over datasets.

    Attributes:
        ranks: mean rank by method; 1 is best, ties share theirs.
        difference: Nemenyi's critical difference of two mean ranks.
        order: the methods, best first.
        joined: mean ranks of best and worst of each longest run of methods within the critical difference.
        datasets: those that were ranked on.
    """

    ranks: Mapping[str, float]
    difference: float
    order: tuple[str, ...]
    joined: tuple[tuple[float, float], ...]
    datasets: tuple[str, ...]


def mean_ranks(table: Mapping[str, Mapping[str, float]], confidence: float = CONFIDENCE) -> MeanRanks:
    """Mean ranks of methods over the datasets that all of them have.

    Args:
        table: SRCC by method, then by dataset.

    Raises:
        InputError: fewer than six datasets or two methods.

    Source: Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006), Nemenyi's test.
    """
    methods = sorted(table)
    datasets = sorted(set.intersection(*(set(own) for own in table.values()))) if table else []
    if len(datasets) < MINIMUM_DATASETS or len(methods) < 2:
        raise InputError(
            f"Critical difference: got {len(methods)} methods on {len(datasets)} common datasets; ranks are compared "
            f"from {MINIMUM_DATASETS} independent datasets on. \"ssliqa-bench compare\" compares two methods on one."
        )
    import numpy as np
    from scipy.stats import rankdata, studentized_range

    values = np.array([[table[name][dataset] for name in methods] for dataset in datasets])
    means = dict(zip(methods, map(float, np.array([rankdata(-row) for row in values]).mean(axis=0)), strict=True))
    k = len(methods)
    quantile = float(studentized_range.ppf(confidence, k, np.inf)) / np.sqrt(2.0)
    difference = float(quantile * np.sqrt(k * (k + 1) / (6.0 * len(datasets))))
    order = sorted(methods, key=lambda name: (means[name], name))
    return MeanRanks(means, difference, tuple(order), _joined(order, means, difference), tuple(datasets))


def _joined(
    order: Sequence[str], ranks: Mapping[str, float], difference: float
) -> tuple[tuple[float, float], ...]:
    """The longest runs of methods within the critical difference, none inside another."""
    found: list[tuple[float, float]] = []
    for start, name in enumerate(order):
        last = max(k for k in range(start, len(order)) if ranks[order[k]] - ranks[name] < difference)
        ends = (ranks[name], ranks[order[last]])
        if last > start and not (found and found[-1][1] >= ends[1]):
            found.append(ends)
    return tuple(found)


def srcc_table(
    records: Iterable[Record], protocol: str, methods: Collection[str] | None = None
) -> dict[str, dict[str, float]]:
    """SRCC by method, then by dataset, over the seeds; without overrides, oracles and demo data.

    What boards do not rank is left out too: predictions made elsewhere, unofficial labels, methods whose weights have
    seen the dataset. A method that was run with several recipes or numbers of labels has a row for each.

    A dataset counts once: where several pairs test it, the pair with most methods, then the first by name; and a
    dataset that is another one in other sizes or with other scores (`koniq-1024`) counts with it, since ranks need
    independent datasets.

    Args:
        methods: those that are wanted; None takes all that were tested on every dataset.

    Raises:
        InputError: a method has no such record.
    """
    rows: dict[Setting, dict[str, dict[str, list[Record]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    rivals: dict[str, dict[str, set[Setting]]] = defaultdict(lambda: defaultdict(set))
    known = load_registry().datasets
    for record in newest_of_cells(records):
        cell = record.cell
        wanted = not methods or cell.method in methods
        if cell.protocol != protocol or cell.overrides or not wanted or not _is_ranked(record):
            continue
        setting = (cell.method, cell.recipe, cell.budget, cell.unlabeled_budget)
        for dataset, result in record.results.items():
            trained_on = record.facts.method.trained_on
            seen = not isinstance(trained_on, str) and dataset in trained_on
            if result.dataset.kind != "demo" and not record.uses_unofficial(dataset) and not seen:
                entry = known.get(dataset)
                family = dataset if entry is None else entry.groups_as or entry.split_as or dataset
                rows[setting][family][f"{cell.pair} {dataset}"].append(record)
                rivals[family][f"{cell.pair} {dataset}"].add(setting)
    missing = sorted(set(methods or ()) - {setting[0] for setting in rows})
    if missing:
        raise InputError(f"{missing[0]}: no record with the protocol {protocol} of it that boards rank on real data.")
    found: dict[str, dict[str, float]] = defaultdict(dict)
    names = _names(rows)
    for family, by_pair in sorted(rivals.items()):
        pair = min(by_pair, key=lambda name: (-len(by_pair[name]), name))
        dataset = pair.rpartition(" ")[2]
        for setting in by_pair[pair]:
            ordered = sorted(rows[setting][family][pair], key=lambda run: run.cell.seed)
            srcc = [run.results[dataset].ranked_by for run in ordered]
            value = summarise(srcc, ordered[0].facts.protocol.aggregate).value
            if value is not None:
                found[names[setting]][family] = value
    whole = max((len(own) for own in found.values()), default=0)
    if methods is None:
        return {name: own for name, own in sorted(found.items()) if len(own) == whole}
    return dict(sorted(found.items()))


def _is_ranked(record: Record) -> bool:
    method = record.facts.method
    return not record.submitted and method.unlabeled_role != "labeled" and method.family != CONTROL


def _names(settings: Iterable[Setting]) -> dict[Setting, str]:
    """The method's name, and what else distinguishes two of its settings."""
    by_method: dict[str, list[Setting]] = defaultdict(list)
    for setting in settings:
        by_method[setting[0]].append(setting)
    found = {}
    for method, own in by_method.items():
        for setting in own:
            differing = [
                f"{value} {word}".strip()
                for k, word in ((1, ""), (2, "labels"), (3, "unlabeled"))
                if len({other[k] for other in own}) > 1 and (value := "all" if setting[k] is None else setting[k])
            ]
            found[setting] = f"{method} ({', '.join(differing)})" if differing else method
    return found
