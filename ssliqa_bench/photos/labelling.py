"""Bulk scoring: one Parquet shard of predictions for every piece of the input, restarted where it was interrupted.

In the output folder, `labels/part-NNNNN.parquet` holds image, prediction, spread and model; `bad/part-NNNNN.parquet`
the images of the same piece that have no prediction, with the reason. The shard of labels is written last and marks
its piece as finished. `label.json` holds the model, the input and the settings that the shards belong to.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssliqa_bench.datasets.parallel import in_order
from ssliqa_bench.errors import CorruptFileError, DataError, RunError, StorageError
from ssliqa_bench.files import atomic_path, digest
from ssliqa_bench.models.load import LoadedModel
from ssliqa_bench.photos.label_state import LOCK, begin, locked, settings
from ssliqa_bench.photos.models import Request, identity, opened
from ssliqa_bench.photos.pieces import InputImage, Piece
from ssliqa_bench.photos.scoring import Score, judged
from ssliqa_bench.pixels.decode import decode
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.text import as_text
from ssliqa_bench.types import ByteImage

_MARK, _MODEL = b"ssliqa.piece", b"ssliqa.model"  # in the metadata of a shard
_TOGETHER = 32  # images that a model gets at once
_PIXELS = 4_000_000  # and their pixels together, at most
_ROWS = 1000  # of a row group: what is kept before it is written


@dataclass(frozen=True)
class Shard:
    """A finished shard: how many images have a prediction, how many have none, and whether it was there before."""

    number: int
    images: int
    bad: int
    before: bool


@dataclass(frozen=True)
class _Job:
    """What a process needs to make any shard."""

    asked: Request
    model: str
    out: Path
    threads: int


class LabelFolder:
    """The output of bulk scoring, for one model, one input and the same settings.

    Args:
        restart: delete the shards of an earlier call instead of resuming it.
        threads: of one process.

    Raises:
        InputError: the folder belongs to another model, input or settings, another process writes to it, or it holds
            other files.
        CorruptFileError: the description of an earlier call is damaged; `restart` replaces it.
    """

    def __init__(
        self, out: Path, asked: Request, pieces: Sequence[Piece], *, restart: bool = False, threads: int = 1
    ) -> None:
        self._pieces, self._asked, self._out, self._threads = pieces, asked, out, threads
        self._marks = {piece.number: piece.mark for piece in pieces}
        self.model = identity(asked.find())
        state = {
            "name": as_text(asked.name), "model": self.model, "shards": len(pieces),
            "input": digest(sorted(self._marks.items())), "settings": settings(asked.device, threads),
        }  # fmt: skip
        self._lock = locked(out)
        try:
            begin(out, state, restart=restart, alone=self._lock is not None)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LabelFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                (self._out / LOCK).unlink(missing_ok=True)
            self._lock.close()

    def label(self, *, processes: int = 1) -> Iterator[Shard]:
        """Make every shard that is missing; finished ones first, the rest in their order.

        Args:
            processes: how many make shards at the same time.

        Raises:
            RunError: a process died. Finished shards are kept.
            StorageError: the disk is full.
        """
        waiting = []
        for piece in self._pieces:
            found = _finished(self._out, piece.number, self._marks[piece.number], self.model)
            if found is None:
                waiting.append(piece)
            else:
                yield found
        job = _Job(self._asked, self.model, self._out, self._threads)
        if waiting and processes == 1:
            prepare_process(job.asked.device, self._threads)
        yield from in_order(functools.partial(make_shard, job=job), waiting, processes=processes, share=1)


def make_shard(piece: Piece, job: _Job) -> Shard:
    """Score a piece and write its shard; the process keeps the model for the next one."""
    import pyarrow as pa

    if not opened.cache_info().currsize:
        prepare_process(job.asked.device, job.threads)
    (model,) = opened((job.asked,))
    metadata = {_MARK: piece.mark.encode(), _MODEL: job.model.encode()}
    labels = pa.schema(
        [("image", pa.string()), ("prediction", pa.float64()), ("spread", pa.float64()), ("model", pa.string())],
        metadata,
    )
    bad_path = _path(job.out, "bad", piece.number)
    bad_path.unlink(missing_ok=True)  # of an attempt that was interrupted
    bad = _Rows(pa.schema([("image", pa.string()), ("reason", pa.string())], metadata))
    with atomic_path(_path(job.out, "labels", piece.number)) as temporary:
        good = _Rows(labels, temporary)
        for item, score, problem in _scored(piece.items(), model):
            name = as_text(item.name)
            if problem:
                bad.add((name, as_text(problem)))
            else:
                good.add((name, score.value, None if math.isnan(score.spread) else score.spread, job.model))
        good.close({b"ssliqa.bad": str(bad.count).encode()})
        if bad.count:
            with atomic_path(bad_path) as aside:
                bad.write_to(aside)
    return Shard(piece.number, good.count, bad.count, False)


def _scored(items: Iterator[InputImage], model: LoadedModel) -> Iterator[tuple[InputImage, Score, str]]:
    """Images in their order, several at a time through the model; one alone where a batch has no value for some."""
    batch: list[tuple[InputImage, ByteImage]] = []
    waiting = 0
    with tempfile.TemporaryDirectory(prefix="ssliqa-label-") as place:
        for item in items:
            pixels, problem = _decoded(item, Path(place))
            if pixels is None:
                yield from _batch(batch, model)
                batch, waiting = [], 0
                yield item, Score(math.nan), problem
                continue
            batch.append((item, pixels))
            waiting += pixels.shape[0] * pixels.shape[1]
            if len(batch) == _TOGETHER or waiting >= _PIXELS:
                yield from _batch(batch, model)
                batch, waiting = [], 0
        yield from _batch(batch, model)


def _batch(batch: list[tuple[InputImage, ByteImage]], model: LoadedModel) -> Iterator[tuple[InputImage, Score, str]]:
    if not batch:
        return
    try:
        values, spreads = model.with_spread([pixels for _, pixels in batch])
        scores = [Score(float(v)) if spreads is None else Score(float(v), float(spreads[k]))
                  for k, v in enumerate(values)]  # fmt: skip
        if not all(math.isfinite(score.value) for score in scores):
            raise RunError("a prediction is not finite")
    except CorruptFileError:
        raise
    except (RunError, DataError, MemoryError, ValueError):
        for item, pixels in batch:
            yield item, *judged(model, pixels)
        return
    for (item, _), score in zip(batch, scores, strict=True):
        yield item, score, ""


def _decoded(item: InputImage, place: Path) -> tuple[ByteImage | None, str]:
    """The picture of an item, or why there is none. Bytes pass through a file: they are decoded as files are."""
    if item.problem:
        return None, item.problem
    path = item.file
    if item.data is not None:
        ending = os.path.splitext(item.name)[1].lower()
        path = str(place / f"image{ending if ending.isascii() and ending[1:].isalnum() and len(ending) < 8 else ''}")
        try:
            Path(path).write_bytes(item.data)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written ({error.strerror}). $TMPDIR names another folder for "
                               f"temporary files.") from error  # fmt: skip
    assert path is not None
    try:
        return decode(path), ""
    except (DataError, MemoryError) as error:
        return None, (str(error) or "not enough memory to decode it").replace(path, item.name)


class _Rows:
    """Rows of a Parquet file, written group by group; without a file they are kept."""

    def __init__(self, schema: Any, path: Path | None = None) -> None:
        from pyarrow import parquet

        self.count = 0
        self._schema, self._rows = schema, list[tuple[Any, ...]]()
        self._writer = None if path is None else parquet.ParquetWriter(path, schema)

    def add(self, row: tuple[Any, ...]) -> None:
        """Append a row."""
        self._rows.append(row)
        self.count += 1
        if self._writer is not None and len(self._rows) == _ROWS:
            self._writer.write_table(self._table())
            self._rows.clear()

    def close(self, facts: dict[bytes, bytes]) -> None:
        """Write what is left, and some facts beside."""
        assert self._writer is not None
        if self._rows:
            self._writer.write_table(self._table())
        self._writer.add_key_value_metadata(facts)
        self._writer.close()

    def write_to(self, path: Path) -> None:
        """Write all rows that were kept."""
        from pyarrow import parquet

        parquet.write_table(self._table(), path)

    def _table(self) -> Any:
        import pyarrow as pa

        columns = [list(column) for column in zip(*self._rows, strict=True)]
        return pa.table([pa.array(own, field.type) for own, field in zip(columns, self._schema)], schema=self._schema)


def _finished(out: Path, number: int, mark: str, model: str) -> Shard | None:
    """A shard of an earlier call; None where it is missing, damaged, or of another piece."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        facts = parquet.read_metadata(_path(out, "labels", number))
    except (OSError, pa.ArrowException):
        return None
    told = facts.metadata or {}
    if (told.get(_MARK), told.get(_MODEL)) != (mark.encode(), model.encode()):
        return None
    bad = int(told.get(b"ssliqa.bad", b"0"))
    if bad and not _path(out, "bad", number).is_file():
        return None
    return Shard(number, facts.num_rows, bad, True)


def _path(out: Path, kind: str, number: int) -> Path:
    return out / kind / f"part-{number:05d}.parquet"
