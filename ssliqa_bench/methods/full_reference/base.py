"""What both full-reference learners share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import nn

from ssliqa_bench.methods.base import Learner, Needs
from ssliqa_bench.methods.full_reference.networks import make_pair_model
from ssliqa_bench.training.stages import Stage


class FullReferenceLearner(Learner):
    """One stage, which trains one network on labeled pairs."""

    needs: ClassVar[Needs] = Needs(references=True)

    @abstractmethod
    def stage(self) -> Stage:
        """Its one stage."""

    def stages(self) -> list[Stage]:
        """One, named after the network."""
        return [self.stage()]

    def networks(self) -> Mapping[str, nn.Module]:
        """The model, frozen extractor included."""
        return {"model": make_pair_model(self.stage().name, self.params)}
