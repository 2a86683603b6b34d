"""Records in a store: `records/KEY/facts.json`, and per dataset `metrics.json` beside a file of predictions.

    records/KEY/facts.json                                  the run, written last
    records/KEY/DATASET/metrics.json                        its result on a dataset
    records/KEY/DATASET/predictions-0123456789ab.parquet    what the result was computed from

Every JSON file is sealed, every file of predictions is compared with the checksum in the JSON beside it. The result on
a further dataset is a new folder: nothing else is read or written, so that several processes can add some at once.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import CorruptFileError, InputError, SchemaError, near_names
from ssliqa_bench.paths import folder_to_read
from ssliqa_bench.store.notices import put_notices
from ssliqa_bench.store.predictions import Predictions, from_parquet, to_parquet
from ssliqa_bench.store.record import DatasetResult, Record, RunFacts, parse
from ssliqa_bench.store.store import Entry, Store

Address = Store | str | os.PathLike[str]

FACTS = "facts.json"
METRICS = "metrics.json"
_RECORD, _RESULT = "record", "result"  # kinds of the sealed files
_PREDICTIONS = "predictions.parquet"
_ASIDE = ".corrupt-"
_SHORTEST = 4  # digits of a key that a command line must give


def as_store(address: Address) -> Store:
    """The store at an address, or the store itself."""
    return address if isinstance(address, Store) else Store(address)


def record_path(key: str) -> str:
    """Where the record of a run key is kept."""
    return f"records/{key}"


def write_record(address: Address, record: Record, predictions: Mapping[str, Predictions]) -> None:
    """Write or replace a record; results that the old one had on further datasets go.

    Args:
        predictions: of every dataset with a result.
    """
    store = as_store(address)
    path = record_path(record.key)
    for dataset in sorted(record.results):
        write_result(store, dataset, record.results[dataset], predictions[dataset])
    store.put_entry(path, {}, record.facts.model_dump(mode="json"), kind=_RECORD, mark=FACTS)
    for dataset in _tested(store.list(f"{path}/"), path):
        if dataset not in record.results:
            store.delete_entry(f"{path}/{dataset}", mark=METRICS)


def write_result(address: Address, dataset: str, result: DatasetResult, rows: Predictions) -> None:
    """Add a dataset to a record, or replace its result; the rest of the record is neither read nor written."""
    as_store(address).put_entry(
        f"{record_path(result.run)}/{dataset}",
        {_PREDICTIONS: to_parquet(rows, dataset)},
        result.model_dump(mode="json"),
        kind=_RESULT,
        mark=METRICS,
    )


def read_record(address: Address, key: str, *, with_predictions: bool = False) -> Record:
    """The record of a run key; no file of predictions is opened.

    Args:
        with_predictions: compare every file of predictions with its checksum, without parsing it.

    Raises:
        FileNotFoundError: there is no such record.
        SchemaError: another version wrote it.
        CorruptFileError: a file is damaged or missing, or a field is not what it should be.
    """
    store = as_store(address)
    path = record_path(key)
    return _read(store, key, _tested(store.list(f"{path}/"), path), None if with_predictions else ())


def read_predictions(address: Address, key: str, dataset: str) -> Predictions:
    """The predictions of a record for a dataset, which match their checksum.

    Raises:
        FileNotFoundError: the record has no result on the dataset.
        CorruptFileError: a file is damaged or missing.
    """
    store, folder = as_store(address), f"{record_path(key)}/{dataset}"
    entry = _entry(store, folder, kind=_RESULT, mark=METRICS, only=None)
    if _PREDICTIONS not in entry.files:
        raise CorruptFileError(f"{store.where(folder)}/{METRICS}: names no {_PREDICTIONS}.")
    return from_parquet(entry.files[_PREDICTIONS], dataset, store.where(f"{folder}/{_PREDICTIONS}"))


def record_keys(address: Address) -> list[str]:
    """Keys of all records of a store, sorted; those set aside are left out."""
    return sorted(_results_by_key(as_store(address)))


def iter_records(address: Address) -> Iterator[Record]:
    """All records of a store, sorted by key.

    Raises:
        CorruptFileError: a record is damaged; the message names the way out.
    """
    store = as_store(address)
    for key, datasets in sorted(_results_by_key(store).items()):
        yield read_checked(store, key, datasets)


def read_checked(store: Store, key: str, datasets: Sequence[str]) -> Record:
    """A record with its results on some datasets; no file of predictions is opened.

    Raises:
        CorruptFileError: it is damaged; the message names the way out.
    """
    try:
        return _read(store, key, datasets, ())
    except SchemaError:
        raise
    except CorruptFileError as error:
        raise CorruptFileError(
            f'{error} "ssliqa-bench store verify --store {store}" lists all damaged records; '
            f"running the same run again sets it aside and makes it anew; where that run is not made any more, "
            f"move {store.where(record_path(key))} away."
        ) from error


def record_files(store: Store) -> dict[str, tuple[list[str], list[str]]]:
    """Key -> the datasets with a result, and the paths of all files but predictions, of every complete record."""
    return {
        key: (datasets, [f"{path}/{FACTS}", *(f"{path}/{dataset}/{METRICS}" for dataset in datasets)])
        for key, datasets in _results_by_key(store).items()
        for path in (record_path(key),)
    }


def find_record(address: Address, run: str, *, others: Iterable[str] = ()) -> str:
    """The key that begins with `run`.

    Args:
        others: what could have been named instead, for the near names of a message.

    Raises:
        InputError: none does, or several do, or there is no such store.
    """
    store = as_store(address)
    found = [key for key in record_keys(store) if key.startswith(run)]
    if len(found) == 1 and len(run) >= _SHORTEST:
        return found[0]
    if not found:
        if store.folder is not None:
            folder_to_read(store.folder, "a folder of records and artifacts", "--store")
        near = near_names(run, others)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(
            f'No record in {store} has a key that begins with "{run}".{meant} "ssliqa-bench store ls --store {store}" '
            f"lists all."
        )
    if len(run) < _SHORTEST:
        raise InputError(f'"{run}" is too short for a key; give at least {_SHORTEST} digits.')
    raise InputError(f'{len(found)} records in {store} begin with "{run}": give more digits.')


def set_record_aside(address: Address, key: str) -> str:
    """Move a damaged record to a free `KEY.corrupt-K`; returns that name."""
    return as_store(address).set_aside(record_path(key), mark=FACTS).rpartition("/")[2]


def export_record(address: Address, key: str, target: Address, notices: Mapping[str, Path]) -> tuple[str, ...]:
    """Copy a record into another store, leaving out what may not be passed on.

    Of datasets whose scores are not redistributable, names, scores and everything else about the images stay behind.
    Their predictions go along, in the order of the images' content, and their metrics with the checksum of what they
    were computed from: who has the dataset can compute them again. Beside names and scores that are passed on stands
    the notice of their dataset.

    Args:
        notices: dataset to the file of its notice.

    Returns:
        The datasets whose names and scores were left out.
    """
    store = as_store(address)
    record = read_record(store, key)
    rows = {name: read_predictions(store, key, name) for name in record.results}
    withheld = [name for name, own in record.results.items() if own.withheld or not own.dataset.labels_redistributable]
    rows |= {name: rows[name].without_images() for name in withheld}
    facts, results = record.facts, dict(record.results)
    if withheld:
        facts = facts.model_copy(update={"leak": _nameless(facts.leak)})
        for name, own in results.items():
            changed = {"leak": _nameless(own.leak), "withheld": name in withheld}
            results[name] = own.model_copy(update=changed)
    put_notices(as_store(target), results.keys() - set(withheld), notices)
    write_record(target, Record(facts, results), rows)
    return tuple(withheld)


def _nameless(leak: Any) -> Any:
    """A leak without what was found, which names images."""
    if leak is None:
        return None
    return leak.model_copy(update={"found": (f"{len(leak.found)} findings, not passed on",)})


def _results_by_key(store: Store) -> dict[str, list[str]]:
    """Key -> datasets with a result, of all records that are complete and not set aside."""
    paths = defaultdict(list)
    for path in store.list("records/"):
        paths[path.split("/")[1]].append(path)
    return {
        key: _tested(own, record_path(key))
        for key, own in paths.items()
        if f"{record_path(key)}/{FACTS}" in own and _ASIDE not in key
    }


def _tested(paths: Sequence[str], record: str) -> list[str]:
    parts = [path.removeprefix(f"{record}/").split("/") for path in paths]
    return sorted(part[0] for part in parts if len(part) == 2 and part[1] == METRICS and _ASIDE not in part[0])


def _read(store: Store, key: str, datasets: Sequence[str], only: Sequence[str] | None) -> Record:
    path = record_path(key)
    mark = store.where(f"{path}/{FACTS}")
    facts = parse(RunFacts, _entry(store, path, kind=_RECORD, mark=FACTS, only=()).body, mark)
    if facts.key != key:
        raise CorruptFileError(f"{mark}: key: got {facts.key}; expected that of its folder.")
    results = {}
    for dataset in datasets:
        where = store.where(f"{path}/{dataset}/{METRICS}")
        try:
            entry = _entry(store, f"{path}/{dataset}", kind=_RESULT, mark=METRICS, only=only)
        except FileNotFoundError:
            continue  # another process replaced the record just now
        results[dataset] = parse(DatasetResult, entry.body, where)
        if results[dataset].run != key:
            raise CorruptFileError(f"{where}: run: got {results[dataset].run}; expected that of its folder.")
    for dataset in facts.tested:
        if dataset not in results:
            raise CorruptFileError(f"{store.where(f'{path}/{dataset}/{METRICS}')}: is missing; {FACTS} names it.")
    if not results:
        raise CorruptFileError(f"{mark}: tested: names no dataset.")
    return Record(facts, results)


def _entry(store: Store, folder: str, *, kind: str, mark: str, only: Sequence[str] | None) -> Entry:
    try:
        return store.read_entry(folder, kind=kind, mark=mark, only=only)
    except SchemaError as error:
        raise SchemaError(
            f"{error} Records are not converted: make the run again (its key has changed, so nothing else answers "
            f"it), and move {store.where(folder)} away, or read it with the version that wrote it."
        ) from error
