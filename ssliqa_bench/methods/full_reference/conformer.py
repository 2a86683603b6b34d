"""IQA Conformer.

Source: Conde, Burchi, Timofte, "Conformer and Blind Noisy Students for Improved Image Quality Assessment", CVPRW 2022.
"""

from __future__ import annotations

from typing import ClassVar

from ssliqa_bench.methods.base import Model
from ssliqa_bench.methods.full_reference.base import FullReferenceLearner
from ssliqa_bench.methods.full_reference.prediction import full_reference_model
from ssliqa_bench.methods.full_reference.training import full_reference_stage, train_on_pairs
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact


def run_conformer(context: StageContext) -> Artifact:
    """Train the conformer network."""
    return train_on_pairs(context, "conformer")


def conformer_stage() -> Stage:
    """The stage `conformer`, whose artifact `prediction.stored_predictor` reads."""
    return full_reference_stage("conformer", run_conformer)


class IQAConformer(FullReferenceLearner):
    """The conformer network, trained on labeled images and their references."""

    model: ClassVar[Model] = full_reference_model("conformer")

    def stage(self) -> Stage:
        """The stage `conformer`."""
        return conformer_stage()
