"""What every learner has: its parameters, refused where they make no sense."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object


class Plain(Learner):
    least: ClassVar[dict[str, float]] = {"epochs": 1, "lr": 0.0}

    def stages(self) -> Any:
        return []

    def predictor(self, artifact: Any, device: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("params", [{"epochs": 1, "lr": 0}, {"epochs": 3, "lr": 1e-3}, {"lr": None}, {"other": -1}, {}])
def test_parameters_are_kept_as_given(params: dict[str, Any]) -> None:
    learner = Plain(params)
    assert learner.params == params and learner.params is not params


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"epochs": 0}, "Parameter epochs: got 0; expected a whole number, 1 or more."),
        ({"epochs": 1.5}, "Parameter epochs: got 1.5; expected a whole number, 1 or more."),
        ({"epochs": "many"}, "Parameter epochs: got many; expected a whole number, 1 or more."),
        ({"lr": -1e-3}, "Parameter lr: got -0.001; expected a number, 0 or more."),
        ({"lr": "fast"}, "Parameter lr: got fast; expected a number, 0 or more."),
    ],
)
def test_a_parameter_out_of_its_range_is_said(params: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        Plain(params)
    assert str(error.value) == said


def numeric() -> list[tuple[str, str]]:
    """Every number among the parameters of the packaged learners that train."""
    registry = load_registry()
    found = []
    for name, entry in registry.methods.items():
        if entry.prefix is not None:
            continue
        resolved = registry.resolve_method(name)
        if "supervised" in resolved.chain:
            found += [(name, key) for key, value in resolved.params.items() if type(value) in (int, float)]
    return found


@pytest.mark.parametrize("method", sorted({method for method, _ in numeric()}))
def test_every_number_of_a_packaged_learner_has_a_smallest_value(method: str) -> None:
    registry = load_registry()
    resolved = registry.resolve_method(method)
    learner = load_object(resolved.class_path)
    known = [key for name, key in numeric() if name == method]
    assert set(known) <= set(learner.least)
    for key in known:
        with pytest.raises(InputError, match=f"Parameter {key}: got -1"):
            learner({**resolved.params, key: -1})
