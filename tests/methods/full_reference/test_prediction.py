"""Prediction: what a reference gives is computed once, and no prediction depends on the images beside it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.full_reference.networks import NETWORKS, FullReferenceModel, make_pair_model
from ssliqa_bench.methods.full_reference.prediction import FullReferencePredictor, stored_predictor
from ssliqa_bench.methods.full_reference.views import pair_test_crops, test_places
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.standardisation import LabelScale
from ssliqa_bench.types import Artifact

Pairs = Callable[..., LabeledSet]
BOTH = pytest.mark.parametrize("name", NETWORKS)
pair_test_crops.__test__ = test_places.__test__ = False  # type: ignore[attr-defined]  # functions of ours, not tests
CPU = torch.device("cpu")


def model(name: str, params: dict[str, Any]) -> FullReferenceModel:
    torch.manual_seed(6)
    made = make_pair_model(name, params)
    made.rescale(LabelScale(0.6, 0.2))
    return made.eval()


@BOTH
@pytest.mark.parametrize("layout", ["ten", "grid"])
def test_it_is_the_mean_over_crops_of_pairs(name: str, layout: str, pairs: Pairs, params: dict[str, Any]) -> None:
    """Against the whole model asked pair by pair, crop by crop."""
    own, images = model(name, params), pairs(9).images
    found = FullReferencePredictor(own, 16, layout, CPU).predict(images)
    assert found.dtype == np.float64 and found.std() > 1e-4
    assert images.references is not None
    for k in range(9):
        places = test_places(22, 26, 16, layout)
        crops = [pair_test_crops(picture, places, 16) for picture in (images.references[k], images[k])]
        with torch.no_grad():
            values = torch.cat([own(a[None], b[None]) for a, b in zip(*crops, strict=True)])
        assert len(values) == {"ten": 10, "grid": 2 * 2 * 3}[layout]
        assert found[k] == pytest.approx(0.6 + 0.2 * float(values.mean()), abs=1e-5)


@BOTH
def test_neither_order_nor_company_changes_a_bit(name: str, pairs: Pairs, params: dict[str, Any]) -> None:
    images = pairs(9).images
    predictor = FullReferencePredictor(model(name, params), 16, "ten", CPU)
    whole = predictor.predict(images)
    assert np.array_equal(predictor.predict(images.subset(range(8, -1, -1)))[::-1], whole)
    assert np.array_equal(np.concatenate([predictor.predict(images.subset([k])) for k in range(9)]), whole)
    assert np.array_equal(predictor.predict(images.subset([3, 3, 5])), whole[[3, 3, 5]])
    assert len(predictor.predict(images.subset([]))) == 0


def test_a_reference_is_looked_at_once(pairs: Pairs, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    own, images = model("conformer", params), pairs(9, references=2).images
    crops: list[int] = []
    maps = own.extractor.maps

    def counted(given: torch.Tensor) -> torch.Tensor:
        crops.append(len(given))
        return maps(given)

    monkeypatch.setattr(own.extractor, "maps", counted)
    FullReferencePredictor(own, 16, "ten", CPU).predict(images)
    assert sum(crops) == 10 * (9 + 2)


@BOTH
def test_ten_crops_of_a_constant_pair_are_one(name: str, made: ModuleType, params: dict[str, Any]) -> None:
    grey, other = (made.Memory([np.full((20, 24, 3), value)]) for value in (90, 140))
    own = model(name, params)
    found = FullReferencePredictor(own, 16, "ten", CPU).predict(ImageSet([(grey, 0)], [(other, 0)]))
    with torch.no_grad():
        single = own(*(torch.full((1, 3, 16, 16), value / 255) for value in (140, 90)))
    assert found[0] == pytest.approx(0.6 + 0.2 * float(single), abs=1e-5)


@BOTH
def test_a_stored_model_is_the_model(name: str, pairs: Pairs, params: dict[str, Any]) -> None:
    own, images = model(name, params), pairs(4).images
    stored = stored_predictor(Artifact(module_tensors(own), {"network": name}), params, CPU)
    assert np.array_equal(stored.predict(images), FullReferencePredictor(own, 16, "ten", CPU).predict(images))
    assert stored.n_parameters == sum(p.numel() for p in own.parameters())


def test_what_it_cannot_compare_is_refused(pairs: Pairs, params: dict[str, Any]) -> None:
    own = model("conformer", params)
    with pytest.raises(InputError, match="these have none"):
        FullReferencePredictor(own, 16, "ten", CPU).predict(pairs(2).images.without_references())
    with pytest.raises(InputError, match="of 15×40 pixels is smaller than the crop of 16×16"):
        FullReferencePredictor(own, 16, "ten", CPU).predict(pairs(2, height=40, width=15).images)
    with pytest.raises(InputError, match='fr_test_crops: got "nine"'):
        FullReferencePredictor(own, 16, "nine", CPU)


@pytest.mark.slow
def test_sharing_what_a_reference_gives_saves_at_least_a_third_of_the_operations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the size of the paper, through the script that measures it."""
    path = Path(__file__).parents[3] / "benchmarks/speed/reference_features.py"
    spec = importlib.util.spec_from_file_location("reference_features", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(sys, "argv", [path.name, "--images", "8"])
    assert script.main() == 0
