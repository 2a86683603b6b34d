"""Ratings of one's own photographs: every answer is on disk before the next image is shown."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ssliqa_bench.errors import CorruptFileError, InputError, StorageError
from ssliqa_bench.files import take_lock, write_bytes, write_text
from ssliqa_bench.tabular.writer import csv_text
from ssliqa_bench.types import derive_seed

LEVELS = 5
_BREAK = re.compile(r"[\r\n]")
_SHOWN = 200
_ANSWERS = ("image", "rater", "rating")
_LABELS = ("image", "score", "rating_std", "n_ratings")


@contextlib.contextmanager
def one_at_a_time(labels: Path) -> Iterator[None]:
    """Keep a label file to one rating page: a second one would not see the answers of the first.

    Raises:
        InputError: another page has it open.
        StorageError: its folder cannot be written.
    """
    path = labels.with_name(f".{labels.name}.lock")
    try:
        handle = take_lock(path, wait=False)
    except OSError as error:
        raise StorageError(f"{path}: cannot be made: {error.strerror or error}.") from error
    if handle is None:
        raise InputError(f"--labels {labels}: another rating page has it open. People rate one after the other: end "
                         f"that page first, or name another file.")  # fmt: skip
    with handle:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is held: who opens it next looks whether it is still there


@dataclass
class Ratings:
    """The answers of all raters, in a file that only grows, and the label file that follows from them.

    Attributes:
        labels: the label file: image, score (mean over raters), rating_std, n_ratings.
        answers: beside it, a row for each answer; the last one of a rater for an image counts.
        images: names, as the label file spells them.
        rater: who rates now.
    """

    labels: Path
    images: Sequence[str]
    rater: str
    found: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def answers(self) -> Path:
        """The file of answers."""
        return self.labels.with_name(f"{self.labels.stem}.ratings.csv")

    @classmethod
    def open(cls, labels: Path, images: Sequence[str], rater: str) -> Ratings:
        """Read what was answered before; an answer that was not written to its end is taken off.

        Raises:
            InputError: the label file is there and no answers beside it, or the rater has no name.
            CorruptFileError: the file of answers is none.
        """
        if not rater.strip() or any(ord(character) < 32 for character in rater):
            raise InputError(f"--rater: got {rater!r}; expected a name.")
        own = cls(labels, tuple(images), rater.strip())
        if not own.answers.exists():
            if labels.exists():
                raise InputError(f"--labels {labels}: exists without its file of ratings ({own.answers.name}); name "
                                 f"another file, so that it is not overwritten.")  # fmt: skip
            _append(own.answers, csv_text([], _ANSWERS))
            return own
        data, begun = own.answers.read_bytes(), csv_text([], _ANSWERS).encode()
        if begun.startswith(data):  # killed while the file was begun
            write_bytes(own.answers, begun)
            return own
        whole = data[: data.rfind(b"\n") + 1]
        try:
            header, *rows = list(csv.reader(io.StringIO(whole.decode(), newline=""), strict=True)) or [[]]
        except (UnicodeDecodeError, csv.Error) as error:
            raise CorruptFileError(f"{own.answers}: is not readable as CSV: {error}.") from error
        if tuple(header) != _ANSWERS:
            raise CorruptFileError(
                f"{own.answers}: has the columns {', '.join(header)}; expected {', '.join(_ANSWERS)}."
            )
        for row in rows:
            if len(row) != len(_ANSWERS):
                raise CorruptFileError(f"{own.answers}: a row has {len(row)} cells ({', '.join(row)[:80]}); expected "
                                       f"{', '.join(_ANSWERS)}.")  # fmt: skip
            image, who, rating = row
            # A stray quote mark makes one cell of several lines; no rater and no other image is named like that.
            if _BREAK.search(who) or (_BREAK.search(image) and image not in own.images):
                raise CorruptFileError(f"{own.answers}: a cell holds a line break ({image}, {who})"[:_SHOWN] + "…; is "
                                       "a quote mark not closed?")  # fmt: skip
            if rating not in map(str, range(1, LEVELS + 1)):
                raise CorruptFileError(f"{own.answers}: {image}: rating {rating}; expected 1 to {LEVELS}.")
            own.found[image, who] = int(rating)
        if whole != data:
            with open(own.answers, "rb+") as file:
                file.truncate(len(whole))
        return own

    @property
    def order(self) -> list[int]:
        """Places of the images in the order in which this rater sees them: an own one, the same every time."""
        return sorted(range(len(self.images)), key=lambda k: derive_seed("rating", self.rater, self.images[k]))

    @property
    def open_images(self) -> list[int]:
        """Places of the images that this rater has not rated, in their order."""
        return [k for k in self.order if (self.images[k], self.rater) not in self.found]

    def add(self, place: int, rating: int) -> None:
        """Write an answer to the disk, and the label file that follows.

        Raises:
            InputError: no such image or rating.
            StorageError: the answer could not be written; the file is as before.
        """
        if not 0 <= place < len(self.images) or not 1 <= rating <= LEVELS:
            raise InputError(f"Got image {place} and rating {rating}; expected a rating of 1 to {LEVELS}.")
        image = self.images[place]
        _append(self.answers, csv_text([(image, self.rater, rating)]))
        self.found[image, self.rater] = rating
        self.export()

    def export(self) -> None:
        """Write the label file of all images that anybody has rated."""
        rows = [
            (image, f"{values.mean():.6g}", f"{_spread(values):.6g}", len(values)) for image, values in self._values()
        ]
        write_text(self.labels, csv_text(rows, _LABELS))

    def _values(self) -> list[tuple[str, np.ndarray]]:
        ratings: dict[str, list[int]] = {}
        for (image, _), rating in self.found.items():
            ratings.setdefault(image, []).append(rating)
        return [(image, np.array(ratings[image], dtype=np.float64)) for image in sorted(ratings)]

    def counts(self) -> Mapping[str, int]:
        """How many images each rater has rated."""
        found: dict[str, int] = {}
        for _, who in self.found:
            found[who] = found.get(who, 0) + 1
        return found


def _spread(values: np.ndarray) -> float:
    """Standard deviation between raters; 0 of one rating, which says nothing about it."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _append(path: Path, text: str) -> None:
    """Add text to the end of a file on the disk, all of it or nothing."""
    data = text.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            before = file.tell()
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(before)
                raise
    except OSError as error:
        raise StorageError(f"{path}: the answer could not be written: {error.strerror or error}.") from error
