"""What stages and models declare: the parameters that they receive, and the function that does the work."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ssliqa_bench.errors import InputError, UndeclaredParameter


class DeclaredParams(Mapping[str, Any]):
    """The declared ones of a method's parameters; to read any other is an error, also with a default or with `in`.

    What a stage or a model reads is part of its key, so that a result is never found under the key of another one.

    Args:
        values: the parameters of the method.
        names: those that are declared.
        owner: who declares them, for messages: 'Stage "initial" (module:function)'.
        where: where a further one would be declared, for messages.

    Raises:
        InputError: a declared parameter is none of the method's.
    """

    def __init__(self, values: Mapping[str, Any], names: Iterable[str], owner: str, where: str) -> None:
        names = tuple(names)
        if missing := [name for name in names if name not in values]:
            raise InputError(
                f'{owner} declares the parameter "{missing[0]}", which its method does not have. Add it to the params '
                f"of the entry, or take it out of {where}."
            )
        self._values = {name: values[name] for name in names}
        self._owner, self._where = owner, where

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise UndeclaredParameter(name, self._owner, self._where)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values})"


def check_top_level(function: Callable[..., Any], what: str) -> None:
    """Refuse what has no definition of its own at the top level of a module: no key could say what it does, and no
    other process could find it.

    Raises:
        InputError: a lambda, a partial, a method, a nested or a replaced function.
    """
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", None)
    plain = inspect.isfunction(function) and name.isidentifier()
    loaded = sys.modules.get(module) if isinstance(module, str) else None
    if plain and (loaded is None or getattr(loaded, name, None) is function):
        return
    kind = "a lambda" if name.endswith("<lambda>") else f"{type(function).__name__} {name or repr(function)}"
    raise InputError(
        f"{what}: got {kind}; expected a function that is defined at the top level of a module, so that its code can "
        f"be part of keys. What it needs to know goes into declared params and settings."
    )
