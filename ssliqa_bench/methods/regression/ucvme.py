"""UCVME: two networks agree on quality and on how uncertain it is, and teach each other on unlabeled images.

Source: Dai, Li and Cheng, "Semi-Supervised Deep Regression with Uncertainty Consistency and Variational Model
Ensembling via Bayesian Neural Networks", AAAI 2023, Eq. 2 to 11, and the authors' implementation.
docs/methods/regression.md lists where the two differ and what differs here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from ssliqa_bench.methods.base import Model, ModelContext
from ssliqa_bench.methods.regression.base import LabelsOnly, RegressionLearner
from ssliqa_bench.methods.regression.ensembles import Ensemble, member_context
from ssliqa_bench.methods.regression.training import (
    DrawGroups,
    Loss,
    ScoreTrainee,
    TrainingStep,
    run_training,
    weak_views,
    without_statistics,
)
from ssliqa_bench.training.backbones.base import Backbone, QualityModel, network_input
from ssliqa_bench.training.checkpoint import load_module
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.quality import QualityPredictor, build_backbone, build_model
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.training.standardisation import LabelScale
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact, FloatArray

MEMBERS = 2
SCALE = "scale"  # name of the mean and deviation of the labels in the artifact
_NETWORK_PARAMS = ("mc_dropout", "label_mean", "label_std")


@dataclass(frozen=True)
class UncertainQuality:
    """Predictions of several networks for the same images: quality and log-variance, each (networks, n)."""

    quality: torch.Tensor
    log_variance: torch.Tensor

    def mean(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean quality (n,) and mean log-variance (n,) over the networks."""
        return self.quality.mean(0), self.log_variance.mean(0)


