"""Predictions of a stored model as a file of its own: one line `name,score` per image, as challenges take them.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import ReadDataset
from ssliqa_bench.files import write_text
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.schema import DatasetEntry
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.runner.learners import model_of, ready_learner
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.scoring import Scorer
from ssliqa_bench.runner.sets import test_set
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.sources import open_sources
from ssliqa_bench.runner.stages import final_artifact
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import read_predictions
from ssliqa_bench.tabular.writer import csv_text
from ssliqa_bench.types import FloatArray


@dataclass(frozen=True)
class DatasetPredictions:
    """A model's own values for the images of a dataset, and how many of these it learned from without scores."""

    names: tuple[str, ...]
    values: FloatArray | tuple[float, ...]
    learned_from: int = 0


def recorded(record: Record, dataset: str, settings: Settings) -> DatasetPredictions:
    """The predictions for a dataset that a record holds."""
    held = read_predictions(settings.store, record.key, dataset)
    return DatasetPredictions(held.image, held.prediction)


def judge_unscored(
    plan: Plan, record: Record, dataset: str, registry: Registry, settings: Settings
) -> DatasetPredictions:
    """Predict all images of a dataset without scores; nothing is evaluated and the record stays as it is.

    Raises:
        InputError: the final weights were not kept, the dataset is not there, or it lacks the references that the
            method needs.
        RunError: a prediction is not finite.
    """
    prepare_process(plan.device, settings.threads)
    learner, model = ready_learner(plan)
    store = ArtifactStore(settings.store)
    if model is None:
        model = model_of(plan, learner, final_artifact(record, store))
    entry = registry.dataset(dataset)
    table = load_table(
        entry, settings.data_root, settings.cache_root, load=registry.load, skip_missing=settings.skip_bad
    )
    alone = replace(
        plan,
        entries={dataset: entry},
        data={dataset: ReadDataset(table, settings.cache_root)},
        roles={dataset: tuple("test" for _ in table.name)},
    )
    sources, _ = open_sources(alone, settings, learner)
    tests = {dataset: test_set(sources[dataset], references=learner.needs.references is True)}
    scorer = Scorer(alone, learner, store, tests, use_store=True, processes=settings.processes)
    values = scorer.predict(record.facts.model_key, model)[dataset]
    learned = sum(role == "unlabeled" for role in plan.roles.get(dataset, ()))
    return DatasetPredictions(tests[dataset].names, values, learned)


def in_native_units(values: Sequence[float] | FloatArray, entry: DatasetEntry) -> FloatArray:
    """Predictions of a learner, on its scale, in the units and the direction of the dataset that it learned from."""
    return entry.native_scale.from01(np.asarray(values, dtype=np.float64))


def write_scores(file: Path, names: Sequence[str], scores: Sequence[float]) -> None:
    """Write one line `name,score` per image, six decimals, sorted by name, as CSV: the file is complete or absent.

    Raises:
        StorageError: it cannot be written.
    """
    rows = ((name, f"{score:.6f}") for name, score in sorted(zip(names, scores, strict=True)))
    write_text(file, csv_text(rows))
