"""The entries of the SSLIQA family: recipe `paper` holds the paper's numbers, a variant changes what it names."""

from __future__ import annotations

from typing import Any

import pytest

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.runner.resolve import learner_params
from tests.methods.families import named_after, written_apart

REGISTRY = load_registry()

# Yue et al., sections IV-B and IV-D1; optimiser details, sizes and regressors are decisions of docs/methods/ssliqa.md.
STUDENT: dict[str, Any] = {
    "student_backbone": "torchvision:alexnet.IMAGENET1K_V1",
    "student_hidden": [],
    "pretrained": True,
    "student_weights_file": None,
    "levels": 5,
    "rating_std": 0.6,
    "size": [384, 512],
    "original_sizes": ["608x608", "640x960"],
    "crop": 224,
    "crops": 10,
    "test_crops": 10,
    "labeled_batch": 16,
    "unlabeled_batch": 48,
    "epochs": 10,
    "lr": 2e-4,
    "lr_step": 2,
    "lr_factor": 0.5,
    "optimizer": "adam",
    "weight_decay": 0.0,
}
PAIR: dict[str, Any] = {
    **STUDENT,
    "teacher_backbone": "timm:resnet101.a1h_in1k",
    "teacher_hidden": [1024, 512, 256],
    "teacher_weights_file": None,
    "sample_consistency": True,
    "batch_consistency": True,
    "batch_weight": 100.0,
    "ramp_epochs": 10,
    "detach_teacher": False,
}
TEACHERS: dict[str, dict[str, Any]] = {
    "ssliqa": {},
    "ssliqa-irv2": {"teacher_backbone": "timm:inception_resnet_v2.tf_in1k", "teacher_hidden": [512, 256]},
    "ssliqa-densenet121": {"teacher_backbone": "timm:densenet121.ra_in1k", "teacher_hidden": [512, 256]},
    "ssliqa-tres": {"teacher_backbone": "tres", "teacher_hidden": []},
}
STUDENTS = {
    "ssliqa-mobilenetv3": {"student_backbone": "torchvision:mobilenet_v3_large.IMAGENET1K_V2"},
    "ssliqa-efficientnetb0": {"student_backbone": "timm:efficientnet_b0.ra_in1k"},
}
VARIANTS = {
    **{f"{name}-1to{r}": {**own, "unlabeled_batch": 16 * r} for name, own in TEACHERS.items() for r in (1, 2)},
    **{
        f"{name}-no-{kind}": {**own, f"{kind}_consistency": False}
        for name, own in TEACHERS.items()
        for kind in ("sample", "batch")
    },
}
BASELINES: dict[str, dict[str, Any]] = {
    "alexnet": {},
    "irv2": {"student_backbone": "timm:inception_resnet_v2.tf_in1k", "student_hidden": [512, 256]},
    "densenet121": {"student_backbone": "timm:densenet121.ra_in1k", "student_hidden": [512, 256]},
    "resnet101": {"student_backbone": "timm:resnet101.a1h_in1k", "student_hidden": [1024, 512, 256]},
    "tres": {"student_backbone": "tres"},
    "mobilenetv3": {"student_backbone": "torchvision:mobilenet_v3_large.IMAGENET1K_V2"},
    "efficientnetb0": {"student_backbone": "timm:efficientnet_b0.ra_in1k"},
}
PAPER = {
    **{name: {**PAIR, **own} for name, own in {**TEACHERS, **STUDENTS, **VARIANTS}.items()},
    **{f"ssliqa-baseline-{name}": {**STUDENT, **own} for name, own in BASELINES.items()},
    "ssliqa-supervised": STUDENT,
    "ssliqa-oracle": STUDENT,
}
SMALL = ["ssliqa-small", "ssliqa-small-no-sample", "ssliqa-small-no-batch", "ssliqa-small-supervised",
         "ssliqa-small-teacher", "ssliqa-small-oracle"]  # fmt: skip


def test_every_entry_of_the_family_is_looked_at() -> None:
    listed = {*PAPER, *SMALL}
    assert written_apart(listed) | named_after("ssliqa") <= listed <= set(REGISTRY.methods)


@pytest.mark.parametrize("recipe", ["paper", "default"])
@pytest.mark.parametrize("method", PAPER)
def test_recipe_paper_holds_the_numbers_of_the_paper(method: str, recipe: str) -> None:
    assert REGISTRY.resolve_method(method, recipe).params == PAPER[method]


@pytest.mark.parametrize("recipe", ["demo", "check"])
@pytest.mark.parametrize("method", [*PAPER, *SMALL])
def test_demo_and_check_learn_small_networks_from_scratch(method: str, recipe: str) -> None:
    params = REGISTRY.resolve_method(method, recipe).params
    assert params["student_backbone"] in ("cnniqa", "cnniqa-wide") and params["pretrained"] is False
    assert params.get("teacher_backbone", "cnniqa-wide") == "cnniqa-wide" and params["student_hidden"] == []
    assert params["epochs"] == 1 or recipe == "demo"


def test_the_small_pair_has_the_numbers_of_the_recipe_demo_everywhere() -> None:
    demo = REGISTRY.resolve_method("ssliqa", "demo").params
    for recipe in ("demo", "paper", "default"):
        assert REGISTRY.resolve_method("ssliqa-small", recipe).params == demo
    check = REGISTRY.resolve_method("ssliqa", "check").params
    assert REGISTRY.resolve_method("ssliqa-small", "check").params == check


def test_variants_of_the_small_pair() -> None:
    small = REGISTRY.resolve_method("ssliqa-small", "demo").params
    changes = {
        "ssliqa-small-no-sample": {"sample_consistency": False},
        "ssliqa-small-no-batch": {"batch_consistency": False},
        "ssliqa-small-supervised": {},
        "ssliqa-small-oracle": {},
        "ssliqa-small-teacher": {"student_backbone": "cnniqa-wide"},
    }
    for name, change in changes.items():
        assert REGISTRY.resolve_method(name, "demo").params == {**small, **change}


@pytest.mark.parametrize("method", [*PAPER, *SMALL])
@pytest.mark.parametrize("recipe", ["paper", "check"])
def test_entries_make_learners_whose_stage_reads_parameters_that_there_are(method: str, recipe: str) -> None:
    resolved = REGISTRY.resolve_method(method, recipe)
    params = learner_params(resolved, REGISTRY.backbones_of(resolved))
    (stage,) = load_object(resolved.class_path)(params).stages()
    assert set(stage.params) <= set(params)
    pair = resolved.class_path.endswith(":SSLIQA")
    assert ("unlabeled" in stage.sets) == pair


def test_what_the_entries_are() -> None:
    kinds = {name: REGISTRY.resolve_method(name).class_path.partition(":")[2] for name in [*PAPER, *SMALL]}
    for name, kind in kinds.items():
        if "baseline" in name:
            assert kind == "SupervisedBranch"
        elif name.endswith(("supervised", "oracle", "small-teacher")):
            assert kind == "SupervisedStudent"
        else:
            assert kind == "SSLIQA"
    assert all(REGISTRY.resolve_method(name).about.trained_on == () for name in kinds)


def test_other_widths_of_the_students_layers_can_be_asked_for() -> None:
    for hidden in ([], [128], [256]):
        params = REGISTRY.resolve_method("ssliqa", "paper", {"student_hidden": hidden}).params
        assert params["student_hidden"] == hidden
