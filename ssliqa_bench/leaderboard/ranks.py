"""Methods over datasets: the table that ranks are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from ssliqa_bench.errors import InputError
from ssliqa_bench.leaderboard.compare import summarise
from ssliqa_bench.store.comparable import newest_of_cells
from ssliqa_bench.store.record import Record


def srcc_table(
    records: Iterable[Record], protocol: str, methods: Collection[str] | None = None
) -> dict[str, dict[str, float]]:
    """SRCC by method, then by pair and tested dataset, over the seeds; without overrides, oracles and demo data.

    A dataset counts once: where several pairs test it, the first by name, and a dataset that is another one in other
    sizes or with other scores (`koniq-1024`) counts with it, since ranks need independent datasets.

    Args:
        methods: those that are wanted; None takes all that were tested on every dataset.

    Raises:
        InputError: a method has no such record.
    """
    values: dict[str, dict[str, dict[str, list[Record]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for record in newest_of_cells(records):
        cell = record.cell
        oracle = record.facts.method.unlabeled_role == "labeled"
        if cell.protocol != protocol or cell.overrides or oracle or (methods and cell.method not in methods):
            continue
        for dataset, result in record.results.items():
            if result.dataset.kind != "demo":
                values[dataset.partition("-")[0]][f"{cell.pair} {dataset}"][cell.method].append(record)
    missing = sorted(set(methods or ()) - {name for own in values.values() for runs in own.values() for name in runs})
    if missing:
        raise InputError(f"{missing[0]}: no record with the protocol {protocol} of it on a dataset that is no demo.")
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for family, by_pair in sorted(values.items()):
        pair = min(by_pair, key=lambda name: (-len(by_pair[name]), name))
        dataset = pair.rpartition(" ")[2]
        for method, runs in by_pair[pair].items():
            ordered = sorted(runs, key=lambda run: run.cell.seed)
            srcc = [run.results[dataset].metrics.srcc for run in ordered]
            value = summarise(srcc, ordered[0].facts.protocol.aggregate).value
            if value is not None:
                found[method][family] = value
    whole = max((len(own) for own in found.values()), default=0)
    if methods is None:
        return {name: own for name, own in sorted(found.items()) if len(own) == whole}
    return dict(sorted(found.items()))
