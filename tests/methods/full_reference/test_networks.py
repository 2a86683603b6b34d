"""Both networks: counts of the paper, what the streams read, positions, gradients, statistics, bad parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.full_reference.networks import (
    NETWORKS,
    ConformerNetwork,
    FullReferenceModel,
    NetworkSizes,
    PairNetwork,
    TransformerNetwork,
    make_pair_model,
)
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.resolve import learner_params
from ssliqa_bench.testing.random_weights import random_weights

SMALL = NetworkSizes(channels=6, width=16, heads=4, hidden=24, head=8, dropout=0.1, grid=5)
BOTH = pytest.mark.parametrize("name", NETWORKS)


def small(name: str, **sizes: Any) -> PairNetwork:
    torch.manual_seed(4)
    return NETWORKS[name](replace(SMALL, **sizes)).eval()


def maps(n: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps of references and of images."""
    random = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, n, SMALL.channels, SMALL.grid, SMALL.grid, generator=random)
    return first, second


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def paper() -> dict[str, FullReferenceModel]:
    """Both models of the recipe `paper`, random values in place of the extractor's weights."""
    registry, made = load_registry(), {}
    for name in NETWORKS:
        method = registry.resolve_method(f"iqa-{name}", "paper")
        with random_weights():
            made[name] = make_pair_model(name, learner_params(method, registry.backbones_of(method)))
    return made


def test_counts_of_the_conformer(paper: dict[str, FullReferenceModel]) -> None:
    model, network = paper["conformer"], paper["conformer"].network
    assert isinstance(network, ConformerNetwork)
    assert count(network.projection) == 245_888
    assert network.positions.numel() == 56_448
    assert count(network.encoder) == 386_944 == 2 * 131_968 + 66_304 + 56_448 + 256
    assert count(network.decoder) == 453_248 == 386_944 + 66_304
    assert count(network.head) == 16_641
    assert count(network) == 1_159_169 == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert count(model.extractor) == 1_672_672
    assert count(model) == 2_831_841


def test_counts_of_the_transformer(paper: dict[str, FullReferenceModel]) -> None:
    model, network = paper["transformer"], paper["transformer"].network
    assert isinstance(network, TransformerNetwork)
    assert count(network.projection) == 245_888
    assert network.quality.numel() == 256
    assert network.positions.numel() == 56_576
    assert count(network.encoder) == 330_112 == 66_304 + 263_552 + 256
    assert count(network.decoder) == 396_416 == 330_112 + 66_304
    assert count(network) == 1_045_889 == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert count(model) == 2_718_561


def test_training_mode_moves_the_convolutions_statistics_and_nothing_else(
    paper: dict[str, FullReferenceModel],
) -> None:
    model = paper["conformer"].train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    for seed in range(2):
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            model(*torch.rand(2, 1, 3, 192, 192, generator=random))
    moved = {name for name, value in model.named_buffers() if not torch.equal(value, before[name])}
    owners = [f"network.{part}.convolution.batch_norm" for part in ("encoder", "decoder")]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert moved == {f"{owner}.{name}" for owner in owners for name in statistics}


@BOTH
def test_a_batch_equals_its_items_one_by_one(name: str) -> None:
    network, (reference, distorted) = small(name), maps(5)
    whole = network(reference, distorted)
    alone = torch.cat([network(reference[k : k + 1], distorted[k : k + 1]) for k in range(5)])
    torch.testing.assert_close(whole, alone, rtol=0, atol=1e-5)
    backwards = network(reference.flip(0), distorted.flip(0)).flip(0)
    torch.testing.assert_close(whole, backwards, rtol=0, atol=1e-5)


@BOTH
@torch.no_grad()
def test_the_decoder_reads_the_reference_and_the_encoder_the_difference(name: str) -> None:
    network, (reference, distorted) = small(name), maps()
    same = network(reference, reference)
    assert bool(same.isfinite().all()) and float(same.std()) > 1e-4  # the value depends on the reference
    assert float((network(reference, distorted) - network(distorted, reference)).abs().min()) > 1e-4
    # Images reach the network through the difference alone, references through both.
    moved = torch.randn(1, SMALL.channels, 1, 1)
    read, difference = network.read(reference), reference - distorted
    torch.testing.assert_close(network.compare(read, difference), network(reference, distorted))
    shifted = network(reference + moved, distorted + moved)
    assert float((shifted - network(reference, distorted)).abs().min()) > 1e-4
    expected = network.compare(network.read(reference + moved), difference)
    torch.testing.assert_close(shifted, expected, rtol=0, atol=1e-5)


