"""Does a store say the truth? The checksum of every file, and every metric computed again from predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.splits import assign_roles
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.evaluation.classes import class_facts
from ssliqa_bench.evaluation.metrics import EVALUATION_VERSION, evaluate, input_checksum
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.schema import ClassFields
from ssliqa_bench.runner.classes import class_inputs, predicted_of, recorded_classes
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import spec_of
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.records import Predictions, read_facts, read_predictions, record_folders
from ssliqa_bench.types import FloatArray

_TOLERANCE = 1e-9


@dataclass
class Verification:
    """What was found in a store.

    Attributes:
        records: how many were looked at.
        problems: everything that does not hold, one line each.
        not_recomputable: "key: dataset" where names and scores were not passed on and the dataset is not at hand.
    """

    records: int = 0
    problems: list[str] = field(default_factory=list)
    not_recomputable: list[str] = field(default_factory=list)


def verify_store(store: Path, registry: Registry, settings: Settings) -> Verification:
    """Check all checksums of a store and compute all its metrics again."""
    if not store.is_dir():
        raise InputError(f"{store}: there is no such store. Name its folder with --store.")
    found = Verification()
    for folder in record_folders(store):
        found.records += 1
        try:
            facts = read_facts(folder)
            _look(found, facts, read_predictions(folder), registry, settings)
        except CorruptFileError as error:
            found.problems.append(str(error))
    found.problems += ArtifactStore(store).damaged()
    return found


def _look(
    found: Verification, facts: Mapping[str, Any], predictions: Predictions, registry: Registry, settings: Settings
) -> None:
    short = facts["key"][:12]
    if facts["evaluation_version"] != EVALUATION_VERSION:
        found.problems.append(
            f"{short}: evaluated by version {facts['evaluation_version']}, this is version {EVALUATION_VERSION}; run "
            f"it again"
        )
        return
    for dataset, stated in facts["metrics"].items():
        rows = predictions.of(dataset)
        names, scores = rows.image, np.array(rows.score, dtype=np.float64)
        at_hand = None
        if dataset in facts.get("withheld", ()):
            at_hand = _at_hand(facts, dataset, registry, settings)
            if at_hand is None:
                found.not_recomputable.append(f"{short}: {dataset}")
                continue
            names, scores = at_hand.names, at_hand.scores
        values = np.array(rows.prediction)
        told = facts.get("classes", {}).get(dataset)
        if told is None:
            classes = None
        elif at_hand is None:
            classes = recorded_classes(told, rows)
        else:
            fields = ClassFields(levels=told["levels"], rule=told["rule"])
            classes = class_inputs(at_hand.table, registry.dataset(dataset), fields, names, predicted_of(rows))
        stated_inputs = facts["evaluation_inputs"][dataset]
        if len(names) != len(values) or input_checksum(names, scores, values, classes) != stated_inputs:
            found.problems.append(
                f"{short}: {dataset}: scores and predictions are not those its metrics were computed from"
            )
            continue
        extra = tuple(stated["extra"])
        again = evaluate(values, scores, mapping=facts["protocol"]["mapping"], extra=extra, classes=classes)
        pairs = [(name, stated[name], value) for name, value in again.items()]
        if classes is not None:
            pairs += [(f"classes.{name}", told[name], value) for name, value in class_facts(classes).items()]
        found.problems += [
            f"{short}: {dataset}: {name} is stated as {before}, computed as {value}"
            for name, before, value in pairs
            if not _equal(before, value)
        ]


@dataclass(frozen=True)
class _AtHand:
    """A dataset on this machine: its table, and the names and scores of a record's test images in the order of their
    content."""

    table: Table
    names: tuple[str, ...]
    scores: FloatArray


def _at_hand(facts: Mapping[str, Any], dataset: str, registry: Registry, settings: Settings) -> _AtHand | None:
    """The dataset of a record as it was; None where this machine does not have it so."""
    from ssliqa_bench.datasets.fingerprint import fingerprint
    from ssliqa_bench.pixels.cache import open_pixels
    from ssliqa_bench.runner.sets import Source, test_set

    spec = spec_of(facts)
    try:
        entry, protocol = registry.dataset(dataset), registry.protocol(spec.protocol)
        table = load_table(entry, settings.data_root, settings.cache_root, load=registry.load)
        roles = assign_roles(
            spec.pair, {dataset: table}, protocol, spec.seed, spec.budget, spec.unlabeled_budget
        )[dataset]
        mark = fingerprint(table, settings.cache_root)
        pixels = open_pixels(table, mark, entry.short_side, settings.cache_root, skip_bad=True)
    except InputError:
        return None
    if mark != facts["datasets"][dataset]["fingerprint"]:
        return None
    tested = test_set(Source(table, ["unused" if k in pixels.bad else role for k, role in enumerate(roles)], pixels))
    return _AtHand(table, tested.names, tested.scores)


def _equal(stated: Any, computed: Any) -> bool:
    if isinstance(stated, dict) and isinstance(computed, dict):
        return stated.keys() == computed.keys() and all(_equal(stated[name], computed[name]) for name in stated)
    if isinstance(stated, list) and isinstance(computed, list):
        return len(stated) == len(computed) and all(map(_equal, stated, computed))
    if isinstance(stated, float) and isinstance(computed, float):
        return math.isclose(stated, computed, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(stated == computed)
