"""Predictions of a model on a run's test sets, and their metrics; predictions are kept under keys of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssliqa_bench.errors import RunError
from ssliqa_bench.evaluation.classes import class_facts
from ssliqa_bench.evaluation.metrics import EVALUATION_VERSION, evaluate, input_checksum
from ssliqa_bench.methods.base import ClassPredictor, Learner, Predictor
from ssliqa_bench.models.predict import NotFiniteError, predict_set
from ssliqa_bench.runner.artifact_keys import prediction_key
from ssliqa_bench.runner.classes import class_columns, class_inputs
from ssliqa_bench.runner.learners import model_of
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.sets import TestSet
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.records import Predictions
from ssliqa_bench.types import Artifact, FloatArray, Judgement

_FIRST = 3


@dataclass(frozen=True)
class Scored:
    """A model on all test sets: metrics, keys and checksums by dataset, and the rows of the record.

    `classes` says class by class what there is to say, by dataset, where the protocol sees classes; `notes` are
    sentences for the record.
    """

    model_key: str
    metrics: dict[str, dict[str, Any]]
    keys: dict[str, str]
    checksums: dict[str, str]
    predictions: list[Predictions]
    n_parameters: int
    classes: dict[str, dict[str, Any]]
    notes: tuple[str, ...]


class Scorer:
    """Evaluates the models of one plan."""

    evaluation_version = EVALUATION_VERSION

    def __init__(
        self,
        plan: Plan,
        learner: Learner,
        store: ArtifactStore,
        tests: Mapping[str, TestSet],
        *,
        use_store: bool,
        processes: int = 1,
    ) -> None:
        self._plan = plan
        self._learner = learner
        self._store = store
        self._tests = tests
        self._use_store = use_store
        self._processes = processes

    def predict(self, model_key: str, artifact: Artifact | None) -> dict[str, FloatArray]:
        """Predictions for every test set, in its order, found under their keys where they are stored; no metrics."""
        model = model_of(self._plan, self._learner, artifact)
        return {
            name: self._predictions(self._key(model_key, name, test), model_key, name, model, test).quality
            for name, test in self._tests.items()
        }

    def score(self, model_key: str, artifact: Artifact | None) -> Scored:
        """Predict, or find predictions under their keys, and evaluate them."""
        model = model_of(self._plan, self._learner, artifact)
        plan, fields = self._plan, self._plan.protocol.classes
        fits = isinstance(model, ClassPredictor) and fields is not None and model.n_classes == fields.levels
        metrics, keys, checksums, rows, by_class = {}, {}, {}, [], {}
        for name, test in self._tests.items():
            keys[name] = self._key(model_key, name, test)
            said = self._predictions(keys[name], model_key, name, model, test)
            classes = None
            if fields is not None:
                predicted = said.classes if fits else None
                classes = class_inputs(plan.tables[name], plan.entries[name], fields, test.names, predicted)
                by_class[name] = class_facts(classes)
            result = evaluate(
                said.quality, test.scores, mapping=plan.protocol.mapping, extra=plan.extra_metrics, classes=classes
            )
            metrics[name] = {"side": plan.spec.pair.side(name), **result}
            checksums[name] = input_checksum(test.names, test.scores, said.quality, classes)
            n, scores = len(test.names), tuple(test.scores.tolist())
            columns = class_columns(classes)
            rows.append(
                Predictions(test.names, ("test",) * n, (name,) * n, scores, tuple(said.quality.tolist()), **columns)
            )
        notes: tuple[str, ...] = ()
        if isinstance(model, ClassPredictor) and fields is not None and not fits:
            notes = (f"it predicts {model.n_classes} classes where the protocol sees {fields.levels}: none of them "
                     f"counts",)
        return Scored(model_key, metrics, keys, checksums, rows, model.n_parameters, by_class, notes)

    def _key(self, model_key: str, dataset: str, test: TestSet) -> str:
        return prediction_key(self._plan, self._learner, model_key, dataset, test.rows)

    def _predictions(self, key: str, model_key: str, dataset: str, model: Predictor, test: TestSet) -> Judgement:
        with self._store.lock(key):
            stored = self._store.load_predictions(key) if self._use_store else None
            if stored is None:
                stored = self._predict(model, test)
                self._store.save_predictions(key, stored, {"model": model_key, "dataset": dataset})
        return stored

    def _predict(self, model: Predictor, test: TestSet) -> Judgement:
        try:
            return predict_set(model, test.images, self._processes)
        except NotFiniteError as error:
            asked = np.asarray(error.names)  # positions of the chunk
            named = ", ".join(test.names[asked[k]] for k in error.images[:_FIRST])
            raise RunError(
                f"{self._plan.spec}: {len(error.images)} of {len(asked)} predictions are not finite "
                f"(first: {named}). Look at these images (one colour all over, or tiny?), or, for a trained model, at "
                f"its log; take such images out of the dataset to go on."
            ) from error
        except RunError as error:
            raise RunError(f"{self._plan.spec}: {error}") from error

