"""What boards are made of, from the documents of `made_facts`: records that tests can change before they are typed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssliqa_bench.leaderboard import boards, compare, staleness
from ssliqa_bench.leaderboard import collect as collecting
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import DatasetResult, Record, RunFacts, parse
from ssliqa_bench.store.records import write_record

Document = dict[str, Any]

_RESULT = ("metrics", "classes", "evaluation_version", "evaluation_inputs", "withheld")


def typed(document: Document) -> Record:
    """The record that a document stands for."""
    metrics, stages = document["metrics"], document["stages"]
    results = {
        name: {
            "run": document["key"],
            "dataset": document["datasets"][name],
            "prediction_key": _sha(name),
            "evaluation_version": document["evaluation_version"],
            "inputs": _sha(name),
            "metrics": _without_side(own),
            "stages": {s["name"]: _without_side(s["metrics"][name]) for s in stages[:-1] if name in s["metrics"]},
            "classes": document.get("classes", {}).get(name),
            "withheld": name in document.get("withheld", ()),
        }
        for name, own in metrics.items()
    }
    facts = {
        **{name: value for name, value in document.items() if name not in _RESULT},
        "datasets": {name: own for name, own in document["datasets"].items() if name not in metrics},
        "tested": sorted(metrics),
        "stages": [{name: value for name, value in s.items() if name != "metrics"} for s in stages],
    }
    return Record(
        parse(RunFacts, facts, "facts"),
        {name: parse(DatasetResult, own, name) for name, own in sorted(results.items())},
    )


def write(store: Any, document: Document) -> None:
    """Write the record of a document, without rows."""
    record = typed(document)
    write_record(store, record, dict.fromkeys(record.results, Predictions((), (), ())))


def build_boards(documents: Iterable[Document], **how: Any) -> dict[str, str]:
    """`boards.build_boards` of documents."""
    return boards.build_boards(map(typed, documents), **how)


def collect(documents: Iterable[Document]) -> list[collecting.Board]:
    """`collect.collect` of documents."""
    return collecting.collect(map(typed, documents))


def mixed_parts(documents: Sequence[Document]) -> list[str]:
    """`compare.mixed_parts` of documents."""
    return compare.mixed_parts([typed(document) for document in documents])


def stale_records(
    documents: Iterable[Document], today: Mapping[str, str], imports: Mapping[str, str] | None = None
) -> list[staleness.Stale]:
    """`staleness.stale_records` of documents."""
    return staleness.stale_records(map(typed, documents), today, imports)


def _without_side(metrics: Document) -> Document:
    return {name: value for name, value in metrics.items() if name != "side"}


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
