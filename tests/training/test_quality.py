"""Quality models: how they begin, how they are trained on scores, how they are read through views."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.training import quality
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.loop import Schedule, drawn_rows
from ssliqa_bench.training.quality import (
    QualityPredictor,
    build_backbone,
    build_model,
    read_views,
    stored_model,
    train_on_scores,
)
from ssliqa_bench.training.views import View, draw
from ssliqa_bench.training.views import test_crops as fixed_crops
from ssliqa_bench.types import Artifact, derive_seed

CPU = torch.device("cpu")


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(module_tensors(one).items(), module_tensors(other).items(), strict=True)
    return all(a == b and np.array_equal(x, y) for (a, x), (b, y) in pairs)


def test_the_model_before_training_follows_the_seed_alone(made: ModuleType) -> None:
    torch.manual_seed(1)
    first = build_model(made.context("initial", seed=3))
    torch.manual_seed(2)
    assert equal(first, build_model(made.context("teacher", seed=3, params={"lr": 1.0})))
    assert not equal(first, build_model(made.context("initial", seed=4)))
    assert first.training and isinstance(first, QualityModel)


def test_a_crop_that_the_network_does_not_take_is_said(made: ModuleType) -> None:
    with pytest.raises(InputError, match="Parameter crop: .* 9×9 pixels"):
        build_model(made.context(params={"crop": 9}))
    vit = {"class": "ssliqa_bench.training.backbones.timm:TimmBackbone", "arguments": {"name": "test_vit3"}}
    with pytest.raises(InputError, match="Parameter crop: .* 96×96 pixels"):
        build_model(made.context(params={"backbone": vit, "crop": 96}))


def test_pretrained_weights_are_the_start_where_a_file_is_given(made: ModuleType, tmp_path: Any) -> None:
    torch.manual_seed(11)
    source = build_backbone(made.BACKBONE)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    model = build_model(made.context(weights={"backbone": str(tmp_path / "weights.pth")}))
    assert equal(model.backbone, source)
    plain = build_model(made.context())
    assert equal(model.head, plain.head) and not equal(plain.backbone, source)


def test_a_stored_model_is_the_one_that_was_stored(made: ModuleType) -> None:
    model = build_model(made.context())
    loaded = stored_model(Artifact({**module_tensors(model), "labels.0": np.zeros(2)}), made.BACKBONE, CPU)
    assert equal(model, loaded) and not loaded.training


def test_views_are_read_as_means_over_an_images_crops(made: ModuleType) -> None:
    images = made.image_set(made.noise(19))  # more than one forward pass
    model = build_model(made.context())
    view = View(13, 3)
    values, features = read_views(model, images, lambda rows: draw(images, rows, view, 0, "weak"), CPU)
    assert values.dtype == features.dtype == np.float64 and values.shape == (19,) and features.shape == (19, 6)
    model.eval()
    for k in range(19):
        with torch.no_grad():
            outputs = [model(crop[None]) for crop in draw(images, [k], view, 0, "weak")]
        assert values[k] == pytest.approx(np.mean([float(q) for q, _ in outputs]), rel=1e-5, abs=1e-7)
        expected = np.mean([f[0].numpy() for _, f in outputs], axis=0)
        np.testing.assert_allclose(features[k], expected, rtol=1e-4, atol=1e-6)


def test_a_predictor_means_over_the_fixed_test_crops_without_dropout(made: ModuleType) -> None:
    source = made.noise(5)
    images = made.image_set(source)
    model = build_model(made.context())
    predictor = QualityPredictor(model, View(13, 4), CPU)
    predicted = predictor.predict(images)
    with torch.no_grad():
        crops = fixed_crops(images, range(5), View(13, 4))
        expected = model.eval()(crops)[0].double().numpy().reshape(5, 4).mean(1)
    np.testing.assert_allclose(predicted, expected, rtol=1e-6)
    np.testing.assert_array_equal(predicted, predictor.predict(images))
    assert predictor.n_parameters == sum(v.numel() for v in model.state_dict().values())


class Recorder(nn.Module):
    """Predicts one number and keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))
        self.seen: list[torch.Tensor] = []

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, None]:
        self.seen.append(crops)
        return self.value.expand(len(crops)), None


