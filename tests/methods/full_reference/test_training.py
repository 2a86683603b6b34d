"""Training: average of the last epochs, pass for the batch norms, scale of the labels, resuming, bad parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.full_reference.conformer import IQAConformer, conformer_stage
from ssliqa_bench.methods.full_reference.networks import FullReferenceModel, make_pair_model
from ssliqa_bench.methods.full_reference.training import PairBatch, refresh_batch_norm
from ssliqa_bench.methods.full_reference.transformer import IQATransformer, transformer_stage
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.training.averages import add_to_mean
from ssliqa_bench.training.images import LabeledSet
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact

Pairs = Callable[..., LabeledSet]
STAGES = {"conformer": conformer_stage, "transformer": transformer_stage}
BOTH = pytest.mark.parametrize("name", STAGES)


def run(made: ModuleType, stage: Stage, labeled: LabeledSet, params: dict[str, Any], **fields: Any) -> Artifact:
    """A stage on labeled pairs, handed what it declares and nothing else."""
    assert stage.references and stage.sets == ("labeled",)
    context = made.context(stage.name, labeled=labeled, **fields)
    return stage.run(replace(context, params={name: params[name] for name in stage.params}))


class Epochs:
    """Keeps the checkpoint of every epoch."""

    def __init__(self) -> None:
        self.states: list[Artifact] = []

    def save(self, state: Artifact) -> None:
        self.states.append(state)

    def load(self) -> None:
        return None


@BOTH
def test_weights_are_the_mean_over_the_last_epochs(
    name: str, made: ModuleType, pairs: Pairs, params: dict[str, Any]
) -> None:
    epochs = Epochs()
    labeled = pairs(10)
    artifact = run(
        made, STAGES[name](), labeled, {**params, "fr_epochs": 5, "fr_average_epochs": 3}, checkpoints=epochs
    )
    assert artifact.meta["steps"] == 5 * (10 // 4)  # the incomplete batch is dropped
    network = make_pair_model(name, params).network
    for path, _ in network.named_parameters():
        each = [state.tensors[f"model.network.{path}"].astype(float) for state in epochs.states]
        assert np.ptp(each, axis=0).max() > 0 or path.endswith(("key.bias", "depthwise.bias"))
        np.testing.assert_allclose(artifact.tensors[f"model.network.{path}"], np.mean(each[2:], axis=0), atol=1e-6)


def test_a_mean_of_equals_is_what_they_are(params: dict[str, Any]) -> None:
    network, mean = (make_pair_model("conformer", params).network for _ in range(2))
    for count in range(1, 11):
        add_to_mean(mean, network, count)
    for (path, own), found in zip(network.state_dict().items(), mean.state_dict().values(), strict=True):
        assert torch.equal(own, found), path


def batches(size: int = 4) -> list[PairBatch]:
    """Three batches of pairs for the small network."""
    random = torch.Generator().manual_seed(9)
    return [PairBatch(*torch.rand(2, size, 3, 16, 16, generator=random), torch.zeros(size)) for _ in range(3)]


def watched(model: FullReferenceModel, how: str) -> tuple[list[torch.Tensor], list[bool]]:
    """Refresh, and return what entered the encoder's batch norm, and whether dropout was active."""
    seen, drops = [], []
    norm = model.network.encoder.convolution.batch_norm
    hooks = [
        norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().double())),
        model.network.dropout.register_forward_pre_hook(lambda module, inputs: drops.append(module.training)),
    ]
    refresh_batch_norm(model, batches(), how)
    for hook in hooks:
        hook.remove()
    return seen, drops


@pytest.mark.parametrize("how", ["momentum", "reset"])
def test_the_pass_refreshes_statistics_and_nothing_else(how: str, params: dict[str, Any]) -> None:
    torch.manual_seed(1)
    model = make_pair_model("conformer", params)
    norm = model.network.encoder.convolution.batch_norm
    norm.running_mean.fill_(0.3)
    norm.running_var.fill_(2.0)
    before = {path: value.clone() for path, value in model.named_parameters()}
    seen, drops = watched(model, how)
    assert len(seen) == 3 and set(drops) == {how == "momentum"}
    means = [values.mean((0, 2, 3)) for values in seen]
    variances = [values.var((0, 2, 3), unbiased=True) for values in seen]
    mean, variance = torch.full_like(means[0], 0.3), torch.full_like(means[0], 2.0)
    if how == "reset":
        mean, variance = torch.stack(means).mean(0), torch.stack(variances).mean(0)
    else:
        for own, spread in zip(means, variances, strict=True):
            mean, variance = 0.9 * mean + 0.1 * own, 0.9 * variance + 0.1 * spread
    torch.testing.assert_close(norm.running_mean.double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var.double(), variance, rtol=1e-5, atol=1e-6)
    assert norm.momentum == 0.1 and not any(module.training for module in model.modules())
    assert all(torch.equal(value, before[path]) and value.grad is None for path, value in model.named_parameters())


