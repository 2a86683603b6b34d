"""Is a store what it claims to be? The checksum of every file, and every metric computed again from predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.evaluation.metrics import EVALUATION_VERSION
from ssliqa_bench.registry.load import notices_of
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.evaluation import evaluate_rows, how_evaluated
from ssliqa_bench.runner.keys import cell_part, make_key
from ssliqa_bench.runner.renewal import find_images
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.comparable import outdated
from ssliqa_bench.store.notices import missing_notices
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Part, Record
from ssliqa_bench.store.records import Address, as_store, read_predictions, read_record, record_keys
from ssliqa_bench.store.store import Store

_TOLERANCE = 1e-9


@dataclass
class Verification:
    """What was found in a store.

    Attributes:
        records: how many were looked at.
        problems: everything that does not hold, one line each.
        not_recomputable: "key: dataset" where names and scores were withheld and the dataset is not available.
        without_predictions: "key: dataset: stage" where metrics of a stage are on record without its predictions, as
            in records of schema 1, and so cannot be computed again.
    """

    records: int = 0
    problems: list[str] = field(default_factory=list)
    not_recomputable: list[str] = field(default_factory=list)
    without_predictions: list[str] = field(default_factory=list)


def verify_store(address: Address, registry: Registry, settings: Settings) -> Verification:
    """Check all checksums of a store, compute all its metrics again, and look for the notices beside its scores."""
    store = as_store(address)
    if not store.list():
        raise InputError(f"{store}: there is no such store, or it is empty. Name its folder with --store.")
    found = Verification()
    sound = []
    for key in record_keys(store):
        found.records += 1
        try:
            sound.append(read_record(store, key))
            _look(found, sound[-1], store, registry, settings)
        except CorruptFileError as error:
            found.problems.append(str(error))
    for key, datasets in sorted(outdated(sound).items()):
        found.problems += [
            f"{key[:12]}: {dataset}: images, scores or split differ from those of the newest record with it; the same "
            f"run made again renews it"
            for dataset in datasets
        ]
    found.problems += missing_notices(store, sound, notices_of(registry))
    found.problems += ArtifactStore(store).damaged()
    return found


def _look(found: Verification, record: Record, store: Store, registry: Registry, settings: Settings) -> None:
    short = record.key[:12]
    # A converted record keeps what its key of schema 1 was made of.
    stated = record.facts.converted_from or record.key
    if make_key(record.facts.key_parts) != stated:
        found.problems.append(f"{short}: key {stated[:12]} does not follow from key_parts")
    if record.facts.key_parts.get("cell") != cell_part(record.cell.model_dump(), record.facts.code.definitions):
        found.problems.append(f"{short}: cell is not the one in key_parts")
    for dataset, result in record.results.items():
        rows = read_predictions(store, record.key, dataset)
        if result.evaluation_version != EVALUATION_VERSION:
            found.problems.append(
                f"{short}: {dataset}: evaluated by version {result.evaluation_version}, this is version "
                f'{EVALUATION_VERSION}; "ssliqa-bench store evaluate {short}" evaluates it again'
            )
            continue
        if result.withheld:
            images = find_images(record, dataset, registry, settings)
            if images is None:
                found.not_recomputable.append(f"{short}: {dataset}")
                continue
            if len(images.table) == len(rows):
                rows = images.complete(rows)
        found.problems += [f"{short}: {dataset}: {problem}" for problem in _differences(record, dataset, rows)]
        lost = [name for name in result.stages if name not in rows.stages]
        found.without_predictions += [f"{short}: {dataset}: {name}" for name in lost]


def _differences(record: Record, dataset: str, rows: Predictions) -> list[str]:
    """In what the result of a record differs from what its rows give."""
    result = record.results[dataset]
    try:
        again = evaluate_rows(rows, **how_evaluated(record, dataset))
    except CorruptFileError:
        raise
    except InputError as error:  # a value that is not finite
        return [str(error)]
    if again.inputs != result.inputs:
        return ["scores and predictions are not those its metrics were computed from"]
    pairs = _fields("", result.metrics, again.metrics)
    for stage, metrics in again.stages.items():
        pairs += _fields(f"{stage}: ", result.stages.get(stage), metrics)
    pairs += _fields("classes.", result.classes, again.classes)
    return [
        f"{name} is stated as {before}, computed as {value}"
        for name, before, value in pairs
        if not _equal(before, value)
    ]


def _fields(prefix: str, stated: Part | None, computed: Part | None) -> list[tuple[str, Any, Any]]:
    """Name, stated and computed value of every field of a part of a record."""
    before = {} if stated is None else stated.model_dump()
    after = {} if computed is None else computed.model_dump()
    return [(f"{prefix}{name}", before.get(name), after.get(name)) for name in (after or before)]


def _equal(stated: Any, computed: Any) -> bool:
    if isinstance(stated, dict) and isinstance(computed, dict):
        return stated.keys() == computed.keys() and all(_equal(stated[name], computed[name]) for name in stated)
    if isinstance(stated, (list, tuple)) and isinstance(computed, (list, tuple)):
        return len(stated) == len(computed) and all(map(_equal, stated, computed))
    if isinstance(stated, float) and isinstance(computed, float):
        return math.isclose(stated, computed, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(stated == computed)