def test_every_crop_is_trained_on_its_images_score(made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    images, scores = made.image_set(made.noise(6)), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    targets: list[torch.Tensor] = []

    def loss(prediction: torch.Tensor, target: torch.Tensor, beta: float) -> torch.Tensor:
        targets.append(target)
        assert beta == 0.25
        return (prediction - target).square().mean()

    monkeypatch.setattr(quality, "smooth_l1", loss)
    context = made.context("phase-1", params={"smooth_l1_beta": 0.25})
    model, view = Recorder(), View(13, 2, flip=True)
    rows = {0: np.array([5, 0, 3, 1, 1]), 1: np.array([2, 2, 2, 4, 0])}
    facts = train_on_scores(model, images, scores, rows.__getitem__, 5, Schedule(2, 1e-3), view, context)
    assert facts["steps"] == 4
    assert [t.tolist() for t in targets] == [
        pytest.approx(np.repeat(scores[part], 2).tolist()) for part in ([5, 0, 3, 1], [1], [2, 2, 2, 4], [0])
    ]
    purpose = (context.seed, "phase-1", "strong")
    assert torch.equal(model.seen[0], draw(images, [5, 0, 3, 1], view, *purpose, 0))
    assert torch.equal(model.seen[2], draw(images, [2, 2, 2, 4], view, *purpose, 1, visits=[0, 1, 2, 0]))
    # An image that an epoch comes by again is not shown in the same crops again.
    assert not torch.equal(model.seen[1], model.seen[0][6:]) and not torch.equal(model.seen[2][:2], model.seen[2][2:4])


def test_training_on_scores_is_a_plain_loop(made: ModuleType) -> None:
    labeled = made.labeled_set(made.noise(7))
    context = made.context(params={"epochs": 3})
    view = View(13, 2, flip=True)

    def rows(epoch: int) -> Any:
        return drawn_rows(7, 7, epoch, "rows")

    model = build_model(context)
    train_on_scores(model, labeled.images, labeled.score01, rows, 7, Schedule(3, 1e-2), view, context)

    plain = build_model(context)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-2)
    for epoch in range(3):
        torch.manual_seed(derive_seed(context.seed, "initial", "epoch", epoch))
        for batch in (rows(epoch)[:4], rows(epoch)[4:]):
            crops = draw(labeled.images, batch, view, context.seed, "initial", "strong", epoch)
            target = torch.tensor(np.repeat(labeled.score01[batch], 2), dtype=torch.float32)
            optimizer.zero_grad()
            nn.functional.smooth_l1_loss(plain(crops)[0], target).backward()
            optimizer.step()
    assert equal(model, plain)
    assert not equal(model, build_model(context))


def test_mixed_precision_gives_nearly_the_same(made: ModuleType) -> None:
    labeled = made.labeled_set(made.noise(7))
    view, models, every = View(13, 2, flip=True), {}, np.arange(7)
    for precision in ("float32", "bfloat16"):
        context = made.context(precision=precision)
        model = models[precision] = build_model(context)
        train_on_scores(model, labeled.images, labeled.score01, lambda _: every, 7, Schedule(2, 1e-3), view, context)
        assert all(value.dtype == torch.float32 for value in model.state_dict().values())

    def crops(rows: Any) -> torch.Tensor:
        return draw(labeled.images, rows, view, 0)

    exact = read_views(models["float32"], labeled.images, crops, CPU)
    rough = read_views(models["float32"], labeled.images, crops, CPU, "bfloat16")
    trained = read_views(models["bfloat16"], labeled.images, crops, CPU)
    for values, mixed in zip(exact, rough, strict=True):
        assert mixed.dtype == np.float64 and not np.array_equal(values, mixed)
        np.testing.assert_allclose(mixed, values, rtol=0.05, atol=0.02)
    np.testing.assert_allclose(trained[0], exact[0], rtol=0.05, atol=0.02)
