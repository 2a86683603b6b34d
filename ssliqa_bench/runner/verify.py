"""Does a store say the truth? The checksum of every file, and every metric computed again from predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.evaluation.metrics import EVALUATION_VERSION, evaluate, input_checksum
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.records import Predictions, read_facts, read_predictions, record_folders

_TOLERANCE = 1e-9


def verify_store(store: Path) -> tuple[list[str], int]:
    """Everything that does not hold, one line each, and how many records were looked at."""
    if not store.is_dir():
        raise InputError(f"{store}: there is no such store. Name its folder with --store.")
    problems: list[str] = []
    folders = record_folders(store)
    for folder in folders:
        try:
            facts = read_facts(folder)
            problems += [f"{folder.name[:12]}: {text}" for text in _problems(facts, read_predictions(folder))]
        except CorruptFileError as error:
            problems.append(str(error))
    return problems + ArtifactStore(store).damaged(), len(folders)


def _problems(facts: Mapping[str, Any], predictions: Predictions) -> list[str]:
    if facts["evaluation_version"] != EVALUATION_VERSION:
        return [
            f"evaluated by version {facts['evaluation_version']}, this is version {EVALUATION_VERSION}; run it again"
        ]
    found = []
    for dataset, stated in facts["metrics"].items():
        rows = predictions.of(dataset)
        scores, values = np.array(rows.score, dtype=np.float64), np.array(rows.prediction)
        if input_checksum(rows.image, scores, values) != facts["evaluation_inputs"][dataset]:
            found.append(f"{dataset}: scores and predictions are not those its metrics were computed from")
            continue
        again = evaluate(values, scores, mapping=facts["protocol"]["mapping"])
        found += [
            f"{dataset}: {name} is stated as {stated[name]}, computed as {value}"
            for name, value in again.items()
            if not _equal(stated[name], value)
        ]
    return found


def _equal(stated: Any, computed: Any) -> bool:
    if isinstance(stated, float) and isinstance(computed, float):
        return math.isclose(stated, computed, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(stated == computed)
