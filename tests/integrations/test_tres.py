"""TReS: pyiqa's architecture, number for number, without its own cropping."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.methods.ssliqa.branches import Branch
from ssliqa_bench.methods.ssliqa.distributions import branch_quality
from ssliqa_bench.training.backbones.weights import load_weights


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """The module under test; importing it imports pyiqa."""
    pytest.importorskip("pyiqa")
    from ssliqa_bench.integrations import tres

    return tres


@pytest.fixture(scope="module")
def network(module: ModuleType) -> Any:
    torch.manual_seed(0)
    return module.TReS()


CROPS = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [False, True])
def test_it_is_pyiqas_forward_on_crops_as_they_are(
    module: ModuleType, network: Any, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random_crop", "uniform_crop"):
        monkeypatch.setattr(module.tres_arch, name, lambda crops, size, number: crops)
    monkeypatch.setattr(network.tres, "test_sample", 1)
    network.train(training)
    with torch.no_grad():
        torch.manual_seed(2)
        features, quality, consistency = network.judge(CROPS)
        torch.manual_seed(2)
        output = network.tres(CROPS)
    score, own = output if training else (output, torch.zeros(()))
    torch.testing.assert_close(quality, torch.sigmoid(score[:, 0]))
    torch.testing.assert_close(consistency, own)
    assert features.shape == (2, 2048) and (features >= 0).all() and (float(own) > 0) == training


def test_it_draws_no_numbers_from_numpy(network: Any) -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    with torch.no_grad():
        network.train().judge(CROPS)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


def test_its_distribution_has_normal_shape_about_its_quality(network: Any) -> None:
    branch = Branch(network, [], 5, 0.6).eval()
    assert sum(p.numel() for p in branch.parameters()) == 152_452_265
    with torch.no_grad():
        seen = branch((CROPS * 255).round().to(torch.uint8))
        torch.testing.assert_close(seen.shares.sum(1), torch.ones(2))
        assert not seen.own_loss.any() and branch_quality(seen.shares).std() < 1


def test_its_resnet_starts_from_a_weights_file(module: ModuleType, network: Any, tmp_path: Any) -> None:
    from torchvision import models

    torch.manual_seed(4)
    weights = models.resnet50(weights=None).state_dict()
    torch.save(weights, tmp_path / "resnet50.pth")
    built = module.TReS()
    load_weights(built, str(tmp_path / "resnet50.pth"))
    assert all(torch.equal(value, weights[name]) for name, value in built.tres.model.state_dict().items())


def test_other_crops_are_refused(network: Any) -> None:
    with pytest.raises(ValueError, match="224×224"):
        network.judge(CROPS[:, :, :160, :160])


def test_channels_may_lie_last_in_memory(network: Any) -> None:
    with torch.no_grad():
        plain = network.eval().judge(CROPS)
        last = network.judge(CROPS.contiguous(memory_format=torch.channels_last))
    for one, other in zip(plain, last, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