def test_reset_is_what_pytorch_does_without_dropout(params: dict[str, Any]) -> None:
    class Paired(nn.Module):
        def __init__(self, model: FullReferenceModel) -> None:
            super().__init__()
            self.model = model

        def forward(self, pair: torch.Tensor) -> torch.Tensor:
            return self.model(pair[0], pair[1])

    torch.manual_seed(2)
    first = make_pair_model("conformer", {**params, "fr_dropout": 0.0})
    second = make_pair_model("conformer", {**params, "fr_dropout": 0.0})
    second.load_state_dict(first.state_dict())
    refresh_batch_norm(first, batches(), "reset")
    torch.optim.swa_utils.update_bn([torch.stack([b.reference, b.distorted]) for b in batches()], Paired(second))
    for (path, own), expected in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-6, msg=path)


@BOTH
def test_killed_and_resumed_it_is_the_same(name: str, made: ModuleType, pairs: Pairs, params: dict[str, Any]) -> None:
    labeled, stage = pairs(10), STAGES[name]()
    whole = run(made, stage, labeled, params)
    kept = made.Checkpoints(stop=1)
    for stop in (1, 2, 3):
        kept = made.Checkpoints(stop=stop, state=kept.state)
        with pytest.raises(made.Stopped):
            run(made, stage, labeled, params, checkpoints=kept)
    torch.manual_seed(99)
    resumed = run(made, stage, labeled, params, checkpoints=made.Checkpoints(state=kept.state))
    assert whole.tensors.keys() == resumed.tensors.keys()
    assert all(np.array_equal(whole.tensors[path], resumed.tensors[path]) for path in whole.tensors)


@BOTH
def test_it_learns_at_a_constant_rate_and_by_its_seed(
    name: str, made: ModuleType, pairs: Pairs, params: dict[str, Any]
) -> None:
    labeled = pairs(12)
    first = run(made, STAGES[name](), labeled, {**params, "fr_epochs": 12, "fr_lr": 5e-3, "fr_dropout": 0.0})
    losses = [epoch["loss"] for epoch in first.meta["log"]]
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    assert {epoch["lr"] for epoch in first.meta["log"]} == {5e-3}  # constant
    one, two = (run(made, STAGES[name](), labeled, params, seed=seed) for seed in (7, 8))
    assert not np.array_equal(one.tensors["model.network.positions"], two.tensors["model.network.positions"])


def test_it_learns_in_mixed_precision(made: ModuleType, pairs: Pairs, params: dict[str, Any]) -> None:
    artifact = run(made, conformer_stage(), pairs(10), params, precision="bfloat16")
    assert all(np.isfinite(values).all() for values in artifact.tensors.values())
    assert artifact.tensors["model.network.positions"].dtype == np.float32


def test_labels_are_standardised_by_their_own_or_given_constants(
    made: ModuleType, pairs: Pairs, params: dict[str, Any]
) -> None:
    labeled = pairs(10)
    mean, std = run(made, conformer_stage(), labeled, params).tensors["model.scale"]
    assert mean == pytest.approx(labeled.score01.mean())
    assert std == pytest.approx(np.sqrt(((labeled.score01 - mean) ** 2).sum() / 9))
    given = run(made, conformer_stage(), labeled, {**params, "label_mean": 0.5, "label_std": 0.25})
    assert given.tensors["model.scale"].tolist() == [0.5, 0.25]
    with pytest.raises(InputError, match="by which scores cannot be standardised"):
        run(made, conformer_stage(), replace(labeled, score01=np.full(10, 0.4)), params)


def test_the_constants_of_the_paper_on_the_scale_of_pipal() -> None:
    """docs/methods/conformer.md states them."""
    low, high = load_registry().dataset("pipal").scale
    assert (1448.9595 - low) / (high - low) == pytest.approx(0.578986, abs=1e-6)
    assert 121.5351 / (high - low) == pytest.approx(0.132208, abs=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fr_batch_size": 11}, r"10 labeled images are fewer than one batch \(fr_batch_size 11\)"),
        ({"fr_average_epochs": 4}, "fr_average_epochs: got 4; expected no more than fr_epochs, 3"),
        ({"fr_crop": 20}, "fr_crop: crops of 20×20 pixels give maps of 5×5 places; expected 4×4, the parameter grid"),
        ({"fr_crop": 3}, "crops of 3×3 pixels are smaller than a cell of 4"),
        ({"fr_crop": 24, "grid": 6}, "smaller than the crop of 24×24"),
    ],
)
def test_what_does_not_fit_is_refused(
    changed: dict[str, Any], message: str, made: ModuleType, pairs: Pairs, params: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=message):
        run(made, conformer_stage(), pairs(10), {**params, **changed})


def test_both_learners_need_references_and_count_the_extractor(params: dict[str, Any]) -> None:
    for made, name in ((IQAConformer, "conformer"), (IQATransformer, "transformer")):
        learner = made(params)
        assert learner.needs.references is True
        assert [stage.name for stage in learner.stages()] == [name]
        assert list(learner.networks()) == ["model"]
