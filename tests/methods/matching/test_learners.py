"""The learners on images in memory: steps, roles, averages, resumption, second stage, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.methods.base import ClassPredictor
from ssliqa_bench.methods.matching import training
from ssliqa_bench.methods.matching.base import LevelLearner, MatchingLearner
from ssliqa_bench.methods.matching.fixmatch import FixMatch
from ssliqa_bench.methods.matching.levels import quality_of
from ssliqa_bench.methods.matching.network import HeadedModel, LevelModel, LevelTrainee, build_level_network
from ssliqa_bench.methods.matching.supervised import SupervisedLevels
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact

REGISTRY = load_registry()
SIX = ["fixmatch", "adamatch", "freematch", "comatch", "simmatch", "crmatch"]
CPU = torch.device("cpu")
N_LABELED, N_UNLABELED = 9, 14


def learner(made: ModuleType, name: str, **params: Any) -> LevelLearner:
    resolved = REGISTRY.resolve_method(name, "check")
    small = {
        "backbone": made.BACKBONE, "crop": 13, "test_crops": 2, "batch_size": 4, "epochs": 3, "epoch_steps": 3,
        "stage2_epochs": 2, "label_rule": "nearest",
    }  # fmt: skip
    made_learner: LevelLearner = load_object(resolved.class_path)({**resolved.params, **small, **params})
    return made_learner


def contexts(made: ModuleType, own: LevelLearner, **fields: Any) -> dict[str, StageContext]:
    """What each stage is handed; the unlabeled images are not those that have scores."""
    given: dict[str, Any] = {
        "labeled": made.labeled_set(made.noise(N_LABELED)),
        "unlabeled": made.image_set(made.noise(N_UNLABELED, seed=5)),
        "counts": {"labeled": N_LABELED, "unlabeled": N_UNLABELED, "sides": 2},
        **fields,
    }
    found = {}
    for stage in own.stages():
        sets = {name: given[name] for name in ("labeled", "unlabeled") if name in stage.sets}
        others = {name: value for name, value in given.items() if name not in ("labeled", "unlabeled", "counts")}
        context = made.context(stage.name, **sets, counts={n: given["counts"][n] for n in stage.counts}, **others)
        found[stage.name] = replace(context, params={name: own.params[name] for name in stage.params})
    return found


def trained(made: ModuleType, own: LevelLearner, **fields: Any) -> tuple[Artifact, StageContext]:
    context = contexts(made, own, **fields)["matching"]
    return own.stages()[0].run(context), context


@pytest.mark.parametrize("name", [*SIX, "supervised-levels"])
def test_a_killed_training_goes_on_as_if_nothing_was(made: ModuleType, name: str) -> None:
    """Also with dropout, averages, banks, thresholds and selections: all of it is in the checkpoint."""
    own = learner(made, name)
    whole, context = trained(made, own)
    checkpoints = made.Checkpoints(stop=1)
    with pytest.raises(made.Stopped):
        trained(made, own, checkpoints=checkpoints)
    torch.manual_seed(77)
    resumed, again = trained(made, own, checkpoints=made.Checkpoints(state=checkpoints.state))
    assert whole.tensors.keys() == resumed.tensors.keys()
    for tensors, others in (
        (whole.tensors, resumed.tensors),
        (context.checkpoints.state.tensors, again.checkpoints.state.tensors),
    ):
        for key, value in tensors.items():
            np.testing.assert_array_equal(value, others[key], err_msg=key)
    assert resumed.meta["steps"] == whole.meta["steps"] == 9
    held = {key for key in checkpoints.state.tensors if key.startswith("model.held.")}
    assert bool(held) == (name in ("adamatch", "freematch", "comatch", "simmatch"))
    assert any(key.startswith("model.averaged.") for key in checkpoints.state.tensors)


def test_a_checkpoint_of_another_projection_size_is_refused(made: ModuleType) -> None:
    checkpoints = made.Checkpoints(stop=1)
    with pytest.raises(made.Stopped):
        trained(made, learner(made, "comatch", dimensions=8), checkpoints=checkpoints)
    with pytest.raises(CorruptFileError, match="(?s)do not fit the network.*size mismatch"):
        trained(
            made, learner(made, "comatch", dimensions=4), checkpoints=made.Checkpoints(state=checkpoints.state)
        )


@pytest.mark.parametrize("name", SIX)
def test_the_log_says_what_was_selected(made: ModuleType, name: str) -> None:
    artifact, context = trained(made, learner(made, name, threshold=0.0 if name != "freematch" else 0.3))
    entry = artifact.meta["log"][-1]
    levels = [entry[f"predicted_{k}"] for k in range(5)]
    assert sum(levels) == pytest.approx(1, abs=1e-5)
    assert sum(entry[f"selected_{k}"] for k in range(5)) == pytest.approx(entry["mask"], abs=1e-5)
    assert {"sup_loss", "unsup_loss", "disagreement", "near_border", "near_border_selected"} <= set(entry)
    assert ("aligned_0" in entry) == (name in ("adamatch", "comatch", "simmatch"))
    notes = " | ".join(context.report.lines)
    assert "labeled images of level 0 … 4: " in notes and "standard deviation" in notes
    if name != "freematch":
        assert entry["mask"] == 1 and f"{N_UNLABELED} of {N_UNLABELED} unlabeled images selected" in notes


def test_every_method_starts_from_the_same_network(made: ModuleType) -> None:
    """Backbone and levels; heads of its own are drawn after them."""
    states = []
    for name in ("fixmatch", "supervised-levels", "comatch", "crmatch"):
        own = learner(made, name, lr=0.0, ema_decay=0.0)
        states.append(trained(made, own)[0].tensors)
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        for key, value in states[0].items():
            np.testing.assert_array_equal(value, state[key])


def test_the_comparator_sees_the_same_labeled_batches(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[list[int], bytes]] = []
    batches = training.labeled_batches

    def noted(*words: Any) -> Any:
        for rows, crops in batches(*words):
            drawn.append((rows.tolist(), crops[0].numpy().tobytes()))
            yield rows, crops

    monkeypatch.setattr(training, "labeled_batches", noted)
    seen = []
    for name in ("simmatch", "supervised-levels"):
        artifact, _ = trained(made, learner(made, name))
        assert artifact.meta["steps"] == len(drawn) == 9
        seen.append(list(drawn))
        drawn.clear()
    assert seen[0] == seen[1]


def test_the_papers_adamatch_sees_labeled_images_twice(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weak views are those of the usual variant; the strong ones are crops that overlap them."""
    drawn: list[list[Any]] = []
    batches = training.labeled_batches

    def noted(*words: Any) -> Any:
        for rows, crops in batches(*words):
            drawn.append([crop.numpy() for crop in crops])
            yield rows, crops

    monkeypatch.setattr(training, "labeled_batches", noted)
    found = {}
    for variant in ("common", "paper"):
        trained(made, learner(made, "adamatch", variant=variant))
        found[variant] = list(drawn)
        drawn.clear()
    assert all(len(crops) == 1 for crops in found["common"]) and all(len(crops) == 2 for crops in found["paper"])
    for (weak,), (same, strong) in zip(found["common"], found["paper"], strict=True):
        np.testing.assert_array_equal(weak, same)
        assert strong.shape == weak.shape and not np.array_equal(strong, weak)


