"""Kernel ridge regression on the features of a pretrained network: the strongest model without a trained head.

Width and penalty are chosen by leave-one-out over the labeled images, so nothing but their labels is used. The offset
is not penalised, and leave-one-out is exact, offset included: with C = (K + λ I)⁻¹, s = C 1 and t = 1ᵀs the residual of
image i is α_i / (C_ii − s_i²/t), where α = C y − s (sᵀy)/t (Cawley and Talbot, Neural Networks 17, 2004).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.metrics.pairwise import rbf_kernel

from ssliqa_bench.errors import RunError
from ssliqa_bench.methods.base import Model, ModelContext, Needs, Work
from ssliqa_bench.methods.ridge_probe import test_features
from ssliqa_bench.methods.supervised import Supervised
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.quality import build_model, read_test_crops, stored_model
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.standardisation import FeatureScale
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact, FloatArray, derive_seed

WIDTHS = tuple(2.0**k for k in range(-7, 3))  # tried as multiples of 1 / number of features
PENALTIES = tuple(10.0 ** (k / 2) for k in range(-8, 5))
_CHOSEN_ON = 2000  # labeled images that width and penalty are chosen on, at most


@dataclass(frozen=True)
class KernelRegression:
    """ŷ(f) = Σ_i α_i exp(−γ ‖g(f) − s_i‖²) + b, where g standardises features.

    Attributes:
        support: standardised features (n, d) of the labeled images.
        weights: α (n,), which sum to 0.
    """

    scale: FeatureScale
    support: FloatArray
    weights: FloatArray
    offset: float
    gamma: float

    def predict(self, features: FloatArray) -> FloatArray:
        """Scores (m,) of features (m, d)."""
        kernel = rbf_kernel(self.scale.standardise(features), self.support, gamma=self.gamma)
        predicted: FloatArray = kernel @ self.weights + self.offset
        return predicted

    def tensors(self) -> dict[str, Any]:
        """All of it as arrays."""
        numbers = np.array([self.offset, self.gamma])
        support = self.support.astype(np.float32)  # what it was rounded to
        own = {"mean": self.scale.mean, "deviation": self.scale.deviation, "support": support}
        return {f"krr.{name}": value for name, value in {**own, "weights": self.weights, "numbers": numbers}.items()}

    @classmethod
    def of(cls, tensors: Mapping[str, Any]) -> KernelRegression:
        """From the arrays of `tensors`."""
        mean, deviation, support, weights, numbers = (
            np.asarray(tensors[f"krr.{name}"]) for name in ("mean", "deviation", "support", "weights", "numbers")
        )
        return cls(FeatureScale(mean, deviation), support.astype(float), weights, *numbers.tolist())


def leave_one_out(kernel: FloatArray, scores: FloatArray, penalties: tuple[float, ...]) -> FloatArray:
    """Root mean squared error of leave-one-out for each penalty; `kernel` (n, n), scores (n,), n ≥ 2."""
    values, vectors = np.linalg.eigh(kernel)
    ones, known = vectors.sum(0), vectors.T @ scores
    errors = []
    for penalty in penalties:
        shrunk = 1 / (np.maximum(values, 0) + penalty)
        total = ones @ (shrunk * ones)
        column = vectors @ (shrunk * ones)
        weights = vectors @ (shrunk * known) - column * (ones @ (shrunk * known)) / total
        diagonal = np.square(vectors) @ shrunk - np.square(column) / total
        errors.append(float(np.sqrt(np.mean(np.square(weights / diagonal)))))
    return np.array(errors)


def fit_weights(kernel: FloatArray, scores: FloatArray, penalty: float) -> tuple[FloatArray, float]:
    """α (n,) and b of the least penalised squared error, b without a penalty: Σ α = 0 and (K + λ I) α + b = y."""
    right = np.column_stack((scores, np.ones(len(scores))))
    solved, column = np.linalg.solve(kernel + penalty * np.eye(len(scores)), right).T
    offset = float(solved.sum() / column.sum())
    return solved - offset * column, offset


def fit_kernel(features: FloatArray, scores: FloatArray, seed: int) -> tuple[KernelRegression, dict[str, float]]:
    """The regression of scores (n,) on features (n, d), and what was chosen for it.

    Width and penalty are those with the least leave-one-out error; of more than 2,000 images a random 2,000 choose.
    """
    scale = FeatureScale.of(features)
    known = scale.standardise(features).astype(np.float32).astype(float)  # as it will be stored
    rows = np.arange(len(scores))
    if len(rows) > _CHOSEN_ON:
        random = np.random.Generator(np.random.Philox(key=derive_seed(seed, "kernel ridge")))
        rows = np.sort(random.permutation(rows)[:_CHOSEN_ON])
    gammas = [width / features.shape[1] for width in WIDTHS]
    errors = np.array(
        [leave_one_out(rbf_kernel(known[rows], gamma=gamma), scores[rows], PENALTIES) for gamma in gammas]
    )
    wide, hard = np.unravel_index(int(errors.argmin()), errors.shape)
    gamma, penalty = gammas[wide], PENALTIES[hard]
    weights, offset = fit_weights(rbf_kernel(known, gamma=gamma), scores, penalty)
    chosen = {
        "gamma": gamma,
        "penalty": penalty,
        "leave_one_out_rmse": float(errors[wide, hard]),
        "chosen_on": len(rows),
    }
    return KernelRegression(scale, known, weights, offset, gamma), chosen


def run_kernel_ridge(context: StageContext) -> Artifact:
    """Fit the regression on the features of the labeled images; the network keeps its initial (pretrained) weights."""
    labeled = context.labeled
    assert labeled is not None  # declared by the stage
    if len(labeled) < 2:
        raise RunError(f"{context.name}: {len(labeled)} labeled image; leave-one-out needs two or more.")
    model = build_model(context)
    features = test_features(context, model, labeled.images)
    regression, chosen = fit_kernel(features, labeled.score01, context.seed)
    if chosen["chosen_on"] < len(labeled):
        context.report.note(f"width and penalty chosen on {_CHOSEN_ON} of {len(labeled)} labeled images")
    return Artifact({**module_tensors(model), **regression.tensors()}, {"steps": 0, "log": [chosen]})


class KernelRidgePredictor:
    """Judges images by the regression, on the mean features of their fixed test crops."""

    def __init__(self, model: QualityModel, regression: KernelRegression, view: View, device: torch.device) -> None:
        self._model, self._regression, self._view, self._device = model, regression, view, device
        network = sum(parameter.numel() for parameter in model.backbone.parameters())
        self.n_parameters = network + regression.support.size + regression.weights.size + 1

    def predict(self, images: ImageSet) -> FloatArray:
        """Quality (n,), float64, on the learner's scale, higher is better."""
        return self._regression.predict(read_test_crops(self._model, images, self._view, self._device)[1])


def build_kernel_ridge(context: ModelContext) -> KernelRidgePredictor:
    """The network that gives the features, and the regression."""
    p = context.params
    model = stored_model(context.trained, p["backbone"], context.device)
    regression = KernelRegression.of(context.trained.tensors)
    return KernelRidgePredictor(model, regression, View(p["crop"], p["test_crops"]), context.device)


class KernelRidge(Supervised):
    """A frozen backbone under kernel ridge regression."""

    needs: ClassVar[Needs] = Needs()
    model: ClassVar[Model] = Model(build_kernel_ridge, ("backbone", "crop", "test_crops"))

    def stages(self) -> list[Stage]:
        """One stage."""
        params = ("backbone", "crop", "test_crops")
        return [Stage("kernel-ridge", run_kernel_ridge, sets=("labeled",), params=params)]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Every labeled image is read once."""
        return Work(0, labeled * int(self.params["test_crops"]))
