"""How much a store holds, and what of it no record needs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.files import unseal
from ssliqa_bench.store.artifacts import ARTIFACTS, CHECKPOINTS, KIND, MARK, PREDICTIONS
from ssliqa_bench.store.leases import FOLDER as LEASES
from ssliqa_bench.store.places import LOCKS, Stored
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.store import ENTRY_SCHEMA, IN_USE_LOCK, Store, data_name

RECORDS = "records"
KINDS = (RECORDS, ARTIFACTS, CHECKPOINTS, PREDICTIONS)
KEEP = ("phases", "final", "none")
_ASIDE = ".corrupt-"


class Size(NamedTuple):
    """A number of entries, and the bytes of all their objects."""

    entries: int
    bytes: int


class Unneeded(NamedTuple):
    """Objects that can go together: the entry or object that they are, their sizes, and why."""

    name: str
    paths: tuple[str, ...]
    bytes: int
    reason: str


@dataclass(frozen=True)
class KeysInUse:
    """Keys that the records of a store name: of final models, of all stages on record, and of predictions."""

    models: frozenset[str]
    stages: frozenset[str]
    predictions: frozenset[str]


def needs_of(records: Iterable[Record]) -> KeysInUse:
    """The keys that records name."""
    models: set[str] = set()
    stages: set[str] = set()
    predictions: set[str] = set()
    for record in records:
        models.add(record.facts.model_key)
        stages.update(stage.key for stage in record.facts.stages)
        predictions.update(result.prediction_key for result in record.results.values())
    return KeysInUse(frozenset(models), frozenset(stages), frozenset(predictions))


def sizes(store: Store) -> dict[str, Size]:
    """Entries and bytes of each kind; what was set aside counts with its bytes, not as an entry."""
    found = {}
    for kind in KINDS:
        objects = store.scan(f"{kind}/")
        depth = 2 if kind == CHECKPOINTS else 1
        folders = {"/".join(item.path.split("/")[: depth + 1]) for item in objects}
        entries = sum(_ASIDE not in folder for folder in folders)
        found[kind] = Size(entries, sum(item.size for item in objects))
    return found


def unneeded(
    store: Store, needs: KeysInUse, keep: str, *, before: float, left: Iterable[Stored] = ()
) -> tuple[list[Unneeded], int]:
    """What no record needs under a policy, sorted by name, and how many such things are spared as too young.

    `phases` keeps the artifacts of all stages on record and of the stages that they were made from, `final` those of
    final models, `none` no artifact. Predictions stay where a record names them or their model stays. Whatever was
    written at or after `before` (seconds since 1970) is spared: it may belong to a run in progress. Records are never
    unneeded.

    Args:
        left: what `Store.left_behind` found before the caller took a lock. The lock of the whole store goes at any age:
            that nobody holds it shows that no run is in progress.
    """
    candidates = [*_entries(store, needs, keep), *_orphans(store)]
    candidates += [Unneeded(own.path, (own.path,), own.size, "lock of a killed process") for own in left]
    old = [item for item in candidates
           if item.name == IN_USE_LOCK or all(_written(store, path) < before for path in item.paths)]  # fmt: skip
    return sorted(old), len(candidates) - len(old)


def remove(store: Store, items: Sequence[Unneeded]) -> None:
    """Delete objects; the mark of an entry goes first, so that a killed removal leaves no damaged entry."""
    for item in items:
        for path in sorted(item.paths, key=lambda path: not path.endswith(f"/{MARK}")):
            if path.startswith((f"{LOCKS}/", f"{LEASES}/")):
                store.remove_left(path)
            else:
                store.delete(path)


def _entries(store: Store, needs: KeysInUse, keep: str) -> Iterator[Unneeded]:
    artifacts = _needed_artifacts(store, needs, keep)
    for kind in (ARTIFACTS, CHECKPOINTS, PREDICTIONS):
        for folder, objects in _by_folder(store, f"{kind}/").items():
            key = folder.removeprefix(kind).strip("/").partition("/")[0]
            if _ASIDE in folder:
                reason = "was damaged and set aside"
            elif f"{folder}/{MARK}" not in objects:
                reason = "was never completed"
            elif kind == CHECKPOINTS:
                reason = "belongs to no run in progress"
            elif kind == ARTIFACTS and key not in artifacts:
                reason = "no record needs it" if keep == "phases" else f"not kept by --keep {keep}"
            elif kind == PREDICTIONS and key not in needs.predictions and _model(store, folder) not in artifacts:
                reason = "no record needs it"
            else:
                continue
            yield Unneeded(folder, tuple(objects), sum(objects.values()), reason)


def _needed_artifacts(store: Store, needs: KeysInUse, keep: str) -> Collection[str]:
    """Keys of the artifacts that stay."""
    if keep != "phases":
        return needs.models if keep == "final" else frozenset()
    found: set[str] = set()
    waiting = [*needs.models, *needs.stages]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += _facts(store, f"{ARTIFACTS}/{key}").get("inputs", {}).values()
    return found


def _model(store: Store, folder: str) -> str | None:
    """Key of the model whose predictions an entry holds; None where it does not state it."""
    found = _facts(store, folder).get("model")
    return found if isinstance(found, str) else None


def _facts(store: Store, folder: str) -> dict[str, Any]:
    """The facts of an artifact or of predictions; empty where it is absent, damaged or of another version."""
    try:
        facts = store.read_mark(folder, kind=KIND, mark=MARK).get("facts", {})
    except (FileNotFoundError, CorruptFileError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _orphans(store: Store) -> Iterator[Unneeded]:
    """Data that no mark beside them names, and temporary files: what killed writers leave."""
    for kind in KINDS:
        for folder, objects in _by_folder(store, f"{kind}/").items():
            marks = [path for path in objects if path.endswith(".json")]
            named = _named(store, folder, marks)
            if _ASIDE in folder or not marks or named is None:
                continue
            for path in objects.keys() - {*marks, *named}:
                yield Unneeded(path, (path,), objects[path], "no entry names it")
    for item in store.temporary():
        yield Unneeded(item.path, (item.path,), item.size, "temporary file of a killed writer")


def _named(store: Store, folder: str, marks: Sequence[str]) -> set[str] | None:
    """Paths of the data that the marks of a folder name; None where one of them cannot be read."""
    found = set()
    for mark in marks:
        try:
            data = store.read(mark)
            body = unseal(data, kind=str(json.loads(data)["kind"]), where=mark, schema=ENTRY_SCHEMA)
            found |= {f"{folder}/{data_name(name, stated)}" for name, stated in body["files"].items()}
        except (FileNotFoundError, CorruptFileError, ValueError, KeyError, TypeError, AttributeError):
            return None
    return found


def _by_folder(store: Store, prefix: str) -> dict[str, dict[str, int]]:
    """Sizes of objects by path, by the folder that holds them."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for item in store.scan(prefix):
        found[item.path.rpartition("/")[0]][item.path] = item.size
    return found


def _written(store: Store, path: str) -> float:
    try:
        return store.modified(path)
    except FileNotFoundError:
        return 0.0  # deleted just now
