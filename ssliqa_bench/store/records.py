"""Records: what a run leaves. One folder per run key with facts (JSON) and predictions (parquet).

The file of predictions carries its checksum in its name and is written before the facts that point to it, so
that a record can gain predictions on further datasets without ever being seen half changed.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.files import atomic_path, read_sealed, sha256_file, write_sealed

FACTS = "facts.json"
_PREDICTIONS = "predictions-{}.parquet"
_CLASSES = ("true_class", "predicted_class")  # columns that only records with classes have
_COLUMNS = ("image", "role", "dataset", "score", "prediction", *_CLASSES)
_SHORTEST = 4  # digits of a key that a command line must give


@dataclass(frozen=True)
class Predictions:
    """Columns of a record's predictions, all of one length.

    `score` is the native opinion score, higher is better (None without score), `prediction` the model's. Where a
    protocol sees classes, `true_class` is that of the image (None where it is not known) and `predicted_class` the
    model's (None of a model that predicts none); left out, they are None everywhere.
    """

    image: tuple[str, ...]
    role: tuple[str, ...]
    dataset: tuple[str, ...]
    score: tuple[float | None, ...]
    prediction: tuple[float, ...]
    true_class: tuple[int | None, ...] = ()
    predicted_class: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        for name in _CLASSES:
            if not getattr(self, name):
                object.__setattr__(self, name, (None,) * len(self.image))

    def of(self, dataset: str) -> Predictions:
        """The rows of one dataset."""
        rows = [i for i, name in enumerate(self.dataset) if name == dataset]
        return Predictions(*(tuple(getattr(self, name)[i] for i in rows) for name in _COLUMNS))


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """All rows of several tables, one after the other."""
    return Predictions(*(tuple(v for part in parts for v in getattr(part, name)) for name in _COLUMNS))


def record_folder(store: Path, key: str) -> Path:
    """Where the record of a run key stands."""
    return store / "records" / key


def write_record(store: Path, facts: Mapping[str, Any], predictions: Predictions) -> Path:
    """Write or replace a record; `facts["key"]` names its folder, the checksum of the predictions is added.

    Where several processes may write one record, the caller holds the lock of its key.
    """
    import pyarrow as pa
    from pyarrow import parquet

    folder = record_folder(store, str(facts["key"]))
    table = pa.table(
        {
            "image": pa.array(predictions.image, pa.string()),
            "role": pa.array(predictions.role, pa.string()),
            "dataset": pa.array(predictions.dataset, pa.string()),
            "score": pa.array(predictions.score, pa.float64()),
            "prediction": pa.array(predictions.prediction, pa.float64()),
        }
    )
    for name in _CLASSES:
        if any(value is not None for value in getattr(predictions, name)):
            table = table.append_column(name, pa.array(getattr(predictions, name), pa.int64()))
    written = folder / ".predictions.tmp.parquet"
    with atomic_path(written) as temporary:
        parquet.write_table(table, temporary)
        checksum = sha256_file(temporary)
    current = folder / _PREDICTIONS.format(checksum[:12])
    os.replace(written, current)
    write_sealed(folder / FACTS, {**facts, "predictions_sha256": checksum}, kind="record")
    for older in folder.glob(_PREDICTIONS.format("*")):
        if older != current:
            older.unlink(missing_ok=True)
    return folder


def export_record(folder: Path, target: Path) -> list[str]:
    """Copy a record into another store, leaving out what may not be passed on.

    Of datasets whose scores are not redistributable, names, scores and true classes stay behind. Their predictions go
    along, in the order of the images' content, and their metrics with the checksum of what they were computed from:
    who has the dataset can compute them again.

    Returns:
        The datasets whose names and scores were left out.
    """
    facts, predictions = read_facts(folder), read_predictions(folder)
    withheld = [name for name, told in facts["datasets"].items() if not told["labels_redistributable"]]
    withheld += [name for name in facts.get("withheld", ()) if name not in withheld]
    parts = [_nameless(predictions.of(n)) if n in withheld else predictions.of(n) for n in facts["metrics"]]
    kept = join_predictions(parts)
    body = {name: value for name, value in facts.items() if name != "predictions_sha256"}
    if withheld:
        body["withheld"] = withheld
        if body.get("leak"):  # what was found names images
            body["leak"] = {**body["leak"], "found": [f"{len(body['leak']['found'])} findings, not passed on"]}
    write_record(target, body, kept)
    return withheld


def _nameless(rows: Predictions) -> Predictions:
    n = len(rows.image)
    nothing = (None,) * n
    return Predictions(
        ("",) * n, rows.role, rows.dataset, (math.nan,) * n, rows.prediction, nothing, rows.predicted_class
    )


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts of a record.

    Raises:
        FileNotFoundError: no record there.
        CorruptFileError: the file is damaged, or names another key than its folder.
    """
    facts = read_sealed(folder / FACTS, kind="record")
    if facts.get("key") != folder.name:
        raise CorruptFileError(f"{folder / FACTS}: states key {facts.get('key')}, not that of its folder.")
    return facts


def checked_facts(folder: Path) -> dict[str, Any]:
    """As `read_facts`, after comparing the file of predictions with its checksum, without parsing it."""
    return _checked(folder)[0]


def read_predictions(folder: Path) -> Predictions:
    """The predictions of a record, checked against the checksum in its facts."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = parquet.read_table(pa.BufferReader(_checked(folder)[1])).to_pydict()
    return Predictions(*(tuple(columns.get(name, ())) for name in _COLUMNS))


def record_folders(store: Path) -> list[Path]:
    """Folders of all records of a store, sorted by key; those set aside are left out."""
    return sorted(f.parent for f in (store / "records").glob(f"*/{FACTS}") if ".corrupt-" not in f.parent.name)


def iter_facts(store: Path) -> Iterator[dict[str, Any]]:
    """Facts of all records of a store, sorted by key.

    Raises:
        CorruptFileError: a record is damaged; the message says how to go on.
    """
    for folder in record_folders(store):
        try:
            yield read_facts(folder)
        except CorruptFileError as error:
            raise CorruptFileError(
                f'{error} "ssliqa-bench store verify --store {store}" lists all damaged records; '
                f"running the same run again sets it aside and makes it anew; where that run is not made any more, "
                f"move {folder} away."
            ) from error


def find_record(store: Path, run: str) -> Path:
    """The record whose key begins with `run`.

    Raises:
        InputError: none does, or several do.
    """
    found = [folder for folder in record_folders(store) if folder.name.startswith(run)]
    if len(found) == 1 and len(run) >= _SHORTEST:
        return found[0]
    if not found:
        raise InputError(f'No record in {store} has a key that begins with "{run}". "ssliqa-bench store ls" lists all.')
    if len(run) < _SHORTEST:
        raise InputError(f'"{run}" is too short for a key; give at least {_SHORTEST} digits.')
    raise InputError(f'{len(found)} records in {store} begin with "{run}": give more digits.')


def _checked(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The facts of a record and the bytes of its predictions, which match them."""
    facts = read_facts(folder)
    while True:
        path = folder / _PREDICTIONS.format(facts["predictions_sha256"][:12])
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        if hashlib.sha256(data).hexdigest() == facts["predictions_sha256"]:
            return facts, data
        again = read_facts(folder)
        if again == facts:  # else another process replaced the record between the two files
            raise CorruptFileError(f"{path}: is missing or does not match the checksum in {FACTS}.")
        facts = again