@BOTH
@torch.no_grad()
def test_positions_matter_and_nothing_else_knows_of_them_but_the_convolution(name: str) -> None:
    network, pair = small(name), maps()
    rolled = [values.roll((1, 1), (2, 3)) for values in pair]
    assert float((network(*pair) - network(*rolled)).abs().min()) > 1e-4
    nn.init.zeros_(network.positions)
    for path, module in network.named_modules():
        if path.endswith("convolution"):  # a branch that ends in zero adds nothing
            nn.init.zeros_(module.project.weight)
            nn.init.zeros_(module.project.bias)
    torch.testing.assert_close(network(*pair), network(*rolled), rtol=0, atol=1e-5)


@BOTH
def test_everything_that_can_learn_has_a_gradient(name: str) -> None:
    network, (reference, distorted) = small(name, dropout=0.0).train(), maps(8)
    (network(reference, distorted) - torch.linspace(-1, 1, 8)).square().mean().backward()
    sizes = {path: float(p.grad.abs().max()) for path, p in network.named_parameters() if p.grad is not None}
    assert set(sizes) == {path for path, _ in network.named_parameters()}
    # Softmax does not see a shift of all keys, batch norm none of a channel: zero up to rounding, but counted.
    blind = {path for path in sizes if path.endswith(("key.bias", "depthwise.bias"))}
    assert len(blind) == (5 if name == "conformer" else 3)
    least = min(value for path, value in sizes.items() if path not in blind)
    assert least > 1e-6 and max(sizes[path] for path in blind) < 1e-6


def test_the_conformer_is_its_formula() -> None:
    network, (reference, distorted) = small("conformer"), maps()
    assert isinstance(network, ConformerNetwork)
    e, d = network.encoder, network.decoder
    assert d.cross is not None
    table = network.positions.reshape(SMALL.grid, SMALL.grid, SMALL.width)

    def placed(values: torch.Tensor) -> torch.Tensor:
        weight, bias = network.projection.weight, network.projection.bias
        return torch.einsum("dc,ncij->nijd", weight, values) + bias + table

    z = placed(reference - distorted)
    z = z + 0.5 * e.first(z)
    z = z + e.attention(z)
    z = z + e.convolution(z)
    memory = e.norm(z + 0.5 * e.second(z))
    y = placed(reference)
    y = y + 0.5 * d.first(y)
    y = y + d.attention(y)
    y = y + d.cross(y, memory)
    y = y + d.convolution(y)
    last = d.norm(y + 0.5 * d.second(y))
    expected = network.head(last.flatten(1, 2).mean(1))
    torch.testing.assert_close(network(reference, distorted), expected, rtol=1e-5, atol=1e-5)


def test_the_transformer_is_its_formula() -> None:
    network, (reference, distorted) = small("transformer"), maps()
    assert isinstance(network, TransformerNetwork)
    e, d = network.encoder, network.decoder
    assert d.cross is not None

    def placed(values: torch.Tensor, stream: int) -> torch.Tensor:
        weight, bias = network.projection.weight, network.projection.bias
        tokens = torch.einsum("dc,ncij->nijd", weight, values).reshape(3, -1, SMALL.width) + bias  # row by row
        return torch.cat([network.quality[stream].repeat(3, 1, 1), tokens], 1) + network.positions

    z = placed(reference - distorted, 1)
    z = z + e.attention(z)
    memory = e.norm(z + e.feedforward(z))
    y = placed(reference, 0)
    y = y + d.attention(y)
    y = y + d.cross(y, memory)
    last = d.norm(y + d.feedforward(y))
    torch.testing.assert_close(network(reference, distorted), network.head(last[:, 0]), rtol=1e-5, atol=1e-5)


def test_tables_start_from_the_standard_normal_distribution() -> None:
    network = small("transformer", grid=30, width=32)
    assert float(network.positions.mean()) == pytest.approx(0, abs=0.02)
    assert float(network.positions.std()) == pytest.approx(1, abs=0.02)


@BOTH
def test_maps_of_another_grid_are_refused(name: str) -> None:
    reference, distorted = (values[..., :4] for values in maps())
    with pytest.raises(InputError, match=r"Parameter grid: the extractor's maps have 5×4 places; expected 5×5"):
        small(name)(reference, distorted)


def test_parameters_that_do_not_fit_are_refused(params: dict[str, Any], made: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="Parameter heads: got 3; expected a number that divides width, 16"):
        make_pair_model("conformer", {**params, "heads": 3})
    with pytest.raises(InputError, match="Parameter extractor_backbone: gives vectors; expected .*maps-irv2"):
        make_pair_model("conformer", {**params, "extractor_backbone": made.BACKBONE})  # type: ignore[attr-defined]
