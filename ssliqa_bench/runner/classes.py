"""How images of a dataset fall into classes of quality; on the runner's side of the label firewall only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ssliqa_bench.datasets.classes import UNKNOWN, classes_of
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.evaluation.classes import ClassInputs
from ssliqa_bench.registry.schema import ClassFields, DatasetEntry
from ssliqa_bench.store.predictions import Classes
from ssliqa_bench.store.record import ClassFacts


@dataclass(frozen=True)
class ClassRule:
    """How the classes of a dataset's images follow from the opinions about them.

    Attributes:
        levels, rule: as in a protocol.
        scale: native scores, higher is better, at the two ends of the scale.
    """

    levels: int
    rule: Literal["modal", "equal_width"]
    scale: tuple[float, float]

    @classmethod
    def of(cls, entry: DatasetEntry, fields: ClassFields | None) -> ClassRule | None:
        """The rule of a protocol for a dataset; None where the protocol sees no classes."""
        if fields is None:
            return None
        return cls(fields.levels, fields.rule, entry.native_scale.ends)

    @classmethod
    def recorded(cls, facts: ClassFacts | None) -> ClassRule | None:
        """The rule that a record was evaluated with."""
        return None if facts is None else cls(facts.levels, facts.rule, facts.scale)

    def inputs(self, true: Classes | None, predicted: Classes | None, n: int) -> ClassInputs:
        """What metrics of classes are computed from, of the columns of n predictions."""
        numbers = np.array([UNKNOWN if value is None else value for value in true or (None,) * n], dtype=np.int64)
        own = None if predicted is None else np.array(predicted, dtype=np.int64)
        return ClassInputs(numbers, own, self.levels, self.rule, self.scale)


def true_classes(table: Table, fields: ClassFields) -> Classes:
    """The class of each image, None where it is not known."""
    return tuple(None if value == UNKNOWN else value for value in classes_of(table, fields).tolist())
