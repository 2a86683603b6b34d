"""Metrics of pyiqa as methods. Importing this module imports pyiqa (PolyForm Noncommercial licence)."""

from __future__ import annotations

import contextlib
import functools
import io
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
            self._metric: Any = pyiqa.create_metric(name, device=device, **given)
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
            values[k] = float(self._metric(pixels[None].float().div(255.0).to(self._device)).item())
        return self._sign * values
