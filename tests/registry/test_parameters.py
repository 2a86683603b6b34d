"""Declared parameters: what each type accepts, what its bounds say, and that every packaged entry keeps to them."""

from __future__ import annotations

from typing import Any

import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.parameters import Parameter, canonical

REGISTRY = load_registry()
# One value of every kind that YAML can give.
VALUES: list[Any] = [None, True, 2, -2, 2.5, "x", "a.b:C", [], [1], [0], [3, 4], ["x"], [1.5]]


def declared(**fields: Any) -> Parameter:
    return Parameter(meaning="Something.", **fields)


@pytest.mark.parametrize(
    ("fields", "accepted", "expects"),
    [
        ({"type": "integer"}, [2, -2], "a whole number"),
        ({"type": "integer", "least": 0}, [2], "a whole number, 0 or more"),
        ({"type": "integer", "optional": True}, [None, 2, -2], "a whole number, or null"),
        ({"type": "number", "above": 2}, [2.5], "a number above 2"),
        ({"type": "number", "least": 2, "most": 2.4}, [2], "a number from 2 to 2.4"),
        ({"type": "number", "least": 0, "below": 2.5}, [2], "a number from 0, below 2.5"),
        ({"type": "number", "most": 2}, [2, -2], "a number, at most 2"),
        ({"type": "boolean"}, [True], "true or false"),
        ({"type": "text"}, ["x", "a.b:C"], "text"),
        ({"type": "choice", "choices": ("x", "y", "z")}, ["x"], "x, y or z"),
        ({"type": "integers"}, [[], [1], [0], [3, 4]], "a list of whole numbers"),
        ({"type": "integers", "least": 1}, [[], [1], [3, 4]], "a list of whole numbers, 1 or more"),
        ({"type": "texts"}, [[], ["x"]], "a list of texts"),
        ({"type": "size"}, [[], [3, 4]], "[height, width] in pixels, or [] for none"),
        ({"type": "backbone"}, ["x", "a.b:C"], "the name of a backbone"),
        ({"type": "class"}, ["a.b:C"], '"module:Name"'),
        ({"type": "weights", "optional": True}, [None, "x", "a.b:C"], "the path of a file, or null"),
    ],
)
def test_what_is_accepted_and_how_it_is_said(fields: dict[str, Any], accepted: list[Any], expects: str) -> None:
    own = declared(**fields)
    assert [value for value in VALUES if own.accepts(value)] == accepted
    assert own.expects == expects


@pytest.mark.parametrize(
    ("fields", "default", "value", "expected"),
    [
        ({"type": "number"}, 0.1, 1, 1.0),
        ({"type": "number"}, 100, 5.0, 5),
        ({"type": "number"}, 100, 5.5, 5.5),
        ({"type": "number", "optional": True}, None, 1, 1),
        ({"type": "integer"}, 3, 1e12, 10**12),
        ({"type": "text"}, "x", "y", "y"),
    ],
)
def test_one_value_has_one_form(fields: dict[str, Any], default: Any, value: Any, expected: Any) -> None:
    found = canonical(declared(**fields), default, value)
    assert found == expected and type(found) is type(expected)


def entries() -> list[tuple[str, str]]:
    """Every entry with every recipe of its own or of an ancestor."""
    methods = [name for name, entry in REGISTRY.methods.items() if entry.prefix is None]
    return [(name, recipe) for name in methods for recipe in ("default", *REGISTRY.recipes(name))]


def test_every_entry_keeps_to_the_declarations() -> None:
    assert len(entries()) > 200
    for name, recipe in entries():
        method = REGISTRY.resolve_method(name, recipe)
        assert method.declared.keys() == method.params.keys()
        wrong = {key: value for key, value in method.params.items() if not method.declared[key].accepts(value)}
        assert not wrong, (name, recipe)


def test_every_declaration_is_used_and_says_what_it_means() -> None:
    used = {key for name, recipe in entries() for key in REGISTRY.resolve_method(name, recipe).params}
    assert set(REGISTRY.parameters) == used
    for name, own in REGISTRY.parameters.items():
        assert own.meaning[0].isupper() and own.meaning.endswith("."), name


def test_every_number_has_bounds() -> None:
    """Both ends, so that a slip of the keyboard is refused; a mean may be anything."""
    for name, own in REGISTRY.parameters.items():
        if own.type in ("integer", "number", "integers") and name not in ("label_mean", "label_std"):
            assert own.least is not None or own.above is not None, name
            assert own.most is not None or own.below is not None, name


def beyond(own: Parameter) -> list[Any]:
    """Values that a declaration must refuse."""
    wrong: list[Any] = ["no such word"] if own.type in ("choice", "class") else []
    if own.type in ("integer", "number"):
        wrong += ["many", True, *([1.5] if own.type == "integer" else [])]
        wrong += [own.least - 1] if own.least is not None else []
        wrong += [own.above] if own.above is not None else []
        wrong += [own.most + 1, 1e12] if own.most is not None else []
        wrong += [own.below] if own.below is not None else []
    return wrong + ([] if own.optional else [None])


def distinct_parameters() -> list[tuple[str, str]]:
    """Each declared parameter with the first entry that has it."""
    first: dict[str, str] = {}
    for name, recipe in entries():
        for key in REGISTRY.resolve_method(name, recipe).params:
            first.setdefault(key, name)
    return sorted(first.items())


@pytest.mark.parametrize(("key", "method"), distinct_parameters())
def test_a_value_beyond_its_bounds_is_refused_before_anything_is_read(key: str, method: str) -> None:
    own = REGISTRY.resolve_method(method).declared[key]
    for value in beyond(own):
        with pytest.raises(InputError, match=f"--set {key}: got .*; expected .*show {method} --params"):
            REGISTRY.resolve_method(method, None, {key: value})


def test_which_parameters_choose_the_weights_of_a_network() -> None:
    method = REGISTRY.resolve_method("ssliqa")
    assert {name: (own.file, own.switch) for name, own in method.weights_params.items()} == {
        "student_backbone": ("student_weights_file", "pretrained"),
        "teacher_backbone": ("teacher_weights_file", "pretrained"),
    }
    assert method.own_file is None
    metric = REGISTRY.resolve_method("niqe")
    assert metric.weights_params == {} and metric.own_file == "weights_file"
    student = REGISTRY.resolve_method("noisy-student")
    assert set(student.weights_params) == {"backbone", "extractor_backbone"}
    assert student.named("class") == {"metric_class": "ssliqa_bench.integrations.pyiqa:MetricPredictor"}
