"""Scores of many photographs by one or several models: one image in memory at a time, none lost to a bad one."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ssliqa_bench.datasets.parallel import in_order
from ssliqa_bench.errors import CorruptFileError, DataError, RunError
from ssliqa_bench.models.load import LoadedModel
from ssliqa_bench.photos.models import Request, opened
from ssliqa_bench.pixels.decode import decode
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.types import ByteImage

_FIRST = 8  # images by which the time of the rest is estimated
_SHARE = 8  # images that a process gets at a time
_WORTHWHILE = 30.0  # seconds of work left from which other processes are started; each takes some to start


@dataclass(frozen=True)
class Score:
    """What one model gives for one image.

    Attributes:
        value: in the units and direction of the scores that the model learned from, or a metric's own, higher is
            better; NaN where there is none.
        spread: standard deviation over the crops of the image in the same units; NaN of a model without crops.
    """

    value: float
    spread: float = math.nan


@dataclass(frozen=True)
class Scored:
    """One image: its path as it was named, a score for each model, and what was wrong, by model ("" for all)."""

    image: str
    scores: tuple[Score, ...]
    problems: tuple[tuple[str, str], ...] = ()


def score_images(
    images: Sequence[str], models: tuple[Request, ...], *, threads: int = 1, processes: int = 1
) -> Iterator[Scored]:
    """Scores of images in their order, each as soon as it and those before it are done.

    Args:
        threads: of one process; the results may differ in the last digits with another number.
        processes: how many share the images where more than half a minute of work is left after the first few.

    Raises:
        InputError: a model is missing or cannot be opened. A bad image is no error here.
    """
    prepare_process(models[0].device, threads)
    opened(models)  # whatever is wrong with a model is raised before the first image is looked at
    one = functools.partial(_score, models=models, threads=threads)
    waiting, began = iter(images), time.perf_counter()
    yield from map(one, itertools.islice(waiting, _FIRST))
    left = (time.perf_counter() - began) / _FIRST * (len(images) - _FIRST)
    shared = processes if left > _WORTHWHILE and models[0].device == "cpu" else 1
    yield from in_order(one, waiting, processes=shared, share=_SHARE)


def _score(image: str, models: tuple[Request, ...], threads: int) -> Scored:
    """One image by all models."""
    if not opened.cache_info().currsize:
        prepare_process(models[0].device, threads)
    try:
        pixels = decode(image)
    except (DataError, MemoryError) as error:
        reason = str(error) or "not enough memory to decode it"
        return Scored(image, (Score(math.nan),) * len(models), (("", reason),))
    scores, problems = [], []
    for request, model in zip(models, opened(models), strict=True):
        score, problem = judged(model, pixels)
        scores.append(score)
        problems += [(request.name, problem)] if problem else []
    return Scored(image, tuple(scores), tuple(problems))


def judged(model: LoadedModel, pixels: ByteImage) -> tuple[Score, str]:
    """What a model gives for one picture, and why there is no value, empty where there is one."""
    try:
        values, spreads = model.with_spread(pixels)
        return Score(float(values[0]), math.nan if spreads is None else float(spreads[0])), ""
    except CorruptFileError:
        raise
    except (RunError, DataError, MemoryError, ValueError) as error:
        height, width = pixels.shape[:2]
        told = "" if isinstance(error, RunError) else f": {str(error) or type(error).__name__}"
        return Score(math.nan), f"no value for an image of {width}×{height} pixels{told}"
