"""The CSV file that `score` leaves: a row per image, appended as soon as it is scored, continued after a break."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.files import read_sealed, write_bytes, write_sealed
from ssliqa_bench.photos.scoring import Score, Scored
from ssliqa_bench.tabular.rows import finite_number
from ssliqa_bench.tabular.writer import csv_text
from ssliqa_bench.text import as_text

_KIND = "score-file"


def score_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The header: `image,score,spread` of one model, a pair of columns with its name for each of several."""
    if len(names) == 1:
        return ("image", "score", "spread")
    return ("image", *(column for name in names for column in (name, f"{name} spread")))


def row_of(scored: Scored) -> list[str]:
    """The cells of one image; empty where there is no value."""
    values = (value for score in scored.scores for value in (score.value, score.spread))
    return [scored.image, *("" if math.isnan(value) else f"{value:.6f}" for value in values)]


class ScoreFile:
    """A CSV file that grows row by row; images that cannot be scored go to a second file beside it.

    Args:
        path: the file; `PATH.bad.csv` takes the bad images, `PATH.models.json` what scored the rest.
        models: name and identity of each model. A file that other models left is refused, not mixed.
        restart: replace a file that is there.
    """

    def __init__(self, path: Path, models: Mapping[str, str], *, restart: bool = False) -> None:
        self.path, self.bad_path = path, path.with_name(f"{path.name}.bad.csv")
        self._state, self._models = path.with_name(f"{path.name}.models.json"), dict(models)
        self._header = score_columns(list(models))
        self.done: dict[str, Scored] = {}
        self.bad = 0
        if path.exists() and not restart:
            self._continue()
        else:
            write_bytes(path, csv_text([], self._header).encode())
            write_sealed(self._state, {"models": self._models, "folder": as_text(os.getcwd())}, kind=_KIND)
        self.bad_path.unlink(missing_ok=True)  # what was bad is tried again
        self._file: IO[bytes] | None = None

    def __enter__(self) -> ScoreFile:
        self._file = open(self.path, "ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def add(self, scored: Scored) -> None:
        """Append an image; one with problems is listed separately, and is here only if some model has a value."""
        assert self._file is not None
        if scored.problems:
            self.add_bad(scored)
        if any(not math.isnan(score.value) for score in scored.scores):
            self._file.write(_encoded([row_of(scored)]))
            self._file.flush()

    def add_bad(self, scored: Scored) -> None:
        """List what is wrong with an image beside the file."""
        header = ("image", "model", "reason") if not self.bad else ()
        with open(self.bad_path, "ab") as file:
            file.write(_encoded(([scored.image, model, reason] for model, reason in scored.problems), header))
        self.bad += 1

    def _continue(self) -> None:
        """Read what an earlier call left; a line that it could not finish is taken off."""
        other = f"Name another file, or replace it with --restart: {self.path}."
        try:
            state = read_sealed(self._state, kind=_KIND)
        except FileNotFoundError:
            raise InputError(f"{self.path}: exists and was not written by score. {other}") from None
        here = as_text(os.getcwd())
        known, folder = state["models"], state.get("folder", here)
        if known != self._models:
            raise InputError(f"{self.path}: was scored by {', '.join(known)}, which {_differ(known, self._models)}. "
                             f"{other}")  # fmt: skip
        data = self.path.read_bytes()
        if not data.endswith(b"\n"):
            data = data[: data.rfind(b"\n") + 1]
            write_bytes(self.path, data)
        text = io.StringIO(data.decode(errors="surrogateescape"), newline="")
        try:
            header, *rows = list(csv.reader(text, strict=True)) or [[]]
        except csv.Error as error:
            raise CorruptFileError(f"{self.path}: is not readable as CSV: {error}. {other}") from error
        if tuple(header) != self._header:
            raise CorruptFileError(f"{self.path}: has other columns than score wrote. {other}")
        for cells in filter(None, rows):  # a blank line is no row
            if folder != here and not os.path.isabs(cells[0]):
                raise InputError(
                    f"{self.path}: names its images as seen from {folder}, and {cells[0]} may be another picture here. "
                    f"Run the command there, or name the images by absolute paths. {other}"
                )
            # Two stray quote marks make one cell of several lines.
            if "\n" in cells[0] and not os.path.lexists(cells[0]):
                raise CorruptFileError(f"{self.path}: a cell holds a line break; is a quote mark not closed? {other}")
            self.done[cells[0]] = _read_row(cells, tuple(self._models), f"{self.path}: {other}")


def _read_row(cells: Sequence[str], names: Sequence[str], where: str) -> Scored:
    """The inverse of `row_of`; a cell that was left empty is a problem once more."""
    numbers = [math.nan if not cell else finite_number(cell) for cell in cells[1:]]
    values = [number for number in numbers if number is not None]
    if len(values) != 2 * len(names) or len(numbers) != len(values):
        raise CorruptFileError(f"{where} The row of {cells[0]} is damaged.")
    scores = tuple(map(Score, values[::2], values[1::2]))
    without = [name for name, score in zip(names, scores, strict=True) if math.isnan(score.value)]
    return Scored(cells[0], scores, tuple((name, "no value, as found by an earlier call") for name in without))


def _differ(known: Mapping[str, str], asked: Mapping[str, str]) -> str:
    return "are other models than now" if set(known) != set(asked) else "have the same names but other weights now"


def _encoded(rows: object, header: Sequence[str] = ()) -> bytes:
    return csv_text(rows, header).encode(errors="surrogateescape")  # type: ignore[arg-type]
