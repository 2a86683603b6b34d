"""The entries of the noisy student: the specification's numbers, rows of Table 5, comparators, small recipes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.runner.counts import parameter_counts
from ssliqa_bench.runner.resolve import learner_params
from tests.methods.families import written_apart

REGISTRY = load_registry()

# Conde et al. 2022, section 4; sizes, the plateau rule and CutOut are decisions of docs/methods/noisy_student.md.
STUDENT: dict[str, Any] = {
    "backbone": "timm:efficientnet_b0.ra_in1k",
    "pretrained": True,
    "weights_file": None,
    "crop": 224,
    "base_augmentation": True,
    "extra_augmentation": True,
    "colour_strength": 0.1,
    "cutout": "square",
    "cutout_side": 0.2,
    "cutout_probability": 0.5,
    "batch_size": 32,
    "epochs": 20,
    "lr": 1e-4,
    "optimizer": "adam",
    "weight_decay": 0.0,
    "plateau_factor": 0.5,
    "plateau_patience": 2,
    "plateau_threshold": 1e-4,
    "plateau_floor": 1e-6,
    "label_mean": None,
    "label_std": None,
    "test_crops": 1,
}
CHANGES: dict[str, dict[str, Any]] = {
    "bns-crop-only": {"base_augmentation": False, "extra_augmentation": False},
    "bns-base": {"extra_augmentation": False},
    "bns-augmented": {},
    "noisy-student": {},
    "noisy-student-vgg19": {"backbone": "timm:vgg19.tv_in1k"},
    "noisy-student-resnet50": {"backbone": "timm:resnet50.tv_in1k"},
    "noisy-student-ta": {"test_crops": 4},
    "bns-supervised": {},
    "bns-supervised-vgg19": {"backbone": "timm:vgg19.tv_in1k"},
    "bns-supervised-resnet50": {"backbone": "timm:resnet50.tv_in1k"},
    "bns-supervised-ta": {"test_crops": 4},
    "bns-oracle": {},
}
TAUGHT = [name for name in CHANGES if name.startswith("noisy")]
BLIND = [name for name in CHANGES if name not in TAUGHT]
SMALL = ("backbone", "pretrained", "crop", "batch_size", "epochs", "lr")


def params(method: str, recipe: str) -> dict[str, Any]:
    return dict(REGISTRY.resolve_method(method, recipe).params)


def test_every_entry_of_the_family_is_looked_at() -> None:
    assert written_apart(CHANGES) <= set(CHANGES) <= set(REGISTRY.methods)


@pytest.mark.parametrize("recipe", ["paper", "default"])
@pytest.mark.parametrize("method", CHANGES)
def test_recipe_paper_holds_the_numbers_of_the_specification(method: str, recipe: str) -> None:
    found = params(method, recipe)
    expected = {**STUDENT, **CHANGES[method]}
    if method in TAUGHT:
        own = {"teachers": ["conformer"], "rounds": 1, "transformer_feedforward": 1024}
        own["metric_class"] = "ssliqa_bench.integrations.pyiqa:MetricPredictor"
        expected = {**params("iqa-conformer", recipe), **expected, **own}
    assert found == expected


@pytest.mark.parametrize("recipe", ["demo", "check"])
def test_small_recipes_are_the_same_for_all_rows(recipe: str) -> None:
    """Rows of a table differ by what they name; a teacher has the parameters of the full-reference learner."""
    root = params("bns-base", recipe)
    assert root["backbone"] == "cnniqa" and root["pretrained"] is False
    assert root["epochs"] == 1 or recipe == "demo"
    for method, change in CHANGES.items():
        found = params(method, recipe)
        assert {name: found[name] for name in root} == {
            **root,
            "extra_augmentation": params("bns-augmented", recipe)["extra_augmentation"],
            **{name: value for name, value in change.items() if name != "backbone"},
        }
        if method in TAUGHT:
            teacher = params("iqa-conformer", recipe)
            assert {name: found[name] for name in teacher} == teacher


@pytest.mark.parametrize("recipe", ["paper", "demo", "check"])
@pytest.mark.parametrize("method", CHANGES)
def test_entries_make_learners_whose_stages_read_parameters_that_there_are(method: str, recipe: str) -> None:
    resolved = REGISTRY.resolve_method(method, recipe)
    made = learner_params(resolved, REGISTRY.backbones_of(resolved))
    learner = load_object(resolved.class_path)(made)
    stages = learner.stages()
    assert all(set(stage.params) <= set(made) for stage in stages)
    assert set(learner.model.params) <= set(made)
    names = ["conformer", "pseudo-labels", "student"] if method in TAUGHT else ["student"]
    assert [stage.name for stage in stages] == names
    assert [stage.predicts for stage in stages] == [stage.name == "student" for stage in stages]
    assert not stages[-1].references and "validation" in stages[-1].sets
    if method in TAUGHT:
        assert resolved.references is True and learner.needs.references == "training" and learner.needs.unlabeled
    else:
        assert not resolved.references and not learner.needs.references
    assert bool(stages[-1].counts) == method.startswith(("bns-supervised", "bns-oracle"))


def test_rounds_and_teachers_make_the_stages() -> None:
    changes = {"rounds": 3, "teachers": ["pyiqa:ssim", "transformer", "conformer"]}
    resolved = REGISTRY.resolve_method("noisy-student", "check", changes)
    learner = load_object(resolved.class_path)(learner_params(resolved, REGISTRY.backbones_of(resolved)))
    stages = {stage.name: stage for stage in learner.stages()}
    assert list(stages) == [
        "transformer", "conformer", "pseudo-labels", "student", "pseudo-labels-2", "student-2", "pseudo-labels-3",
        "student-3",
    ]  # fmt: skip
    assert stages["pseudo-labels-3"].inputs == ("student-2",) and not stages["pseudo-labels-3"].references
    assert stages["student-3"].inputs == ("pseudo-labels-3",)
    assert learner.work(40, 24) is None, "most of it is the teachers', and is not estimated"


def test_comparators_belong_to_what_they_are_compared_with() -> None:
    for name in TAUGHT:
        own = f"bns-supervised{name.removeprefix('noisy-student')}"
        assert REGISTRY.methods[own].like == name
        student = {key: value for key, value in params(name, "paper").items() if key in STUDENT}
        assert params(own, "paper") == student
    assert REGISTRY.methods["bns-oracle"].like == "noisy-student"
    assert REGISTRY.resolve_method("bns-oracle").unlabeled_role == "labeled"


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("bns-base", 4_008_829), ("bns-supervised-vgg19", 20_024_897), ("bns-supervised-resnet50", 23_510_081)],
)
def test_students_have_the_parameters_of_the_specification(method: str, parameters: int) -> None:
    with torch.random.fork_rng():
        assert parameter_counts(method, "paper", REGISTRY) == {"student": parameters}
