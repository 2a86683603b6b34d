"""The entries: recipe `paper` holds the paper's numbers, variants change what they name, small recipes fit together."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ssliqa_bench.methods.full_reference.base import FullReferenceLearner
from ssliqa_bench.methods.full_reference.networks import make_pair_model
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.runner.resolve import learner_params
from tests.methods.families import written_apart

REGISTRY = load_registry()
# Conde et al., section 4, and the published code; docs/methods/conformer.md lists what comes from where.
SHARED: dict[str, Any] = {
    "extractor_backbone": "maps-irv2",
    "extractor_pretrained": True,
    "extractor_weights_file": None,
    "width": 128,
    "heads": 4,
    "head_width": 128,
    "fr_dropout": 0.1,
    "grid": 21,
    "fr_crop": 192,
    "fr_rotation": 180,
    "fr_test_crops": "ten",
    "fr_batch_size": 16,
    "fr_epochs": 30,
    "fr_lr": 1e-4,
    "fr_average_epochs": 10,
    "fr_batch_norm": "momentum",
    "label_mean": None,
    "label_std": None,
}
ENTRIES = {
    "iqa-conformer": {**SHARED, "feedforward": 512},
    "iqa-transformer": {**SHARED, "transformer_feedforward": 1024},
    "iqa-conformer-convnext": {**SHARED, "feedforward": 512, "extractor_backbone": "maps-convnext", "grid": 24},
    "iqa-conformer-vgg19": {**SHARED, "feedforward": 512, "extractor_backbone": "maps-vgg19", "grid": 24},
}

# Parameters that learn, and all of them, as docs/methods/conformer.md states them.
COUNTS = {
    "iqa-conformer": (1_159_169, 2_831_841),
    "iqa-transformer": (1_045_889, 2_718_561),
    "iqa-conformer-convnext": (1_016_705, 13_364_705),
    "iqa-conformer-vgg19": (1_110_913, 21_135_297),
}


def test_all_of_the_family_are_listed_here() -> None:
    classes = {name: load_object(REGISTRY.resolve_method(name).class_path) for name in ENTRIES}
    assert all(issubclass(own, FullReferenceLearner) for own in classes.values())
    assert written_apart(ENTRIES) <= set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_recipe_paper_is_the_papers(name: str) -> None:
    method = REGISTRY.resolve_method(name, "paper")
    assert dict(method.params) == ENTRIES[name]
    assert method.references is True
    assert "conde2022conformer" in (method.about.citation or "")


@pytest.mark.parametrize("recipe", ["paper", "demo", "check"])
@pytest.mark.parametrize("name", ENTRIES)
def test_every_recipe_gives_the_grid(name: str, recipe: str) -> None:
    method = REGISTRY.resolve_method(name, recipe)
    params = learner_params(method, REGISTRY.backbones_of(method))
    stage = load_object(method.class_path)(params).stage()
    assert set(stage.params) | {"extractor_pretrained", "extractor_weights_file", "fr_test_crops"} == set(params)
    model = make_pair_model(stage.name, {name: params[name] for name in stage.params}).eval()
    side = params["fr_crop"]
    with torch.no_grad():
        assert model(*torch.rand(2, 1, 3, side, side)).shape == (1,)
    if recipe == "paper":
        sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
        assert COUNTS[name] == (sum(n for n, learns in sizes if learns), sum(n for n, _ in sizes))
    else:  # nothing to download
        assert method.params["extractor_backbone"] == "maps-filterbank"
        assert REGISTRY.resolve_backbone("maps-filterbank").weights_of is None
