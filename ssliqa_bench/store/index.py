"""An index of a store's records, so that a board after one new run reads one record and not all.

The index is a file in the user's cache folder. It holds the content of every record that was read and the stamps of its
files: size, times, inode. A record whose files have other stamps is read again, a record that is gone is left out.
Without an index, or with a damaged one, everything is read. Records are checked against their schema either way.

    HASH KEY JSON       one line for each record, the last one of a key counts; HASH is the checksum of the JSON
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ssliqa_bench.errors import CorruptFileError, StorageError
from ssliqa_bench.files import cache_folder, write_bytes
from ssliqa_bench.store.record import DatasetResult, Record, RunFacts, parse
from ssliqa_bench.store.records import Address, as_store, read_checked, record_files

# Of the lines; an index of another version is not read.
_VERSION = 1
_HASH = 16
# Stamps by the path of a file below the store: size, time of writing, time of any change, inode.
Stamps = dict[str, list[int]]


def indexed_records(address: Address) -> list[Record]:
    """All records of a store, sorted by key, read as far as they have changed since they were last read.

    No file of predictions is opened. A store that is no folder has no stamps and is read whole.

    Raises:
        As `iter_records`.
    """
    store = as_store(address)
    found = record_files(store)
    if store.folder is None:
        return [read_checked(store, key, datasets) for key, (datasets, _) in sorted(found.items())]
    file = _file(store.folder)
    held, lines = _read(file)
    records, fresh = [], []
    with _uncollected():
        for key, (datasets, paths) in sorted(found.items()):
            stamps = _stamps(store.folder, paths)
            record = _held(held.get(key), stamps, f"{store}: {key}")
            if record is None:
                record = read_checked(store, key, datasets)
                # Stamps from before the reading: what was replaced meanwhile is read again next time.
                fresh.append(_line(key, stamps, record))
            records.append(record)
    if fresh:
        kept = [line for key, line in held.items() if key in found] if lines > 2 * len(records) else None
        _write(file, fresh, kept)
    return records


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage meanwhile: all records are kept, and going through them again and again takes a fifth."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _file(folder: Path) -> Path:
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]
    return cache_folder() / "records" / f"{name}.index"


def _stamps(folder: Path, paths: list[str]) -> Stamps:
    found: Stamps = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # replaced just now; reading it decides
            stat = os.stat(folder / path)
            found[path] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    return found


def _held(line: bytes | None, stamps: Stamps, where: str) -> Record | None:
    """A record from its line; None where its files have changed, or the line is of another version."""
    if line is None:
        return None
    body = json.loads(line.split(b" ", 2)[2])
    if body["version"] != _VERSION or body["stamps"] != stamps:
        return None
    try:
        facts = parse(RunFacts, body["facts"], where)
        return Record(facts, {name: parse(DatasetResult, own, where) for name, own in body["results"].items()})
    except CorruptFileError:
        return None


def _line(key: str, stamps: Stamps, record: Record) -> str:
    results = ",".join(f"{json.dumps(name)}:{own.model_dump_json()}" for name, own in record.results.items())
    head = f'"version":{_VERSION},"stamps":{json.dumps(stamps)}'
    text = f'{{{head},"facts":{record.facts.model_dump_json()},"results":{{{results}}}}}'
    return f"{_hash(text.encode())} {key} {text}\n"


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_HASH]


def _read(file: Path) -> tuple[dict[str, bytes], int]:
    """The last line of every key, and how many lines there are; one that does not match its hash counts as absent."""
    held: dict[str, bytes] = {}
    lines = 0
    with contextlib.suppress(OSError), file.open("rb") as handle:
        for line in handle:
            lines += 1
            stated, _, rest = line.rstrip(b"\n").partition(b" ")
            key, _, text = rest.partition(b" ")
            if _hash(text).encode() == stated:
                held[key.decode(errors="replace")] = line
    return held, lines


def _write(file: Path, fresh: list[str], kept: list[bytes] | None) -> None:
    """Append lines, or with `kept` write the file anew; a cache that cannot be written is none."""
    text = "".join(fresh).encode()
    with contextlib.suppress(OSError, StorageError):
        file.parent.mkdir(parents=True, exist_ok=True)
        if kept is not None:
            write_bytes(file, b"".join(kept) + text)
            return
        with file.open("ab") as handle:
            handle.write(text)
