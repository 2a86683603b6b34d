"""Runs that left no record: a small file for each cell of a board, with what stopped the run.

    failures/HASH.json      HASH is that of the cell; sealed as records are

A record of the same cell makes the file void; whoever writes the record removes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from ssliqa_bench.files import canonical_json, seal, unseal
from ssliqa_bench.store.record import Part, RunCell, parse
from ssliqa_bench.store.records import Address, as_store

FOLDER = "failures"
SCHEMA = 1
State = Literal["failed", "weights not available", "data not available"]
_KIND = "failure"
_LONGEST = 400  # characters of a message


class Failure(Part):
    """A run that was asked for and has no result.

    Attributes:
        error: the message that it ended with, in one line.
    """

    cell: RunCell
    state: State
    error: Annotated[str, Field(max_length=_LONGEST)]


def note_failure(address: Address, cell: RunCell, state: State, error: str) -> None:
    """Write or replace the file of a cell.

    Raises:
        StorageError: the store cannot be written.
    """
    found = Failure(cell=cell, state=state, error=" ".join(error.split())[:_LONGEST])
    as_store(address).put(_path(cell), seal(found.model_dump(mode="json"), kind=_KIND, schema=SCHEMA))


def forget_failure(address: Address, cell: RunCell) -> None:
    """Remove the file of a cell; nothing happens where there is none."""
    as_store(address).delete(_path(cell))


def read_failures(address: Address) -> list[Failure]:
    """All failures of a store, sorted by cell.

    Raises:
        SchemaError: another version wrote a file.
        CorruptFileError: a file is damaged.
    """
    store = as_store(address)
    found = []
    for path in store.list(f"{FOLDER}/"):
        where = store.where(path)
        found.append(parse(Failure, unseal(store.read(path), kind=_KIND, where=where, schema=SCHEMA), where))
    return sorted(found, key=lambda own: _name(own.cell))


def without_records(failures: Iterable[Failure], cells: Iterable[RunCell]) -> list[Failure]:
    """The failures whose cell has no record."""
    found = list(failures)
    held = {_name(cell) for cell in cells} if found else set()
    return [own for own in found if _name(own.cell) not in held]


def _name(cell: RunCell) -> str:
    return canonical_json(cell.model_dump(mode="json"))


def _path(cell: RunCell) -> str:
    return f"{FOLDER}/{hashlib.sha256(_name(cell).encode()).hexdigest()[:32]}.json"
