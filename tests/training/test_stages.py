"""Stages are handed the parameters that they declare, and run a function that a key can name."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from ssliqa_bench.errors import InputError, UndeclaredParameter
from ssliqa_bench.training.declarations import DeclaredParams
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact

PARAMS = {"lr": 0.1, "epochs": 3, "crop": 7}


def run(context: StageContext) -> Artifact:
    return Artifact({})


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def inside(context: StageContext) -> Artifact:
        return Artifact({})

    return inside


@wrapped
def decorated(context: StageContext) -> Artifact:
    """Found in its module as what the stage holds."""
    return Artifact({})


def test_a_stage_reads_what_it_declares() -> None:
    params = Stage("initial", run, params=("lr", "crop")).declared(PARAMS)
    assert dict(params) == {"lr": 0.1, "crop": 7} and len(params) == 2 and params == {"lr": 0.1, "crop": 7}
    assert params["lr"] == 0.1 and params.get("crop") == 7 and "lr" in params


@pytest.mark.parametrize(
    "read", [lambda p: p["epochs"], lambda p: p.get("epochs", 1), lambda p: "epochs" in p, lambda p: p["none"]]
)
def test_whatever_else_it_reads_is_named_with_the_line_to_add(read: Any) -> None:
    params = Stage("initial", run, params=("lr",)).declared(PARAMS)
    with pytest.raises(UndeclaredParameter) as caught:
        read(params)
    name = caught.value.name
    assert name in ("epochs", "none") and caught.value.exit_code == 2
    assert str(caught.value) == (
        f'Stage "initial" ({__name__}:run) reads the parameter "{name}", which it does not declare, so that no key '
        f'holds its value. Declare it: Stage("initial", …, params=(…, "{name}")).'
    )


def test_what_it_declares_must_be_there() -> None:
    with pytest.raises(InputError, match=r'Stage "initial" .* declares the parameter "weight", which its method does'):
        Stage("initial", run, params=("weight",)).declared(PARAMS)


def test_declared_parameters_are_shown_as_they_are() -> None:
    assert repr(DeclaredParams(PARAMS, ["lr"], "A stage", "Stage()")) == "DeclaredParams({'lr': 0.1})"


def test_a_decorated_function_of_a_module_is_one() -> None:
    assert Stage("initial", decorated).run is decorated


@pytest.mark.parametrize(
    "function", [lambda context: Artifact({}), functools.partial(run), wrapped(run), Artifact, print]
)
def test_whatever_else_cannot_be_the_run_of_a_stage(function: Any) -> None:
    with pytest.raises(InputError, match='Stage "initial", run: got .*; expected a function that is defined at the'):
        Stage("initial", function)


def labels_alone(context: StageContext) -> Artifact:
    return Artifact({})


def test_the_stage_of_a_comparator_keeps_what_both_draw_from() -> None:
    own = Stage("student", run, sets=("labeled", "unlabeled", "validation"), inputs=("teacher",), params=("lr", "crop"),
                counts=("sides",), settings={"phase": 2}, predicts=False)  # fmt: skip
    other = own.labels_only(labels_alone, ("lr",), ("unlabeled",))
    assert other.name == "student" and other.inputs == ("teacher",) and not other.predicts
    assert dict(other.settings) == {"phase": 2}
    assert other.sets == ("labeled", "validation") and other.params == ("lr",) and other.counts == ("unlabeled",)
    assert other.run is labels_alone and own.labels_only(labels_alone, ()).counts == ()
