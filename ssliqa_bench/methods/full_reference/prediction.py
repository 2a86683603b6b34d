"""Judging images by a trained full-reference model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssliqa_bench.methods.base import Model, ModelContext
from ssliqa_bench.methods.full_reference.networks import (
    NETWORKS,
    PAIR_NETWORK_PARAMS,
    FullReferenceModel,
    make_pair_model,
)
from ssliqa_bench.methods.full_reference.views import pair_at, pair_test_crops, test_places
from ssliqa_bench.training.checkpoint import load_module
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import Artifact, FloatArray

# What a finished model is read with, beside the width of its feed-forward layers.
PREDICT_PARAMS = (*PAIR_NETWORK_PARAMS, "fr_crop", "fr_test_crops")
_PLACES_AT_ONCE = 5  # places whose crops, mirrored ones too, go through the network together


class FullReferencePredictor:
    """Mean over the test crops, on the scale of the scores that the model learned from.

    What depends on a reference alone is computed once for all of its images in a set. Every forward pass takes the
    crops of one image, so that no prediction depends on the images beside it.

    Args:
        layout: "ten" or "grid", see `views.test_places`.
    """

    def __init__(self, model: FullReferenceModel, crop: int, layout: str, device: torch.device) -> None:
        test_places(crop, crop, crop, layout)  # an unknown layout is said before any image is read
        self._model = model.to(device).eval()
        self._crop, self._layout, self._device = crop, layout, device
        self.n_parameters = sum(p.numel() for p in model.parameters())

    def predict(self, images: ImageSet) -> FloatArray:
        """Quality (n,), float64, on the learner's [0, 1] scale, higher is better.

        Raises:
            InputError: no references, one of another size than its image, or an image smaller than the crop.
        """
        standardised = np.empty(len(images))
        for positions in _by_reference(images):
            standardised[positions] = self._of_one_reference(images, positions)
        return self._model.label_scale.restore(standardised)

    @torch.no_grad()
    def _of_one_reference(self, images: ImageSet, positions: Sequence[int]) -> FloatArray:
        """Standardised scores of images of one reference."""
        model, crop = self._model, self._crop
        reference = pair_at(images, positions[0], crop)[0]
        places = test_places(*reference.shape[:2], crop, self._layout)
        sums = np.zeros(len(positions))
        for start in range(0, len(places), _PLACES_AT_ONCE):
            some = places[start : start + _PLACES_AT_ONCE]
            known = model.extractor.maps(self._crops(reference, some))
            read = model.network.read(known)
            for k, position in enumerate(positions):
                distorted = self._crops(pair_at(images, position, crop)[1], some)
                scores = model.network.compare(read, known - model.extractor.maps(distorted))
                sums[k] += float(scores.double().sum())
        return sums / (2 * len(places))

    def _crops(self, picture: NDArray[np.uint8], places: Sequence[tuple[int, int]]) -> torch.Tensor:
        return pair_test_crops(picture, places, self._crop).to(self._device)


def _by_reference(images: ImageSet) -> Iterator[list[int]]:
    """Positions of the images of each different reference."""
    if images.references is None:
        yield from ([position] for position in range(len(images)))
        return
    distinct, place = images.references.distinct()
    for k in range(len(distinct)):
        yield np.flatnonzero(place == k).tolist()


def stored_predictor(artifact: Artifact, params: Mapping[str, Any], device: torch.device) -> FullReferencePredictor:
    """The model that a stage `conformer` or `transformer` left, ready to judge images with references.

    Args:
        params: `PREDICT_PARAMS` and the width of the network's feed-forward layers.
    """
    model = make_pair_model(str(artifact.meta["network"]), params)
    load_module(model, artifact.tensors)
    return FullReferencePredictor(model, int(params["fr_crop"]), params["fr_test_crops"], device)


def build_full_reference(context: ModelContext) -> FullReferencePredictor:
    """The network that the stage trained, asked for the mean over its test crops."""
    return stored_predictor(context.trained, context.params, context.device)


def full_reference_model(name: str) -> Model:
    """The model of a network's name, "conformer" or "transformer"."""
    return Model(build_full_reference, (*PREDICT_PARAMS, NETWORKS[name].hidden_param))
