"""Ridge probe: linear regression on the features of a frozen network, the baseline that costs next to nothing.

What a method gains has to be more than what its backbone's features give a linear model. The strength of the
penalty is chosen by leave-one-out over the labeled images, so nothing but their labels is used.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from sklearn.linear_model import RidgeCV

from ssliqa_bench.errors import RunError
from ssliqa_bench.methods.base import Needs, Work
from ssliqa_bench.methods.supervised import Supervised
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.quality import build_model, read_test_crops
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.standardisation import FeatureScale
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact, FloatArray

# Penalties that are tried, on standardised features; the loss is summed over images, not averaged.
STRENGTHS = tuple(10.0 ** (k / 4) for k in range(-12, 25))


def run_probe(context: StageContext) -> Artifact:
    """Fit the linear output of the model to the scores; its backbone keeps its initial (pretrained) weights."""
    labeled = context.labeled
    assert labeled is not None  # declared by the stage
    if len(labeled) < 2:
        raise RunError(f"{context.name}: {len(labeled)} labeled image; leave-one-out needs two or more.")
    model = build_model(context)
    weight, bias, strength, error = fit_ridge(test_features(context, model, labeled.images), labeled.score01)
    return probe_artifact(model, weight, bias, {"strength": strength, "leave_one_out_rmse": error})


def test_features(context: StageContext, model: QualityModel, images: ImageSet) -> FloatArray:
    """Features (n, d) of images, means over their fixed test crops."""
    view = View(int(context.params["crop"]), int(context.params["test_crops"]))
    return read_test_crops(model, images, view, context.device, context.precision)[1]


def probe_artifact(model: QualityModel, weight: FloatArray, bias: float, chosen: dict[str, float]) -> Artifact:
    """The model with a linear output that was fitted, weights (d,) and bias, and what was chosen for the fit."""
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weight[None]))
        model.head.bias.fill_(bias)
    return Artifact(module_tensors(model), {"steps": 0, "log": [chosen]})


def fit_ridge(features: FloatArray, scores: FloatArray) -> tuple[FloatArray, float, float, float]:
    """Ridge regression of scores (n,) on features (n, d), the strength chosen by leave-one-out.

    Returns:
        Weights (d,) and bias on the features as they are, the strength chosen, and the root mean square error that
        leave-one-out finds for it, on the scale of the scores.
    """
    scale = FeatureScale.of(features)
    regression = RidgeCV(alphas=STRENGTHS, scoring="neg_mean_squared_error")
    regression.fit(scale.standardise(features), scores)
    weight: FloatArray = regression.coef_ / scale.deviation
    bias = float(regression.intercept_ - weight @ scale.mean)
    return weight, bias, float(regression.alpha_), float(np.sqrt(-regression.best_score_))


class RidgeProbe(Supervised):
    """A frozen backbone under a linear output fitted in closed form."""

    needs: ClassVar[Needs] = Needs()

    def stages(self) -> list[Stage]:
        """One stage."""
        return [Stage("probe", run_probe, sets=("labeled",), params=("backbone", "crop", "test_crops"))]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Every labeled image is read once."""
        return Work(0, labeled * int(self.params["test_crops"]))
