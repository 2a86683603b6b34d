"""The entries of the SS-IQA family: recipe `paper` holds the paper's numbers, a variant changes what it names."""

from __future__ import annotations

from typing import Any

import pytest

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from tests.methods.families import named_after, written_apart

REGISTRY = load_registry()

# The initial phase: Pan et al., implementation details; batch size, weight decay, smooth-L1 and test crops are
# decisions of docs/methods/ssiqa.md.
INITIAL = {
    "backbone": "timm:deit3_small_patch16_224.fb_in1k",
    "pretrained": True,
    "weights_file": None,
    "crop": 224,
    "crops": 1,
    "test_crops": 10,
    "batch_size": 32,
    "epochs": 9,
    "warmup_epochs": 3,
    "lr": 2e-4,
    "lr_step": 3,
    "lr_factor": 0.1,
    "initial_flip": False,
    "smooth_l1_beta": 1.0,
    "optimizer": "adam",
    "weight_decay": 0.0,
}
PHASES = {
    "blocks": 3,
    "phase_epochs": 6,
    "phase_lr": 2e-5,
    "phase_lr_step": 2,
    "phase_lr_factor": 0.1,
    "pseudo_labels": "krr",
    "k1": 100,
    "k2": 100,
    "weak_views": 4,
    "krr_subset": "all",
    "krr_rate": 100,
    "krr_max": 10_000,
    "krr_gamma": None,
    "krr_lambda": 0.1,
}
# What each variant changes; a row of the paper's tables, a comparator, or a reading of what it leaves open.
CHANGES: dict[str, dict[str, Any]] = {
    "ssiqa": {},
    "ssiqa-1in100": {"krr_subset": "sdk"},
    "ssiqa-il": {"pseudo_labels": "model"},
    "ssiqa-krr": {"blocks": 1, "k1": 0, "k2": 0},
    "supervised-long": {},
    "supervised-long-krr": {"blocks": 1, "k1": 0, "k2": 0},
    "oracle": {},
    **{f"ssiqa-q{blocks}": {"blocks": blocks} for blocks in (1, 2, 4, 6)},
    **{f"ssiqa-k1-{k1}": {"k1": k1, "k2": 20} for k1 in (0, 10, 20, 50, 100)},
    **{f"ssiqa-k2-{k2}": {"k1": 20, "k2": k2} for k2 in (0, 10, 50, 100)},
}


FAMILY = sorted({*CHANGES, "supervised", "ssiqa-baseline"})


def test_every_entry_of_the_family_is_looked_at() -> None:
    assert written_apart(FAMILY) | named_after("ssiqa") <= set(FAMILY) <= set(REGISTRY.methods)


@pytest.mark.parametrize("recipe", ["paper", "default"])
@pytest.mark.parametrize("method", FAMILY)
def test_recipe_paper_holds_the_numbers_of_the_paper(method: str, recipe: str) -> None:
    expected = {**INITIAL, **PHASES, **CHANGES[method]} if method in CHANGES else INITIAL
    assert REGISTRY.resolve_method(method, recipe).params == expected


@pytest.mark.parametrize("recipe", ["demo", "check"])
@pytest.mark.parametrize("method", sorted(CHANGES))
def test_a_variant_is_itself_in_every_recipe(method: str, recipe: str) -> None:
    plain, variant = (REGISTRY.resolve_method(name, recipe).params for name in ("ssiqa", method))
    assert variant == {**plain, **CHANGES[method]}


@pytest.mark.parametrize("recipe", ["paper", "demo", "check"])
def test_the_baseline_is_the_supervised_entry_under_another_name(recipe: str) -> None:
    baseline, supervised = (REGISTRY.resolve_method(name, recipe) for name in ("ssiqa-baseline", "supervised"))
    assert (baseline.class_path, baseline.params) == (supervised.class_path, supervised.params)


def test_all_rows_of_table_6_have_an_entry() -> None:
    rows = {
        (params["k1"], params["k2"]) for name in CHANGES if (params := REGISTRY.resolve_method(name, "paper").params)
    }
    wanted = {(k1, 20) for k1 in (0, 10, 20, 50, 100)} | {(20, k2) for k2 in (0, 10, 20, 50, 100)} | {(100, 100)}
    assert wanted <= rows
    assert REGISTRY.method("ssiqa-k2-20").name == "ssiqa-k1-20"


@pytest.mark.parametrize("method", FAMILY)
def test_entries_have_the_stages_that_their_parameters_ask_for(method: str) -> None:
    resolved = REGISTRY.resolve_method(method, "paper")
    backbone = REGISTRY.resolve_backbone(resolved.params["backbone"])
    learner = load_object(resolved.class_path)({**resolved.params, "backbone": {"class": backbone.class_path}})
    phases = [f"phase-{i}" for i in range(1, resolved.params.get("blocks", 0) + 1)]
    assert [stage.name for stage in learner.stages()] == ["initial", *phases]
    for stage in learner.stages():
        assert set(stage.params) <= set(resolved.params)
        assert len(stage.params) == len(set(stage.params))


@pytest.mark.parametrize("method", FAMILY)
def test_nothing_of_the_family_has_seen_scores_before(method: str) -> None:
    assert REGISTRY.resolve_method(method).about.trained_on == ()


def test_comparators_name_what_they_are_compared_with() -> None:
    like = {name: entry.like for name, entry in REGISTRY.methods.items() if entry.like and name in FAMILY}
    assert like == {"supervised-long": "ssiqa", "supervised-long-krr": "ssiqa-krr", "oracle": "ssiqa"}
    assert REGISTRY.resolve_method("oracle").unlabeled_role == "labeled"
