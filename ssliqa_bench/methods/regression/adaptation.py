"""Cheap controls for unlabeled images of another dataset: ridge regression on features whose statistics are aligned.

Both fit a linear output to the labeled images in closed form and judge every image as one of the unlabeled side; what
they say of images of the labeled side is adapted to the wrong side.

AdaBN after Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016 (arXiv 1603.04779), on the
last features alone: each side is standardised by its own mean and deviation. CORAL: Sun, Feng and Saenko, "Return of
Frustratingly Easy Domain Adaptation", AAAI 2016, in the authors' implementation.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ssliqa_bench.errors import RunError
from ssliqa_bench.methods.base import Needs, Work
from ssliqa_bench.methods.ridge_probe import RidgeProbe, fit_ridge, probe_artifact, test_features
from ssliqa_bench.training.quality import build_model
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.standardisation import FeatureScale
from ssliqa_bench.types import Artifact, FloatArray


def covariance_map(source: FloatArray, target: FloatArray) -> FloatArray:
    """A (d, d) such that source @ A has nearly the covariance of target: (C_s + I)^(−1/2) (C_t + I)^(1/2).

    Both are standardised features, (n, d) and (m, d); covariances have divisor n − 1.
    """
    return _power(source, -0.5) @ _power(target, 0.5)


def fit_adapted(
    labeled: FloatArray, scores: FloatArray, unlabeled: FloatArray, *, covariance: bool
) -> tuple[FloatArray, float, float]:
    """Ridge regression of scores (n,) on features (n, d) of the labeled side, for features of the unlabeled side.

    Each side is standardised by its own mean and deviation; with `covariance` the labeled side then gets the covariance
    of the unlabeled side.

    Returns:
        Weights (d,) and bias on features of the unlabeled side as they are, and the strength chosen by leave-one-out.
    """
    own, other = FeatureScale.of(labeled), FeatureScale.of(unlabeled)
    known = own.standardise(labeled)
    if covariance:
        known = known @ covariance_map(known, other.standardise(unlabeled))
    weight, bias, strength, _ = fit_ridge(known, scores)
    weight = weight / other.deviation
    return weight, float(bias - weight @ other.mean), strength


def run_adapted(context: StageContext) -> Artifact:
    """Fit the linear output on the aligned features; the backbone keeps its initial (pretrained) weights."""
    labeled, unlabeled = context.labeled, context.unlabeled
    assert labeled is not None and unlabeled is not None  # declared by the stage
    if len(labeled) < 2 or len(unlabeled) < 2:
        raise RunError(
            f"{context.name}: {len(labeled)} labeled and {len(unlabeled)} unlabeled images; each side's deviation "
            f"needs two or more."
        )
    model = build_model(context)
    own, other = (test_features(context, model, images) for images in (labeled.images, unlabeled))
    covariance = bool(context.settings["covariance"])
    weight, bias, strength = fit_adapted(own, labeled.score01, other, covariance=covariance)
    return probe_artifact(model, weight, bias, {"strength": strength})


class AdaBN(RidgeProbe):
    """A ridge probe; each side's features are standardised by their own mean and deviation."""

    needs: ClassVar[Needs] = Needs(unlabeled=True)
    covariance: ClassVar[bool] = False

    def stages(self) -> list[Stage]:
        """One stage."""
        settings, params = {"covariance": self.covariance}, ("backbone", "crop", "test_crops")
        return [Stage("adapted", run_adapted, sets=("labeled", "unlabeled"), params=params, settings=settings)]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Every image is read once."""
        return Work(0, (labeled + unlabeled) * int(self.params["test_crops"]))


class CORAL(AdaBN):
    """A ridge probe; the labeled side's features are also given the covariance of the unlabeled side's."""

    covariance: ClassVar[bool] = True


def _power(standardised: FloatArray, exponent: float) -> FloatArray:
    """(C + I)^exponent of the covariance C of features (n, d)."""
    values, vectors = np.linalg.eigh(np.cov(standardised, rowvar=False) + np.eye(standardised.shape[1]))
    powered: FloatArray = (vectors * values**exponent) @ vectors.T
    return powered
