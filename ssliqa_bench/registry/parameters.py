"""What a parameter of methods is: its type, its bounds and its meaning, declared once for all who read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, model_validator

from ssliqa_bench.registry.problems import wrong

_CLASS_PATH = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")

Number = StrictInt | StrictFloat
Kind = Literal[
    "integer", "number", "boolean", "text", "choice", "integers", "texts", "size", "backbone", "class", "weights"
]
_BOUNDED = ("integer", "number", "integers")


class Parameter(BaseModel):
    """The declaration of one parameter. Defaults are the business of each method.

    Attributes:
        type: `integer`, `number`, `boolean`, `text`; `choice`, one of `choices`; `integers` and `texts`, lists;
            `size`, height and width in pixels or an empty list; `backbone`, the name of a network; `class`, a class
            or function as "module:Name"; `weights`, a local file of weights.
        meaning: one sentence for `show METHOD --params`.
        least, above, most, below: bounds of a number, or of every number of a list.
        of, switch: of `weights`, the parameter that names the network they belong to, and the boolean one that asks
            for published or given weights at all; in a method without that network the file is the method's own.
        optional: null is a value too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Kind
    meaning: str = Field(description="one sentence about its effect")
    least: Number | None = None
    above: Number | None = None
    most: Number | None = None
    below: Number | None = None
    choices: tuple[str, ...] = ()
    of: str | None = None
    switch: str | None = None
    optional: StrictBool = False

    @model_validator(mode="after")
    def _check(self) -> Parameter:
        bounds = [name for name in ("least", "above", "most", "below") if getattr(self, name) is not None]
        if bounds and self.type not in _BOUNDED:
            raise wrong(f"a bound of type {self.type}", f"bounds only of {', '.join(_BOUNDED)}", bounds[0])
        for pair in (("least", "above"), ("most", "below")):
            if set(pair) <= set(bounds):
                raise wrong(f"{pair[0]} and {pair[1]}", "one of the two", pair[1])
        if bool(self.choices) != (self.type == "choice"):
            raise wrong("choices" if self.choices else "no choices", "choices with type: choice, and only then", "type")
        if (self.of is None) != (self.switch is None) or (self.of is not None and self.type != "weights"):
            raise wrong("only one of the two, or another type", "of and switch together, with type: weights", "of")
        return self

    def accepts(self, value: Any) -> bool:
        """Whether a value, as YAML gives it, is allowed for this parameter."""
        if value is None:
            return self.optional
        return _CHECKS[self.type](self, value)

    @property
    def expects(self) -> str:
        """What a value must be, as messages say it: "a whole number from 1 to 65536"."""
        text = {
            "integer": f"a whole number{self._bounds}",
            "number": f"a number{self._bounds}",
            "boolean": "true or false",
            "text": "text",
            "choice": _either(self.choices),
            "integers": f"a list of whole numbers{self._bounds}",
            "texts": "a list of texts",
            "size": "[height, width] in pixels, or [] for none",
            "backbone": "the name of a backbone",
            "class": '"module:Name"',
            "weights": "the path of a file",
        }[self.type]
        return f"{text}, or null" if self.optional else text

    @property
    def _bounds(self) -> str:
        if self.least is not None and self.most is not None:
            return f" from {self.least} to {self.most}"
        lower = f" above {self.above}" if self.above is not None else ""
        if self.least is not None:
            lower = f", {self.least} or more" if self.below is None else f" from {self.least}"
        upper = f", at most {self.most}" if self.most is not None else ""
        return lower + (f", below {self.below}" if self.below is not None else upper)

    def _holds(self, value: float) -> bool:
        return not (
            (self.least is not None and value < self.least)
            or (self.above is not None and value <= self.above)
            or (self.most is not None and value > self.most)
            or (self.below is not None and value >= self.below)
        )


def canonical(declared: Parameter, default: Any, value: Any) -> Any:
    """A number that was asked for, in the form of the one that it replaces: one value, one key."""
    whole = type(default) is int or declared.type == "integer"
    if whole and type(value) is float and value.is_integer():
        return int(value)
    return float(value) if type(default) is float and type(value) is int else value


def guessed(value: Any) -> str:
    """A declaration to start from, for a value whose parameter has none."""
    kinds = {bool: "boolean", int: "integer", float: "number", list: "texts"}
    kind = kinds.get(type(value), "text")
    return f"{{type: {'integers' if kind == 'texts' and value and type(value[0]) is int else kind}, meaning: …}}"


def of_type(declared: Mapping[str, Parameter], kind: Kind) -> list[str]:
    """The names of all parameters of a type."""
    return [name for name, parameter in declared.items() if parameter.type == kind]


def is_class_path(text: str) -> bool:
    """Whether `text` has the form "module:Name"."""
    return bool(_CLASS_PATH.match(text))


def _either(choices: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(choices[:-1]), *choices[-1:])))


def _is_text(declared: Parameter, value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(declared: Parameter, value: Any) -> bool:
    return type(value) is int and declared._holds(value)


def _is_size(declared: Parameter, value: Any) -> bool:
    return isinstance(value, list) and len(value) in (0, 2) and all(type(v) is int and v > 0 for v in value)


_CHECKS = {
    "integer": _is_integer,
    "number": lambda declared, value: type(value) in (int, float) and declared._holds(value),
    "boolean": lambda declared, value: isinstance(value, bool),
    "text": _is_text,
    "choice": lambda declared, value: value in declared.choices,
    "integers": lambda declared, value: isinstance(value, list) and all(_is_integer(declared, v) for v in value),
    "texts": lambda declared, value: isinstance(value, list) and all(isinstance(v, str) for v in value),
    "size": _is_size,
    "backbone": _is_text,
    "class": lambda declared, value: isinstance(value, str) and is_class_path(value),
    "weights": _is_text,
}
