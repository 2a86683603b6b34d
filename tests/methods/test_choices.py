"""The choices that the registry declares are those that the code knows."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ssliqa_bench.methods.full_reference.views import TEST_CROPS
from ssliqa_bench.methods.matching.levels import ENCODINGS, RULES
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.training.batches import INCLUDE
from ssliqa_bench.training.loop import Schedule

DECLARED = load_registry().parameters


@pytest.mark.parametrize(
    ("parameter", "known"),
    [
        ("label_rule", RULES),
        ("label_encoding", ENCODINGS),
        ("fr_test_crops", TEST_CROPS),
        ("include_labelled", INCLUDE),
    ],
)
def test_a_choice_is_declared_if_and_only_if_the_code_knows_it(parameter: str, known: Iterable[str]) -> None:
    assert list(DECLARED[parameter].choices) == list(known)


def test_every_optimiser_that_is_declared_is_made() -> None:
    import torch

    for name in DECLARED["optimizer"].choices:
        Schedule(1, 0.1, optimizer=name).make_optimizer([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(KeyError):
        Schedule(1, 0.1, optimizer="lion").make_optimizer([torch.nn.Parameter(torch.zeros(1))])
