"""Metrics of pyiqa as methods: their own values, turned so that higher is better."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy.stats import spearmanr

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.images import ImageSet

CPU = torch.device("cpu")


class Pictures:
    """A scene at five levels of blur or noise, in memory."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        coarse = rng.uniform(0, 255, (12, 12, 3)).astype(np.uint8)
        scene = Image.fromarray(coarse).resize((144, 132), Image.Resampling.BICUBIC)
        sharp = np.asarray(scene) * 0.8 + rng.normal(25, 6, (132, 144, 1))
        clean = Image.fromarray(sharp.clip(0, 255).astype(np.uint8))
        noisy = [sharp + rng.normal(0, sigma, sharp.shape) for sigma in (0, 15, 30, 60)]
        self.pictures = [np.asarray(clean.filter(ImageFilter.GaussianBlur(2 * level))) for level in range(3)]
        self.pictures += [pixels.clip(0, 255).astype(np.uint8) for pixels in noisy]
        self.hashes = [str(row) for row in range(len(self.pictures))]

    def image(self, row: int) -> np.ndarray:
        return self.pictures[row]


@pytest.fixture(scope="module")
def integration() -> ModuleType:
    """The module under test; importing it imports pyiqa."""
    pytest.importorskip("pyiqa")
    from ssliqa_bench.integrations import pyiqa

    return pyiqa


@pytest.fixture(scope="module")
def images() -> ImageSet:
    source = Pictures()
    return ImageSet((source, row) for row in range(len(source.pictures)))


def test_piqe_is_pyiqas_own_value_negated(integration: ModuleType, images: ImageSet) -> None:
    import pyiqa

    predicted = integration.Metric({"metric": "piqe"}).predictor(None, CPU).predict(images)
    metric = pyiqa.create_metric("piqe", device="cpu")
    assert metric.lower_better
    for k in range(len(images)):
        tensor = torch.tensor(images[k], dtype=torch.float32).permute(2, 0, 1)[None] / 255
        assert predicted[k] == pytest.approx(-float(metric(tensor)), abs=1e-4)
        assert predicted[k] == pytest.approx(-float(metric(Image.fromarray(images[k]))), abs=1e-4)


def test_higher_is_better(integration: ModuleType, images: ImageSet) -> None:
    predicted = integration.Metric({"metric": "piqe"}).predictor(None, CPU).predict(images)
    assert predicted.dtype == np.float64 and np.ptp(predicted) > 5
    assert spearmanr(predicted[3:], [0, 15, 30, 60]).statistic < 0  # more noise, lower value
    assert predicted[:3].tolist() == sorted(predicted[:3], reverse=True)  # more blur, lower value


def test_a_metric_that_is_higher_better_is_not_turned(
    integration: ModuleType, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyiqa

    class Brightness(torch.nn.Module):
        lower_better = False

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            assert pixels.shape[0] == 1 and pixels.min() >= 0 and pixels.max() <= 1
            return pixels.mean()

    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: Brightness())
    predicted = integration.MetricPredictor("piqe", CPU).predict(images)
    expected = [images[k].mean() / 255 for k in range(len(images))]
    np.testing.assert_allclose(predicted, expected, rtol=1e-5)


def test_it_learns_nothing(integration: ModuleType) -> None:
    learner = integration.Metric({"metric": "piqe"})
    assert learner.stages() == [] and not learner.needs.labels and not learner.needs.unlabeled
    assert learner.predictor(None, CPU).n_parameters == 0


@pytest.mark.parametrize("name", ["piqee", "ssim"])
def test_only_no_reference_metrics_are_known(integration: ModuleType, name: str) -> None:
    with pytest.raises(InputError, match=f'no no-reference metric "{name}"'):
        integration.Metric({"metric": name}).predictor(None, CPU)


def test_nothing_is_printed(integration: ModuleType, images: ImageSet, capsys: pytest.CaptureFixture[str]) -> None:
    integration.Metric({"metric": "piqe"}).predictor(None, CPU).predict(images.subset([0]))
    assert capsys.readouterr().out == ""
