"""The supervised learner: one stage, whose epochs see every labeled image once."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.supervised import Supervised, initial_schedule, run_initial, strong_view
from ssliqa_bench.training.loop import drawn_rows
from ssliqa_bench.training.quality import QualityPredictor, stored_model
from ssliqa_bench.training.views import View

CPU = torch.device("cpu")


def drawn_by(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The positions of each batch that training draws crops for."""
    from ssliqa_bench.training import quality

    seen: list[list[int]] = []
    draw = quality.draw

    def noted(images: Any, positions: Any, *words: Any, **named: Any) -> Any:
        seen.append([int(p) for p in positions])
        return draw(images, positions, *words, **named)

    monkeypatch.setattr(quality, "draw", noted)
    return seen


def test_each_epoch_sees_each_image_once(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = drawn_by(monkeypatch)
    context = made.context(labeled=made.labeled_set(made.noise(10)), params={"epochs": 3})
    artifact = run_initial(context)
    assert [len(batch) for batch in seen] == [4, 4, 2] * 3 and artifact.meta["steps"] == 9
    epochs = [[*seen[k], *seen[k + 1], *seen[k + 2]] for k in (0, 3, 6)]
    assert all(sorted(rows) == list(range(10)) for rows in epochs) and epochs[0] != epochs[1]


def test_where_another_count_is_declared_an_epoch_has_that_many_images(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle is handed both sides as labeled and keeps the steps of one."""
    seen = drawn_by(monkeypatch)
    labeled = made.labeled_set(made.noise(10))
    artifact = run_initial(made.context(labeled=labeled, counts={"labeled": 6}, params={"epochs": 5}))
    assert [len(batch) for batch in seen] == [4, 2] * 5 and artifact.meta["steps"] == 10
    rows = [row for batch in seen for row in batch]
    assert sorted(rows) == sorted(list(range(10)) * 3)
    assert rows[:6] == drawn_rows(10, 6, 0, 7, "initial", "rows").tolist()


@pytest.mark.parametrize("flip", [False, True])
def test_the_initial_phase_flips_crops_only_where_asked(
    made: ModuleType, monkeypatch: pytest.MonkeyPatch, flip: bool
) -> None:
    from ssliqa_bench.training import quality

    views: list[View] = []
    draw = quality.draw

    def noted(images: Any, positions: Any, view: View, *words: Any, **named: Any) -> Any:
        views.append(view)
        return draw(images, positions, view, *words, **named)

    monkeypatch.setattr(quality, "draw", noted)
    run_initial(made.context(labeled=made.labeled_set(made.noise(4)), params={"initial_flip": flip}))
    assert views and all(view.flip is flip for view in views)


def test_training_follows_the_seed(made: ModuleType) -> None:
    labeled = made.labeled_set(made.noise(8))
    first, again, other = (run_initial(made.context(labeled=labeled, seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(value, again.tensors[name]) for name, value in first.tensors.items())
    assert not any(np.array_equal(value, other.tensors[name]) for name, value in first.tensors.items())


def test_the_schedule_and_the_view_are_made_of_the_parameters(made: ModuleType) -> None:
    params = {
        "epochs": 9,
        "lr": 2e-4,
        "warmup_epochs": 3,
        "lr_step": 3,
        "lr_factor": 0.5,
        "weight_decay": 0.125,
        "optimizer": "adamw",
        "crop": 17,
        "crops": 3,
    }
    context = made.context(params=params)
    schedule = initial_schedule(context)
    assert {name: getattr(schedule, name) for name in params if hasattr(schedule, name)} == {
        name: value for name, value in params.items() if name not in ("crop", "crops")
    }
    assert strong_view(context) == View(17, 3, flip=True)


def test_the_predictor_is_the_stored_model_through_the_test_crops(made: ModuleType) -> None:
    context = made.context(labeled=made.labeled_set(made.noise(8)))
    artifact = run_initial(context)
    learner = Supervised({**context.params, "test_crops": 3})
    images = made.image_set(made.noise(4, seed=9))
    expected = QualityPredictor(stored_model(artifact, made.BACKBONE, CPU), View(13, 3), CPU).predict(images)
    built = learner.model.made(learner.params, artifact, CPU)
    np.testing.assert_array_equal(built.predict(images), expected)
    with pytest.raises(InputError, match="no model before its stage"):
        learner.model.made(learner.params, None, CPU)


def test_it_learns_what_the_scores_say(made: ModuleType) -> None:
    labeled = made.labeled_set(made.noise(16))
    backbone = {**made.BACKBONE, "arguments": {"maps": 8, "width": 40}}
    artifact = run_initial(made.context(labeled=labeled, params={"epochs": 30, "crops": 4, "backbone": backbone}))
    losses = [entry["loss"] for entry in artifact.meta["log"]]
    assert losses[-1] < 0.5 * losses[0]
    model = stored_model(artifact, backbone, CPU)
    predicted = QualityPredictor(model, View(13, 10), CPU).predict(labeled.images)
    assert np.corrcoef(predicted, labeled.score01)[0, 1] > 0.8
