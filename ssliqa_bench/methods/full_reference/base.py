"""What both full-reference learners share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner, Needs, Predictor
from ssliqa_bench.methods.full_reference.networks import make_model
from ssliqa_bench.methods.full_reference.prediction import PREDICT_PARAMS, stored_predictor
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact


class FullReferenceLearner(Learner):
    """One stage, which trains one network on labeled pairs."""

    needs: ClassVar[Needs] = Needs(references=True)
    predict_params: ClassVar[tuple[str, ...]] = PREDICT_PARAMS
    least: ClassVar[Mapping[str, float]] = {
        **dict.fromkeys(
            ("width", "heads", "feedforward", "transformer_feedforward", "head_width", "grid", "fr_crop",
             "fr_batch_size", "fr_epochs", "fr_average_epochs"), 1,
        ),
        **dict.fromkeys(("fr_lr", "fr_dropout", "fr_rotation"), 0.0),
    }  # fmt: skip

    @abstractmethod
    def stage(self) -> Stage:
        """Its one stage."""

    def stages(self) -> list[Stage]:
        """One, named after the network."""
        return [self.stage()]

    def networks(self) -> Mapping[str, nn.Module]:
        """The model, frozen extractor included."""
        return {"model": make_model(self.stage().name, self.params)}

    def predictor(self, artifact: Artifact | None, device: torch.device) -> Predictor:
        """Mean over the test crops."""
        if artifact is None:
            raise InputError("A full-reference learner has no model before its stage.")
        return stored_predictor(artifact, self.params, device)
