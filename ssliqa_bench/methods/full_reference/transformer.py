"""IQA Transformer: the same comparison with plain transformer blocks and a quality token.

Source: Conde, Burchi, Timofte, "Conformer and Blind Noisy Students for Improved Image Quality Assessment", CVPRW 2022,
after Cheon et al., "Perceptual Image Quality Assessment with Transformers", CVPRW 2021.
"""

from __future__ import annotations

from typing import ClassVar

from ssliqa_bench.methods.base import Model
from ssliqa_bench.methods.full_reference.base import FullReferenceLearner
from ssliqa_bench.methods.full_reference.prediction import full_reference_model
from ssliqa_bench.methods.full_reference.training import full_reference_stage, train_on_pairs
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact


def run_transformer(context: StageContext) -> Artifact:
    """Train the transformer network."""
    return train_on_pairs(context, "transformer")


def transformer_stage() -> Stage:
    """The stage `transformer`, whose artifact `prediction.stored_predictor` reads."""
    return full_reference_stage("transformer", run_transformer)


class IQATransformer(FullReferenceLearner):
    """The transformer network, trained on labeled images and their references."""

    model: ClassVar[Model] = full_reference_model("transformer")

    def stage(self) -> Stage:
        """The stage `transformer`."""
        return transformer_stage()
