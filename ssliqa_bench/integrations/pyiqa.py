"""Metrics of pyiqa as methods. Importing this module imports pyiqa (PolyForm Noncommercial licence)."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import pickle
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pyiqa
import torch
from numpy.typing import NDArray
from pyiqa.utils import download_util

from ssliqa_bench.errors import InputError, unknown_name
from ssliqa_bench.integrations.downloads import probed_downloads, tensors_only
from ssliqa_bench.methods.base import Learner, Model, ModelContext, Needs
from ssliqa_bench.training.backbones.weights import NOT_TENSORS
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import FloatArray

_log = logging.getLogger("ssliqa_bench")


class MetricPredictor:
    """Judges whole images one at a time: several metrics give another value inside a batch."""

    def __init__(self, name: str, device: torch.device, weights_file: str | None = None) -> None:
        self._compares = _needs_reference(name)
        given = {} if weights_file is None else {"pretrained_model_path": weights_file}
        with (
            contextlib.redirect_stdout(io.StringIO()),  # pyiqa prints where it loads weights from
            probed_downloads(f"pyiqa's metric {name}", download_util),
            tensors_only(),
        ):
            try:
                self._metric: Any = pyiqa.create_metric(name, device=device, **given)
            except Exception as error:  # pyiqa reads what it is given and raises whatever that leads to
                if isinstance(error, pickle.UnpicklingError):
                    raise InputError(f"{_file_of(name, weights_file)} {NOT_TENSORS}") from error
                if weights_file is None:
                    raise
                raise InputError(
                    f"Weights file {weights_file}: {name} cannot read it ({error}). It must be the file that "
                    f"pyiqa publishes for {name}."
                ) from error
        self._made_with = (name, device, weights_file)
        self._sign = -1.0 if self._metric.lower_better else 1.0
        self._device = device
        self.n_parameters = sum(p.numel() for p in self._metric.parameters())

    def remake(self) -> Callable[[], MetricPredictor] | None:
        """The same metric in another process; None on a GPU, which the processes would share."""
        return functools.partial(MetricPredictor, *self._made_with) if self._device.type == "cpu" else None

    @torch.no_grad()
    def predict(self, images: ImageSet) -> FloatArray:
        """The metric's own value (n,), negated where lower is better; not mapped to any scale.

        Args:
            images: with their references for a full-reference metric.
        """
        references = images.references if self._compares else None
        if self._compares and references is None:
            raise InputError(f"Metric {self._made_with[0]} compares images with references; these come without.")
        values = np.empty(len(images))
        for k in range(len(images)):
            pair = [images[k]] if references is None else [images[k], references[k]]
            try:
                values[k] = float(self._metric(*map(self._tensor, pair)).item())
            except (ArithmeticError, IndexError, RuntimeError, ValueError) as error:
                # Too small for its patches, or one colour all over: no value, which the caller names with the image.
                height, width = images[k].shape[:2]
                _log.warning("%s has no value for an image of %d×%d: %s", self._made_with[0], width, height, error)
                values[k] = np.nan
        return self._sign * values

    def _tensor(self, image: NDArray[np.uint8]) -> torch.Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return pixels[None].float().div(255.0).to(self._device)


def build_metric(context: ModelContext) -> MetricPredictor:
    """The metric itself, turned so that higher is better; the same one when asked for again."""
    return _metric(str(context.params["metric"]), context.device, context.weights.get("method"))


@functools.lru_cache(maxsize=1)  # some take seconds to load
def _metric(name: str, device: torch.device, weights_file: str | None) -> MetricPredictor:
    return MetricPredictor(name, device, weights_file)


class Metric(Learner):
    """A metric that learns nothing here: a no-reference one, or a full-reference one, which needs references.

    Parameter `metric` is its name in pyiqa.

    Raises:
        InputError: pyiqa has no metric of that name.
    """

    needs: ClassVar[Needs] = Needs(labels=False)
    model: ClassVar[Model] = Model(build_metric, ("metric",))

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        if _needs_reference(str(self.params["metric"])):
            self.needs = Needs(labels=False, references=True)  # type: ignore[misc]

    def stages(self) -> list[Stage]:
        """None."""
        return []


def _file_of(name: str, weights_file: str | None) -> str:
    return f"The weights that pyiqa has for {name}:" if weights_file is None else f"Weights file {weights_file}:"


def _needs_reference(name: str) -> bool:
    """Whether a metric compares an image with its reference.

    Raises:
        InputError: pyiqa has no metric of that name.
    """
    if name in pyiqa.list_models(metric_mode="FR"):
        return True
    known = pyiqa.list_models()
    if name not in known:
        raise unknown_name("metric of pyiqa", name, known, "pyiqa --list")
    return False
