"""Predictions of a model on a run's test sets, and their metrics; predictions are kept under keys of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssliqa_bench.errors import RunError
from ssliqa_bench.evaluation import EVALUATION_VERSION
from ssliqa_bench.methods.base import ClassPredictor, Learner, Predictor
from ssliqa_bench.models.predict import NotFiniteError, predict_set
from ssliqa_bench.runner.artifact_keys import dataset_prediction_key
from ssliqa_bench.runner.classes import ClassRule, true_classes
from ssliqa_bench.runner.evaluation import DatasetEvaluation, evaluate_rows, prediction_columns
from ssliqa_bench.runner.facts import scale_of
from ssliqa_bench.runner.learners import model_of
from ssliqa_bench.runner.plan import Plan
from ssliqa_bench.runner.sets import TestSet
from ssliqa_bench.store.artifacts import ArtifactStore
from ssliqa_bench.store.predictions import Classes, Predictions, StagePredictions
from ssliqa_bench.store.record import DatasetFacts, DatasetResult, Leak, Metrics
from ssliqa_bench.types import Artifact, FloatArray, Judgement

_FIRST = 3


@dataclass(frozen=True)
class PredictionSet:
    """What one model says of all test sets, by dataset, under the keys of the predictions.

    `notes` are sentences for the record.
    """

    model_key: str
    n_parameters: int
    said: dict[str, Judgement]
    keys: dict[str, str]
    notes: tuple[str, ...] = ()


class Scorer:
    """Predicts with the models of one plan and evaluates them."""

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

    def predict(self, model_key: str, model: Predictor) -> dict[str, FloatArray]:
        """Predictions for every test set, in its order, found under their keys where they are stored; no metrics."""
        return {
            name: self._predictions(self._key(model_key, name, test), model_key, name, model, test).quality
            for name, test in self._tests.items()
        }

    def judge(self, model_key: str, model: Predictor) -> PredictionSet:
        """Predict with a model, or find its predictions under their keys.

        Classes that are not those of the protocol do not count.
        """
        fields = self._plan.protocol.classes
        fits = isinstance(model, ClassPredictor) and fields is not None and model.n_classes == fields.levels
        said, keys = {}, {}
        for name, test in self._tests.items():
            keys[name] = self._key(model_key, name, test)
            found = self._predictions(keys[name], model_key, name, model, test)
            said[name] = found if fits else Judgement(found.quality)
        notes: tuple[str, ...] = ()
        if isinstance(model, ClassPredictor) and fields is not None and not fits:
            notes = (f"it predicts {model.n_classes} classes, the protocol defines {fields.levels}: class metrics "
                     f"are not computed",)
        return PredictionSet(model_key, model.n_parameters, said, keys, notes)

    def metrics(self, model_key: str, artifact: Artifact | None) -> dict[str, Metrics]:
        """Metrics of the model that an artifact is, by dataset."""
        judged = self.judge(model_key, model_of(self._plan, self._learner, artifact))
        return {name: self.evaluate(name, self.rows(name, judged, {})).metrics for name in judged.said}

    def rows(self, dataset: str, final: PredictionSet, earlier: Mapping[str, PredictionSet]) -> Predictions:
        """The columns of a record for one dataset: of the final model, and of those before it by stage."""
        fields, test = self._plan.protocol.classes, self._tests[dataset]
        true = None if fields is None else true_classes(test.table, fields)
        return replace(
            prediction_columns(test.table, final.said[dataset].quality, true),
            predicted_class=_classes(final.said[dataset]),
            stages={
                stage: StagePredictions(tuple(own.said[dataset].quality.tolist()), _classes(own.said[dataset]))
                for stage, own in earlier.items()
            },
        )

    def evaluate(self, dataset: str, rows: Predictions) -> DatasetEvaluation:
        """Metrics of the rows of one dataset, as the protocol says."""
        plan, entry = self._plan, self._plan.entries[dataset]
        rule, scale = ClassRule.of(entry, plan.protocol.classes), scale_of(entry, self._learner)
        return evaluate_rows(
            rows,
            mapping=plan.protocol.mapping,
            extra=plan.extra_metrics,
            rule=rule,
            scale=scale,
            mean_ratings=entry.mean_ratings,
        )

    def results(
        self,
        final: PredictionSet,
        earlier: Mapping[str, PredictionSet],
        datasets: Mapping[str, DatasetFacts],
        *,
        leak: Leak | None = None,
        notes: Sequence[str] = (),
    ) -> tuple[dict[str, DatasetResult], dict[str, Predictions]]:
        """The results and the rows of a record by dataset, sorted by name.

        Args:
            earlier: what the models before the final one say, by stage.
        """
        results, rows = {}, {}
        for name in sorted(final.said):
            rows[name] = self.rows(name, final, earlier)
            found = self.evaluate(name, rows[name])
            results[name] = DatasetResult(
                run=self._plan.key,
                dataset=datasets[name],
                prediction_key=final.keys[name],
                evaluation_version=EVALUATION_VERSION,
                inputs=found.inputs,
                metrics=found.metrics,
                stages=found.stages,
                classes=found.classes,
                leak=leak,
                notes=tuple(notes),
            )
        return results, rows

    def _key(self, model_key: str, dataset: str, test: TestSet) -> str:
        return dataset_prediction_key(self._plan, self._learner, model_key, dataset, test.rows)

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
                f"its log; take such images out of the dataset to continue."
            ) from error
        except RunError as error:
            raise RunError(f"{self._plan.spec}: {error}") from error


def _classes(said: Judgement) -> Classes | None:
    return None if said.classes is None else tuple(said.classes.tolist())
