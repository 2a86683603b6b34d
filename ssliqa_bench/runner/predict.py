"""Prediction over many images: source → decode → model → sink.

The one place that does it. A source gives image sets in chunks with whatever names its caller needs; a sink
takes each chunk's predictions. Memory holds one chunk at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from ssliqa_bench.errors import RunError
from ssliqa_bench.methods.base import Predictor
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import FloatArray

Names = TypeVar("Names")
_CHUNK = 256


def predict(
    source: Iterable[tuple[Names, ImageSet]], model: Predictor, sink: Callable[[Names, FloatArray], None]
) -> None:
    """Send every chunk of a source through a model to a sink.

    Raises:
        RunError: a prediction is not finite, or the model returned another number of them than it got images.
    """
    for names, images in source:
        predictions = np.asarray(model.predict(images), dtype=np.float64)
        if predictions.shape != (len(images),):
            raise RunError(
                f"The model returned predictions of shape {predictions.shape} for {len(images)} images; "
                f"expected ({len(images)},)."
            )
        bad = np.flatnonzero(~np.isfinite(predictions))
        if len(bad):
            raise RunError(
                f"{len(bad)} of {len(images)} predictions are not finite (first: image {bad[0]} of its "
                f"chunk). Look at the training log, or at that image."
            )
        sink(names, predictions)


def chunks(images: ImageSet) -> Iterator[tuple[slice, ImageSet]]:
    """An image set as a source; the names of a chunk are its slice of positions."""
    for start in range(0, len(images), _CHUNK):
        window = slice(start, min(start + _CHUNK, len(images)))
        yield window, images.subset(range(window.start, window.stop))


def predict_set(model: Predictor, images: ImageSet) -> FloatArray:
    """Predictions (n,) of a whole image set."""
    out = np.empty(len(images))

    def keep(window: slice, predictions: FloatArray) -> None:
        out[window] = predictions

    predict(chunks(images), model, keep)
    return out