class UncertainModel(QualityModel):
    """A quality model with a second linear output, the log-variance; features are dropped before each output."""

    def __init__(self, backbone: Backbone, dropout: float) -> None:
        super().__init__(backbone)
        self.dropout = nn.Dropout(dropout)
        self.uncertainty = nn.Linear(backbone.features, 1)

    def judge(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Quality (n,) and log-variance (n,), with other features dropped for each while training."""
        features = self.backbone(network_input(crops))
        quality, log_variance = self.head(self.dropout(features)), self.uncertainty(self.dropout(features))
        return quality.squeeze(-1).float(), log_variance.squeeze(-1).float()


def heteroscedastic(judged: UncertainQuality, target: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Σ_m mean_i [(ŷ_im − y_i)² / (2 exp z_i) + z_i / 2], for targets y (n,) and log-variances z (n,).

    Source: Eq. 3 and 10.
    """
    squared = (judged.quality - target).square()
    return (0.5 * (squared * torch.exp(-log_variance) + log_variance)).mean(1).sum()


def labeled_loss(judged: UncertainQuality, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss on labeled images and its consistency term: the log-variance is the mean of both networks', which agree.

    Source: Eq. 2 and 3; the mean log-variance in Eq. 3 is that of the authors' implementation.
    """
    uncertain = (judged.log_variance[0] - judged.log_variance[1]).square().mean()
    return heteroscedastic(judged, target, judged.log_variance.mean(0)), uncertain


def unlabeled_loss(
    judged: UncertainQuality, target: torch.Tensor, log_variance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss on unlabeled images with their pseudo-labels ỹ (n,) and z̃ (n,), and its consistency term.

    Source: Eq. 9 and 10.
    """
    uncertain = (judged.log_variance - log_variance).square().mean(1).sum()
    return heteroscedastic(judged, target, log_variance), uncertain


def variational_labels(networks: nn.Module, crops: torch.Tensor, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """ỹ (n,) and z̃ (n,): means over both networks and over samples of the dropped features, without a gradient.

    Source: Eq. 7 and 8.
    """
    with torch.no_grad(), without_statistics(networks):
        drawn = [member_outputs(networks, crops).mean() for _ in range(samples)]
    quality, log_variance = zip(*drawn, strict=True)
    return torch.stack(quality).mean(0), torch.stack(log_variance).mean(0)


def member_outputs(networks: nn.Module, crops: torch.Tensor) -> UncertainQuality:
    """What each network of an ensemble makes of crops."""
    assert isinstance(networks, Ensemble)
    quality, log_variance = zip(*(network.judge(crops) for network in networks.members), strict=True)
    return UncertainQuality(torch.stack(quality), torch.stack(log_variance))


def run_ucvme(context: StageContext) -> Artifact:
    """Train both networks with L = L_labeled + w · L_unlabeled."""
    p = context.params
    weight, samples = float(p["unlabeled_weight"]), int(p["mc_samples"])

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        supervised, agreed = labeled_loss(member_outputs(trainee.network, step.labeled), step.targets)
        target, log_variance = variational_labels(trainee.network, step.views[0], samples)
        with without_statistics(trainee.network):
            seen = member_outputs(trainee.network, step.views[0])
        followed, agreed_too = unlabeled_loss(seen, target, log_variance)
        return {
            "loss": supervised + agreed + weight * (followed + agreed_too),
            "supervised_loss": supervised,
            "uncertainty_loss": agreed,
            "unlabeled_loss": followed,
            "unlabeled_uncertainty_loss": agreed_too,
        }

    return _trained(context, loss, weak_views(context, 1))


def run_ucvme_supervised(context: StageContext) -> Artifact:
    """Train both networks on labeled images alone."""

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        supervised, agreed = labeled_loss(member_outputs(trainee.network, step.labeled), step.targets)
        return {"loss": supervised + agreed, "supervised_loss": supervised, "uncertainty_loss": agreed}

    return _trained(context, loss)


class RestoredPredictor:
    """Judges images on a standardised scale and puts the values back on the learner's."""

    def __init__(self, predictor: QualityPredictor, scale: LabelScale) -> None:
        self._predictor, self._scale = predictor, scale
        self.n_parameters = predictor.n_parameters

    def predict(self, images: ImageSet) -> FloatArray:
        """Quality (n,), float64, on the learner's scale, higher is better."""
        return self._scale.restore(self._predictor.predict(images))


def build_ucvme(context: ModelContext) -> RestoredPredictor:
    """The mean of both networks without dropout, to which the mean over samples of dropped features tends."""
    p, artifact = context.params, context.trained
    networks = _networks(p["backbone"])
    load_module(networks, artifact.tensors)
    predictor = QualityPredictor(networks.to(context.device), View(p["crop"], p["test_crops"]), context.device)
    return RestoredPredictor(predictor, LabelScale(*artifact.tensors[SCALE].tolist()))


class UCVME(RegressionLearner):
    """Two co-trained networks with dropout that says how sure they are."""

    run = staticmethod(run_ucvme)
    model: ClassVar[Model] = Model(build_ucvme, ("backbone", "crop", "test_crops"))
    own_params: ClassVar[tuple[str, ...]] = (*_NETWORK_PARAMS, "mc_samples")

    def networks(self) -> Mapping[str, nn.Module]:
        """Both networks."""
        return {"networks": _networks(self.params["backbone"])}


class UCVMESupervised(LabelsOnly):
    """The comparator: both networks on labels alone."""

    run = staticmethod(run_ucvme_supervised)
    model: ClassVar[Model] = UCVME.model
    own_params: ClassVar[tuple[str, ...]] = _NETWORK_PARAMS

    def networks(self) -> Mapping[str, nn.Module]:
        """Both networks."""
        return {"networks": _networks(self.params["backbone"])}


def _trained(context: StageContext, loss: Loss, views: DrawGroups | None = None) -> Artifact:
    """Both networks after training on standardised scores, and the scale of these."""
    labeled, p = context.labeled, context.params
    assert labeled is not None  # declared by every stage that runs this
    scale = LabelScale.of(labeled.score01, p["label_mean"], p["label_std"])
    networks = Ensemble(_member(context, k) for k in range(MEMBERS)).train()
    trained = run_training(context, networks, loss, views, scale.standardise(labeled.score01))
    return Artifact({**trained.tensors, SCALE: np.array([scale.mean, scale.std])}, trained.meta)


def _member(context: StageContext, member: int) -> UncertainModel:
    """A network before training; the first one starts where a single network of the same seed does."""
    start = build_model(member_context(context, member))
    model = UncertainModel(start.backbone, float(context.params["mc_dropout"]))
    model.head.load_state_dict(start.head.state_dict())
    return model.to(context.device)


def _networks(backbone: Mapping[str, Any]) -> Ensemble:
    return Ensemble(UncertainModel(build_backbone(backbone), 0.0) for _ in range(MEMBERS))
