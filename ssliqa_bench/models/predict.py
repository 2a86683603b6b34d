"""Prediction over many images: source → decode → model → sink.

The one place that does it. A source gives image sets in chunks with whatever names its caller needs; a sink
takes each chunk's predictions. Memory holds one chunk at a time, or a few small ones where processes share them.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ssliqa_bench.errors import RunError
from ssliqa_bench.methods.base import ClassPredictor, Predictor, SlowPredictor
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import IntArray, Judgement


class NotFiniteError(RunError):
    """Predictions of a chunk are not finite: the chunk's names, and which of its images."""

    def __init__(self, names: object, images: list[int]) -> None:
        super().__init__(f"{len(images)} predictions are not finite (first: image {images[0]} of its chunk).")
        self.names = names
        self.images = images


Names = TypeVar("Names")
_CHUNK = 256
_SHARE = 8  # images that a process gets at a time
_WORTHWHILE = 30.0  # seconds of work left from which other processes are started; each takes some to start


def predict(
    source: Iterable[tuple[Names, ImageSet]],
    model: Callable[[ImageSet], Judgement],
    sink: Callable[[Names, Judgement], None],
) -> None:
    """Send every chunk of a source through a model to a sink.

    Args:
        model: for example `judge` of a predictor.

    Raises:
        NotFiniteError: a prediction is not finite.
        RunError: the model returned another number of predictions or classes than it got images.
    """
    for names, images in source:
        judgement = model(images)
        for what, values in (("predictions", judgement.quality), ("classes", judgement.classes)):
            if values is not None and values.shape != (len(images),):
                raise RunError(
                    f"The model returned {what} of shape {values.shape} for {len(images)} images; "
                    f"expected ({len(images)},)."
                )
        bad = np.flatnonzero(~np.isfinite(judgement.quality))
        if len(bad):
            raise NotFiniteError(names, [int(k) for k in bad])
        sink(names, judgement)


def judge(model: Predictor, images: ImageSet) -> Judgement:
    """What a model says of images: quality in float64, and classes where it predicts some, in one pass."""
    if not isinstance(model, ClassPredictor):
        return Judgement(np.asarray(model.predict(images), dtype=np.float64))
    said = model.judge(images)
    return Judgement(np.asarray(said.quality, dtype=np.float64), np.asarray(said.classes, dtype=np.int64))


def chunks(images: ImageSet, size: int | None = None) -> Iterator[tuple[IntArray, ImageSet]]:
    """An image set as a source; the names of a chunk are its positions.

    Images of one reference come together, so that a model looks at each reference in few chunks.
    """
    references = images.references
    order = np.arange(len(images)) if references is None else np.argsort(references.distinct()[1], kind="stable")
    size = size or _CHUNK
    for start in range(0, len(images), size):
        positions = order[start : start + size]
        yield positions, images.subset(positions)


def predict_set(model: Predictor, images: ImageSet, processes: int = 1) -> Judgement:
    """What a model says of a whole image set.

    Args:
        processes: how many share the images of a slow model, where enough of them are left after a first few; the
            predictions do not depend on it.
    """
    quality = np.empty(len(images))
    classes: IntArray | None = np.empty(len(images), dtype=np.int64) if isinstance(model, ClassPredictor) else None

    def ask(images: ImageSet) -> Judgement:
        return judge(model, images)

    def keep(positions: IntArray, said: Judgement) -> None:
        quality[positions] = said.quality
        if classes is not None:
            classes[positions] = said.classes  # type: ignore[assignment]

    remake = model.remake() if isinstance(model, SlowPredictor) else None
    if processes == 1 or remake is None:
        predict(chunks(images), ask, keep)
        return Judgement(quality, classes)
    source = chunks(images, _SHARE)
    first, began = next(source, None), time.perf_counter()
    if first is not None:
        predict([first], ask, keep)
    left = (time.perf_counter() - began) / _SHARE * (len(images) - _SHARE)
    if left < _WORTHWHILE:
        predict(source, ask, keep)
    else:
        with _Processes(remake, processes) as shared:
            predict(shared.answers(source), shared.judge, keep)
    return Judgement(quality, classes)


class _Processes:
    """A model in several processes. Chunks are sent ahead, and their predictions collected in order."""

    def __init__(self, remake: Callable[[], Predictor], processes: int) -> None:
        self._ahead = 2 * processes
        self._waiting: deque[Future[Judgement]] = deque()
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(remake, torch.get_num_threads()),
        )

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def answers(self, source: Iterator[tuple[IntArray, ImageSet]]) -> Iterator[tuple[IntArray, ImageSet]]:
        """The source itself, read some chunks ahead of who consumes it."""
        taken: deque[tuple[IntArray, ImageSet]] = deque()
        for positions, images in source:
            self._waiting.append(self._pool.submit(_answer, _Sent.of(images)))
            taken.append((positions, images))
            if len(taken) > self._ahead:
                yield taken.popleft()
        yield from taken

    def judge(self, images: ImageSet) -> Judgement:
        """What the model says of the chunk that `answers` gave last."""
        try:
            return self._waiting.popleft().result()
        except BrokenProcessPool as error:
            raise RunError(
                "A process that was predicting died (killed, or out of memory). Run the same command again, with a "
                "smaller --jobs where memory is short."
            ) from error


class Pictures:
    """Images in memory, for example such as another process sent."""

    def __init__(self, pictures: list[NDArray[np.uint8]]) -> None:
        self.hashes = [str(k) for k in range(len(pictures))]
        self._pictures = pictures

    def image(self, row: int) -> NDArray[np.uint8]:
        """The image of a row."""
        return self._pictures[row]


_made: Predictor | None = None


def _start(remake: Callable[[], Predictor], threads: int) -> None:
    global _made
    torch.set_num_threads(threads)
    _made = remake()


@dataclass(frozen=True)
class _Sent:
    """Pictures of a chunk as another process gets them, each reference once."""

    pictures: list[NDArray[np.uint8]]
    references: list[NDArray[np.uint8]] | None = None
    reference_of: IntArray | None = None

    @classmethod
    def of(cls, images: ImageSet) -> _Sent:
        pictures = [images[k] for k in range(len(images))]
        if images.references is None:
            return cls(pictures)
        distinct, place = images.references.distinct()
        return cls(pictures, [distinct[k] for k in range(len(distinct))], place)

    def images(self) -> ImageSet:
        pictures = Pictures(self.pictures)
        items = [(pictures, k) for k in range(len(self.pictures))]
        if self.references is None or self.reference_of is None:
            return ImageSet(items)
        references = Pictures(self.references)
        return ImageSet(items, ((references, int(k)) for k in self.reference_of))


def _answer(sent: _Sent) -> Judgement:
    assert _made is not None
    return judge(_made, sent.images())