def test_unlabeled_rows_are_drawn_from_the_unlabeled_side(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def noted(*words: Any) -> Any:
        found = unlabeled_images(*words)
        sizes.append(len(found))
        return found

    unlabeled_images = training.unlabeled_images
    monkeypatch.setattr(training, "unlabeled_images", noted)
    for include, sides in (("auto", 2), ("auto", 1), ("always", 2), ("never", 1)):
        trained(made, learner(made, "fixmatch", include_labelled=include), counts={"sides": sides})
    assert sizes == [N_UNLABELED, N_UNLABELED + N_LABELED, N_UNLABELED + N_LABELED, N_UNLABELED]


def test_the_average_follows_the_weights(made: ModuleType) -> None:
    own = learner(made, "fixmatch")
    network = build_level_network(contexts(made, own)["matching"], None)
    trainee = LevelTrainee(network, 0.75, {}, 0)
    expected = {name: value.detach().clone() for name, value in network.named_parameters()}
    for _ in range(3):
        with torch.no_grad():
            for value in network.parameters():
                value.add_(torch.randn_like(value))
        trainee.follow()
        for name, value in network.named_parameters():
            expected[name] = 0.75 * expected[name] + 0.25 * value.detach()
    assert trainee.averaged is not None and trainee.judge is trainee.averaged
    for name, value in trainee.averaged.named_parameters():
        torch.testing.assert_close(value, expected[name])
        assert not value.requires_grad
    assert LevelTrainee(network, 0.0, {}, 0).judge is network


@pytest.mark.parametrize("name", ["simmatch", "comatch"])
@pytest.mark.parametrize("options", [{"teacher": "ema"}, {"projectors": 3}, {"align_target": "model"}])
def test_options_train(made: ModuleType, name: str, options: dict[str, Any]) -> None:
    if name == "comatch" and "teacher" in options:
        pytest.skip("SimMatch's option")
    artifact, _ = trained(made, learner(made, name, **options))
    assert all(np.isfinite(value).all() for value in artifact.tensors.values())


def test_an_averaged_teacher_needs_an_average(made: ModuleType) -> None:
    with pytest.raises(InputError, match="teacher: got ema; it needs averaged weights"):
        trained(made, learner(made, "simmatch", teacher="ema", ema_decay=0.0))


# Bad input


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("fixmatch", {"batch_size": 10}, "9 labeled images are fewer than one batch.*batch_size 10"),
        ("supervised-levels", {"batch_size": 10}, "9 labeled images are fewer than one batch"),
        ("fixmatch", {"unlabeled_ratio": 4}, "14 unlabeled images are fewer than one batch of 16"),
        ("fixmatch", {"crop": 5}, "Parameter crop"),
    ],
)
def test_sets_smaller_than_a_batch_are_refused(
    made: ModuleType, name: str, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        trained(made, learner(made, name, **params))


def test_a_level_without_labeled_images_is_allowed_and_said(made: ModuleType) -> None:
    labeled = made.labeled_set(made.noise(N_LABELED))
    low = replace(labeled, score01=labeled.score01 / 2)
    _, context = trained(made, learner(made, "fixmatch"), labeled=low)
    assert any("no labeled image is of level" in line for line in context.report.lines)
    flat = replace(labeled, score01=np.full(N_LABELED, 0.5))
    with pytest.raises(InputError, match="All 9 labeled images are of level 2"):
        trained(made, learner(made, "fixmatch"), labeled=flat)


# Prediction and second stage


def test_the_prediction_is_the_expected_level_over_the_test_crops(made: ModuleType) -> None:
    own = learner(made, "fixmatch", test_crops=3)
    artifact, _ = trained(made, own)
    images = made.image_set(made.noise(4, seed=9))
    predictor = own.model.made(own.params, artifact, CPU)
    shares = predictor.shares(images)
    np.testing.assert_allclose(shares.sum(1), 1)
    expected = quality_of(shares @ np.arange(5), 5, "nearest")
    np.testing.assert_array_equal(predictor.predict(images), expected)
    judgement = predictor.judge(images)
    np.testing.assert_array_equal(judgement.quality, expected)
    assert isinstance(predictor, ClassPredictor) and predictor.n_classes == 5
    assert judgement.classes is not None and judgement.classes.tolist() == shares.argmax(1).tolist()
    with pytest.raises(InputError, match="no model before its stage"):
        own.model.made(own.params, None, CPU)


@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_the_student_learns_labels_and_what_the_first_stage_says(made: ModuleType, threshold: float) -> None:
    own = learner(made, "fixmatch", stage2=True, stage2_threshold=threshold)
    first, second = own.stages()
    assert (first.name, second.name, second.inputs) == ("matching", "student", ("matching",))
    handed = contexts(made, own)
    matched = first.run(handed["matching"])
    student = second.run(replace(handed["student"], inputs={"matching": matched}))
    assert student.meta["steps"] == 6
    said = handed["student"].report.lines
    assert any(f"{0 if threshold else N_UNLABELED} of {N_UNLABELED} unlabeled images get a label" in x for x in said)
    comparator = learner(made, "supervised-levels", stage2=True)
    alone = comparator.stages()[1]
    again = alone.run(contexts(made, comparator)["student"])
    same = all(np.array_equal(again.tensors[key], value) for key, value in student.tensors.items())
    assert again.meta["steps"] == 6 and same == bool(threshold)  # with no pseudo-label they are one training


def test_ratings_are_asked_for_where_levels_are_made_of_them(made: ModuleType) -> None:
    assert not learner(made, "fixmatch").needs.distribution and FixMatch.needs.unlabeled
    assert learner(made, "fixmatch", label_rule="mode").needs.distribution
    needs = learner(made, "supervised-levels", label_encoding="rating_histogram").needs
    assert needs.distribution and not needs.unlabeled


@pytest.mark.parametrize("name", [*SIX, "supervised-levels", "oracle-levels"])
@pytest.mark.parametrize("recipe", ["paper", "iqa", "usb_cv", "demo", "check"])
def test_entries_have_what_their_stages_read(name: str, recipe: str) -> None:
    resolved = REGISTRY.resolve_method(name, recipe if recipe != "iqa" else None)
    kind = load_object(resolved.class_path)
    assert issubclass(kind, MatchingLearner if name in SIX else SupervisedLevels)
    for stage in kind({**resolved.params, "stage2": True}).stages():
        assert set(stage.params) <= set(resolved.params)
        assert len(stage.params) == len(set(stage.params))
        assert stage.run.__module__ in (kind.__module__, "ssliqa_bench.methods.matching.student")


def test_recipe_paper_holds_the_numbers_of_the_specification() -> None:
    shared = {
        "backbone": "timm:vit_small_patch16_224.augreg_in21k_ft_in1k",
        "pretrained": True, "crop": 224, "levels": 5, "threshold": 0.95,
        "policy": "quality_preserving", "optimizer": "adam", "batch_size": 64, "unlabeled_ratio": 7,
    }  # fmt: skip
    own: dict[str, dict[str, Any]] = {
        "fixmatch": {},
        "adamatch": {"threshold": 0.9, "variant": "paper", "align_decay": 0.999, "unlabeled_ratio": 3},
        "freematch": {"fairness_weight": 0.01, "decay": 0.999, "fairness_sign": "published", "clip": "none"},
        "comatch": {"temperature": 0.2, "smoothing": 0.9, "graph_threshold": 0.8, "align_target": "uniform",
                    "align_window": 32, "queue_batches": 32, "dimensions": 64, "projectors": 1},
        "simmatch": {"temperature": 0.1, "smoothing": 0.9, "bank_momentum": 0.7, "align_target": "uniform",
                     "align_window": 32, "teacher": "temporal", "dimensions": 128},
        "crmatch": {"distance_weight": 1.0, "rotation_weight": 1.0},
        "supervised-levels": {},
    }  # fmt: skip
    for name, numbers in own.items():
        params = REGISTRY.resolve_method(name, "paper").params
        assert {key: params[key] for key in {**shared, **numbers}} == {**shared, **numbers}, name


def test_the_model_is_counted_without_the_heads_of_training(made: ModuleType) -> None:
    own = learner(made, "crmatch")
    artifact, context = trained(made, own)
    plain = sum(value.size for value in artifact.tensors.values())
    network = build_level_network(context, None)
    assert isinstance(network, HeadedModel) and isinstance(network.model, LevelModel)
    assert plain == sum(p.numel() for p in network.model.parameters())
    assert own.model.made(own.params, artifact, CPU).n_parameters == plain


VIT = {
    "class": "ssliqa_bench.training.backbones.timm:TimmBackbone",
    "arguments": {"name": "vit_tiny_patch16_224", "depth": 1, "embed_dim": 24, "num_heads": 2},
}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("comatch", {"token_drop": 0.5}),
        ("crmatch", {"token_drop": 0.5}),
        ("simmatch", {"token_drop": 0.5, "teacher": "ema"}),
        ("fixmatch", {"policy": "classic"}),
    ],
)
def test_a_vit_learns_with_either_policy(made: ModuleType, name: str, params: dict[str, Any]) -> None:
    own = learner(made, name, backbone=VIT, crop=224, epochs=1, epoch_steps=2, batch_size=2, layer_decay=0.65, **params)
    artifact, _ = trained(made, own)
    predicted = own.model.made(own.params, artifact, CPU).predict(made.image_set(made.noise(2, seed=9)))
    assert np.isfinite(predicted).all() and predicted.std() > 0
    again, _ = trained(made, own)
    assert all(np.array_equal(value, again.tensors[key]) for key, value in artifact.tensors.items())


@pytest.mark.parametrize("name", SIX)
def test_under_half_precision_the_state_is_float32(made: ModuleType, name: str) -> None:
    artifact, context = trained(made, learner(made, name), precision="bfloat16")
    held = {key: value for key, value in context.checkpoints.state.tensors.items() if ".held." in key}
    assert all(value.dtype in (np.float32, np.int64, np.bool_) for value in held.values())
    assert all(np.isfinite(value).all() for value in (*artifact.tensors.values(), *held.values()))
