"""The one exception family of the package, so that a caller can catch all of it.

Every message says what happened, where, what was expected and, where there is one, the next command.
`exit_code` is what the command line returns: 1 where a run, a check or the disk failed, 2 for bad input.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SsliqaError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class InputError(SsliqaError):
    """Wrong usage or bad input: a name, a file or a value that the caller can correct."""

    exit_code = 2


class RegistryError(InputError):
    """One or several problems in registry or suite files, each with file, line and path."""


class UndeclaredParameter(InputError):
    """A stage or a model reads a parameter that it does not declare, so that no key would hold it.

    Args:
        name: of the parameter.
        owner: the stage or the model, as the message begins: 'Stage "initial" (module:function)'.
        where: the code in which it declares its parameters: 'Stage("initial", …)'.
    """

    def __init__(self, name: str, owner: str, where: str) -> None:
        super().__init__(
            f'{owner} reads the parameter "{name}", which it does not declare, so that no key holds its value. Declare '
            f'it: {where[:-1]}, params=(…, "{name}")).'
        )
        self.name = name


class DataError(InputError):
    """A dataset on disk is missing, incomplete, unreadable or contradicts its registry entry."""


class LeakError(InputError):
    """Images or groups have two roles that must not share them. Nothing was run."""


class CorruptFileError(InputError):
    """A stored file does not match its checksum or its schema."""


class SchemaError(CorruptFileError):
    """A stored file was written with a schema that this version does not read."""


class RunError(SsliqaError):
    """A run stopped: a loss that is not finite, a prediction that is not finite, a missing device."""


class StorageError(SsliqaError):
    """Writing failed, for example because the disk is full. What was there before is untouched."""


class CheckError(SsliqaError):
    """A conformance check, a verification or a committed board did not hold."""


def near_names(name: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """The known names that look most like `name`, best first."""
    return difflib.get_close_matches(name, list(known), n=limit, cutoff=0.6)


def unknown_name(kind: str, name: str, known: Iterable[str], command: str) -> InputError:
    """The error for a name that is not known: the nearest names and the command that lists all.

    `kind` is the singular word of the field ("method"), `command` a command line without backticks.
    """
    known = sorted(known)
    near = near_names(name, known)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return InputError(f'Unknown {kind} "{name}".{hint} "{command}" shows all {len(known)}.')
