from __future__ import annotations

import os

import numpy as np
import pytest

from ssliqa_bench.errors import RunError
from ssliqa_bench.models import predict as module
from ssliqa_bench.models.predict import chunks, predict_set
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import FloatArray, Judgement


class Memory:
    def __init__(self, n: int) -> None:
        self.hashes = [f"{k:064d}" for k in range(n)]

    def image(self, row: int) -> np.ndarray:
        return np.full((1, 1, 3), row, np.uint8)


class Mean:
    """Predicts the mean of an image, and notes how many images it was given at a time."""

    n_parameters = 0

    def __init__(self, wrong: dict[int, float] | None = None, drop: int = 0) -> None:
        self.seen: list[int] = []
        self.wrong = wrong or {}
        self.drop = drop

    def predict(self, images: ImageSet) -> FloatArray:
        self.seen.append(len(images))
        means = [float(images[k].mean()) for k in range(len(images))]
        return np.array([self.wrong.get(int(mean), mean) for mean in means][: len(means) - self.drop])


def images(n: int) -> ImageSet:
    source = Memory(n)
    return ImageSet((source, row) for row in range(n))


@pytest.mark.parametrize("n", [0, 1, 4, 5, 9])
def test_every_image_is_predicted_once_in_order_a_chunk_at_a_time(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 4)
    model = Mean()
    assert np.array_equal(predict_set(model, images(n)).quality, np.arange(n, dtype=float))
    assert sum(model.seen) == n and all(size <= 4 for size in model.seen)
    assert [rows.tolist() for rows, _ in chunks(images(n))] == [list(range(n))[k : k + 4] for k in range(0, n, 4)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_prediction_that_is_not_finite_stops_the_run(value: float) -> None:
    with pytest.raises(RunError, match="1 predictions are not finite .first: image 3"):
        predict_set(Mean({3: value}), images(6))


def test_another_number_of_predictions_stops_the_run() -> None:
    with pytest.raises(RunError, match=r"shape \(5,\) for 6 images"):
        predict_set(Mean(drop=1), images(6))


class SlowMean(Mean):
    def remake(self) -> type[Mean]:
        return Mean


def test_processes_share_the_images_of_a_slow_model_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WORTHWHILE", 0.0)
    model = SlowMean()
    assert np.array_equal(predict_set(model, images(77), processes=2).quality, np.arange(77, dtype=float))
    assert sum(model.seen) == module._SHARE, "only the first few were judged here"


@pytest.mark.parametrize("model", [Mean(), SlowMean()], ids=["quick model", "little work"])
def test_no_process_is_started_where_it_would_not_help(model: Mean, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_Processes", None)
    assert np.array_equal(predict_set(model, images(20), processes=2).quality, np.arange(20, dtype=float))


class Parity(Mean):
    """Also says whether the mean is odd."""

    n_classes = 2

    def judge(self, images: ImageSet) -> Judgement:
        quality = self.predict(images)
        return Judgement(quality, (quality % 2).astype(np.int64))


class SlowParity(Parity):
    def remake(self) -> type[Parity]:
        return Parity


@pytest.mark.parametrize(("model", "processes"), [(Parity(), 1), (SlowParity(), 2)], ids=["alone", "shared"])
def test_classes_come_with_the_predictions_from_one_look_at_each_image(
    model: Parity, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WORTHWHILE", 0.0)
    said = predict_set(model, images(41), processes)
    assert np.array_equal(said.quality, np.arange(41.0))
    assert said.classes is not None and np.array_equal(said.classes, np.arange(41) % 2)
    assert sum(model.seen) == (41 if processes == 1 else module._SHARE)
    assert predict_set(Mean(), images(3)).classes is None


def test_another_number_of_classes_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parity, "judge", lambda self, images: Judgement(self.predict(images), np.zeros(2, int)))
    with pytest.raises(RunError, match=r"classes of shape \(2,\) for 6 images"):
        predict_set(Parity(), images(6))


class Broken:
    n_parameters = 0

    def predict(self, images: ImageSet) -> FloatArray:
        os._exit(1)


class SlowBroken(Mean):
    def remake(self) -> type[Broken]:
        return Broken


def test_a_process_that_dies_stops_the_run_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WORTHWHILE", 0.0)
    with pytest.raises(RunError, match="died"):
        predict_set(SlowBroken(), images(40), processes=2)


def test_images_without_a_finite_prediction_are_told_by_position() -> None:
    with pytest.raises(module.NotFiniteError) as caught:
        predict_set(Mean({3: float("nan"), 5: float("inf")}), images(8))
    assert caught.value.images == [3, 5] and list(caught.value.names) == list(range(8))


class Gap(Mean):
    """Predicts how far an image lies above its reference, and notes the references of each chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[int] = []

    def predict(self, images: ImageSet) -> FloatArray:
        self.seen.append(len(images))
        self.references.append(len(images.references.distinct()[0]))
        return np.array([int(images[k][0, 0, 0]) - int(images.references[k][0, 0, 0]) for k in range(len(images))])


class SlowGap(Gap):
    def remake(self) -> type[Gap]:
        return Gap


@pytest.mark.parametrize("processes", [1, 2])
def test_images_of_one_reference_come_together_and_keep_their_places(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 10)
    monkeypatch.setattr(module, "_WORTHWHILE", 0.0)
    source, model = Memory(60), SlowGap()
    of = [k % 6 for k in range(60)]  # ten images of each of six references, scattered
    pairs = ImageSet(((source, k) for k in range(60)), ((source, k) for k in of))
    assert np.array_equal(predict_set(model, pairs, processes).quality, np.arange(60.0) - of)
    if processes == 1:
        assert model.references == [1] * 6
