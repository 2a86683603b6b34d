"""What every learner has: its parameters, and a model that is built by a named function of declared parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch

from ssliqa_bench.errors import InputError, UndeclaredParameter
from ssliqa_bench.methods.base import Learner, Model, ModelContext
from ssliqa_bench.types import Artifact

CPU = torch.device("cpu")


class Constant:
    """A model that says one thing of all images."""

    n_parameters = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, images: Any) -> Any:
        return [self.value] * len(images)


def build(context: ModelContext) -> Any:
    return Constant(context.params["level"] * float(context.trained.tensors["bias"]))


def build_shifted(context: ModelContext) -> Any:
    return Constant(context.params["level"] + context.params["shift"])


def build_gently(context: ModelContext) -> Any:
    return Constant(context.params.get("shift", 0.0))


class Plain(Learner):
    model: ClassVar[Model] = Model(build, ("level",))

    def stages(self) -> Any:
        return []

    def nested(self) -> Callable[[ModelContext], Any]:
        def inside(context: ModelContext) -> Any:
            return Constant(0.0)

        return inside


def test_parameters_are_kept_as_given() -> None:
    params = {"level": 2.0, "other": -1}
    learner = Plain(params)
    assert learner.params == params and learner.params is not params
    learner.check()  # nothing to object


def test_a_model_is_built_of_artifact_and_declared_parameters() -> None:
    made = Plain.model.made({"level": 2.0, "other": -1}, Artifact({"bias": torch.tensor(3.0).numpy()}), CPU)
    assert isinstance(made, Constant) and made.value == 6.0
    with pytest.raises(InputError, match="no model before its stage has run"):
        Plain.model.made({"level": 2.0}, None, CPU)


@pytest.mark.parametrize("function", [build_shifted, build_gently])
def test_a_model_that_reads_what_it_does_not_declare_is_stopped(function: Any) -> None:
    """Else two values of that parameter would be answered with the predictions of one; a default does not help."""
    model = Model(function, ("level",))
    with pytest.raises(UndeclaredParameter) as caught:
        model.made({"level": 1.0, "shift": 2.0}, None, CPU)
    assert caught.value.name == "shift"
    assert str(caught.value) == (
        f'The model of {__name__}:{function.__name__} reads the parameter "shift", which it does not declare, so that '
        f'no key holds its value. Declare it: Model({function.__name__}, params=(…, "shift")).'
    )


def test_a_declared_parameter_that_there_is_not() -> None:
    with pytest.raises(InputError, match='declares the parameter "level", which its method does not have'):
        Plain.model.made({"other": 1}, None, CPU)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda context: Constant(0.0), "got a lambda"),
        (functools.partial(build), "got partial"),
        (Plain({}).nested(), r"got function .*nested\.<locals>\.inside"),
        (Plain({}).nested, "got method Plain.nested"),
        (Plain.nested, "got function Plain.nested"),
        (Constant, "got type Constant"),
        (len, "got builtin_function_or_method len"),
    ],
)
def test_only_a_function_of_a_module_builds_a_model(function: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"Model, build: {said}.*expected a function that is defined at the top level"):
        Model(function)
