"""Metrics of pyiqa as methods. Importing this module imports pyiqa (PolyForm Noncommercial licence)."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pyiqa
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner, Needs, Predictor
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact, FloatArray

_log = logging.getLogger("ssliqa_bench")


class Metric(Learner):
    """A no-reference metric that learns nothing here.

    Parameter `metric` is its name in pyiqa, `weights_file` the file of its parameters, for a metric that has one.
    """

    needs: ClassVar[Needs] = Needs(labels=False)
    predict_params: ClassVar[tuple[str, ...]] = ("metric",)

    def stages(self) -> list[Stage]:
        """None."""
        return []

    def predictor(self, artifact: Artifact | None, device: torch.device) -> Predictor:
        """The metric itself, turned so that higher is better."""
        return MetricPredictor(str(self.params["metric"]), device, self.params.get("weights_file"))


class MetricPredictor:
    """Judges whole images one at a time: several metrics give another value inside a batch."""

    def __init__(self, name: str, device: torch.device, weights_file: str | None = None) -> None:
        if name not in pyiqa.list_models(metric_mode="NR"):
            raise InputError(f'Parameter metric: pyiqa has no no-reference metric "{name}". "pyiqa --list" shows all.')
        with contextlib.redirect_stdout(io.StringIO()):  # pyiqa prints where it loads weights from
            given = {} if weights_file is None else {"pretrained_model_path": weights_file}
            try:
                self._metric: Any = pyiqa.create_metric(name, device=device, **given)
            except Exception as error:  # pyiqa reads what it is given and raises whatever that leads to
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
        """The metric's own value (n,), negated where lower is better; not mapped to any scale."""
        values = np.empty(len(images))
        for k in range(len(images)):
            pixels = torch.from_numpy(np.ascontiguousarray(images[k].transpose(2, 0, 1)))
            try:
                values[k] = float(self._metric(pixels[None].float().div(255.0).to(self._device)).item())
            except (ArithmeticError, IndexError, RuntimeError, ValueError) as error:
                # Too small for its patches, or one colour all over: no value, which the caller names with the image.
                height, width = images[k].shape[:2]
                _log.warning("%s has no value for an image of %d×%d: %s", self._made_with[0], width, height, error)
                values[k] = np.nan
        return self._sign * values
