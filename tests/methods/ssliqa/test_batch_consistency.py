"""Batch-level consistency against a plain loop over all triples."""

from __future__ import annotations

import importlib.util
from itertools import permutations
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssliqa_bench.methods.ssliqa.batch_consistency import angle_cosines, batch_consistency

Result = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def unit(vector: torch.Tensor) -> torch.Tensor:
    """Its direction; the zero vector has none and stays."""
    length = vector.norm()
    return vector / length if length > 0 else torch.zeros_like(vector)


def plain_loop(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Eq. 3 to 5 as they stand, triple by triple."""
    directions = [
        {(m, n): unit(side[m] - side[n]) for m, n in permutations(range(len(side)), 2)} for side in (student, teacher)
    ]
    total = 0 * (student.sum() + teacher.sum())  # a value to differentiate where all samples are equal
    triples = list(permutations(range(len(student)), 3))
    for m, n, h in triples:
        psi = [side[m, n] @ side[h, n] for side in directions]
        gap = (psi[0] - psi[1]).abs()
        total = total + (gap**2 / 2 if gap < 1 else gap - 0.5)
    return total / len(triples)


def with_gradients(loss: object, student: torch.Tensor, teacher: torch.Tensor) -> Result:
    leaves = student.clone().requires_grad_(), teacher.clone().requires_grad_()
    value = loss(*leaves)  # type: ignore[operator]
    value.backward()
    zeros = [torch.zeros_like(leaf) for leaf in leaves]
    grads = [leaf.grad if leaf.grad is not None else zero for leaf, zero in zip(leaves, zeros, strict=True)]
    return value.detach(), grads[0], grads[1]


def assert_equal(found: Result, expected: Result, tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert torch.isfinite(one).all()
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=tolerance)


@settings(max_examples=30)
@given(
    size=st.integers(3, 9),
    widths=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    offset=st.sampled_from([0.0, 1.0, 100.0]),
    seed=st.integers(0, 1000),
)
def test_value_and_gradient_are_those_of_the_loop(
    size: int, widths: tuple[int, int], offset: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (offset + torch.randn(size, c, dtype=torch.float64, generator=generator) for c in widths)
    assert_equal(
        with_gradients(batch_consistency, student, teacher), with_gradients(plain_loop, student, teacher), 1e-10
    )


@pytest.mark.parametrize("width", [1, 2, 5, 40])
@pytest.mark.parametrize("copies", [[(1, 3)], [(0, 1), (0, 2), (5, 6)], [(k, 0) for k in range(1, 8)]])
@pytest.mark.parametrize("both", [True, False])
def test_repeated_rows(width: int, copies: list[tuple[int, int]], both: bool) -> None:
    torch.manual_seed(width)
    student, teacher = 3 + torch.randn(8, width, dtype=torch.float64), torch.randn(8, 12, dtype=torch.float64)
    for row, source in copies:
        student[row] = student[source]
        if both:
            teacher[row] = teacher[source]
    assert_equal(
        with_gradients(batch_consistency, student, teacher), with_gradients(plain_loop, student, teacher), 1e-10
    )


def test_one_dimensional_features() -> None:
    torch.manual_seed(0)
    for size in (3, 5, 12):
        student, teacher = torch.randn(size, 1, dtype=torch.float64), torch.randn(size, 1, dtype=torch.float64)
        found = with_gradients(batch_consistency, student, teacher)
        assert_equal(found, with_gradients(plain_loop, student, teacher), 1e-10)
        assert set(angle_cosines(student).flatten().round(decimals=12).tolist()) <= {-1.0, 0.0, 1.0}


def test_a_large_batch_of_numbers_has_no_gradient() -> None:
    """Directions on a line do not turn, however close two samples come."""
    torch.manual_seed(1)
    for _ in range(20):
        student, teacher = torch.randn(64, 1, dtype=torch.float64), torch.randn(64, 1, dtype=torch.float64)
        _, one, other = with_gradients(batch_consistency, student, teacher)
        assert one.abs().max() < 1e-10 and other.abs().max() < 1e-10


@pytest.mark.parametrize("widths", [(9, 2048), (256, 2048), (30, 40)])
def test_single_precision_of_features_that_are_nearly_constant(widths: tuple[int, int]) -> None:
    """Non-negative features whose spread is 1 % of their mean, as pooled ReLU features may be."""
    torch.manual_seed(2)
    student, teacher = ((1 + 0.01 * torch.randn(10, c)).clamp_min(0) for c in widths)
    found = with_gradients(batch_consistency, student, teacher)
    assert found[0].dtype == found[1].dtype == torch.float32
    assert_equal(found, with_gradients(plain_loop, student.double(), teacher.double()), 1e-5)
    cosines = angle_cosines(student).double()
    torch.testing.assert_close(cosines, angle_cosines(student.double()), rtol=0, atol=1e-5)


def test_autocast_does_not_lower_the_precision() -> None:
    torch.manual_seed(3)
    student, teacher = 1 + 0.01 * torch.randn(12, 64), 1 + 0.01 * torch.randn(12, 96)
    expected = with_gradients(batch_consistency, student, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = with_gradients(batch_consistency, student, teacher)
    assert_equal(found, expected, 0)
    half = batch_consistency(student.bfloat16(), teacher)
    assert half.dtype == torch.float32


@pytest.mark.parametrize("width", [3, 500])
@pytest.mark.parametrize("distance", [0.0, 1e-30, 1e-9])
def test_equal_and_nearly_equal_samples_have_no_gradient_of_their_own(width: int, distance: float) -> None:
    torch.manual_seed(4)
    student = torch.randn(6, width).repeat(2, 1)
    student[6:] += distance
    teacher = torch.randn(6, 700).repeat(2, 1)
    value, one, other = with_gradients(batch_consistency, student, teacher)
    assert torch.isfinite(value) and torch.isfinite(one).all() and torch.isfinite(other).all()
    assert one.abs().max() < 1 and other.abs().max() < 1
    everything = with_gradients(batch_consistency, torch.ones(5, width), torch.zeros(5, 700))
    assert all(not part.any() for part in everything)


def test_angles_are_those_of_a_triangle() -> None:
    corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    cosines = angle_cosines(corners + 7)
    assert cosines[0, 1, 2].item() == pytest.approx(0.0, abs=1e-12)
    assert cosines[1, 0, 2].item() == pytest.approx(0.6) and cosines[2, 0, 1].item() == pytest.approx(0.8)


def test_similar_figures_agree() -> None:
    """Moved, turned and enlarged features have the same angles."""
    torch.manual_seed(5)
    student = torch.randn(9, 6, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    assert batch_consistency(student, 5 + 3 * student @ turn).item() == pytest.approx(0.0, abs=1e-20)


@pytest.mark.parametrize("sizes", [(2, 2), (4, 5)])
def test_too_few_samples_and_unequal_batches_are_said(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"got {sizes[0]} and {sizes[1]} samples"):
        batch_consistency(torch.randn(sizes[0], 3), torch.randn(sizes[1], 3))


def test_gradients_are_those_of_differences() -> None:
    torch.manual_seed(6)
    student = torch.randn(5, 20, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(batch_consistency, (student, teacher))


@pytest.mark.gpu
def test_on_a_gpu_tf32_is_not_used() -> None:
    torch.manual_seed(7)
    student, teacher = 1 + 0.01 * torch.randn(64, 256), 1 + 0.01 * torch.randn(64, 2048)
    expected = with_gradients(batch_consistency, student.double(), teacher.double())
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        found = with_gradients(batch_consistency, student.cuda(), teacher.cuda())
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    assert_equal(tuple(part.cpu() for part in found), expected, 1e-5)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that measures how fast it is."""
    path = Path(__file__).parents[3] / "benchmarks/speed/batch_consistency.py"
    spec = importlib.util.spec_from_file_location("speed_of_batch_consistency", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_usual_form_of_the_script_is_the_same_loss(script: ModuleType) -> None:
    torch.manual_seed(8)
    student, teacher = torch.randn(7, 30, dtype=torch.float64), torch.randn(7, 50, dtype=torch.float64)
    assert_equal(
        with_gradients(script.usual_form, student, teacher), with_gradients(plain_loop, student, teacher), 1e-10
    )


@pytest.mark.slow
def test_it_is_at_least_fifteen_times_faster_than_the_usual_form(script: ModuleType) -> None:
    times = script.measure(repeats=5)
    assert times["usual form"] / times["Gram matrix"] >= 15
