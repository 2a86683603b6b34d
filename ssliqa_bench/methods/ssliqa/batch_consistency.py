"""Batch-level consistency: two networks see the same angles between the samples of a batch.

Source: Yue et al., "Semi-Supervised Authentically Distorted Image Quality Assessment with Consistency-Preserving
Dual-Branch Convolutional Neural Network", IEEE TMM 25, 2023, Eq. 3 to 5.

For the features s_1 … s_B of a batch and three distinct samples m, n, h let

    ψ(m, n, h) = ⟨(s_m − s_n) / ‖s_m − s_n‖, (s_h − s_n) / ‖s_h − s_n‖⟩,

the cosine of the angle at s_n. The loss is the mean of smooth-L1(ψ_student − ψ_teacher) over all B(B − 1)(B − 2)
ordered triples.

As written, it needs all B² differences of vectors of length C. But with the Gram matrix G_ij = ⟨s_i, s_j⟩

    ⟨s_m − s_n, s_h − s_n⟩ = G_mh − G_mn − G_hn + G_nn    and    ‖s_m − s_n‖² = G_mm + G_nn − 2 G_mn,

so that one product of (B, C) by (C, B) and arithmetic on B³ numbers are enough. Angles do not change when one vector
is taken from all samples, but rounding does: pooled ReLU features are nearly equal positive vectors, and the sums
above would subtract large numbers from each other. The mean of the batch is therefore taken off first, and the
product is made in full precision even where TF32 or autocast is on.

Two samples that are equal have no direction from one to the other: such a unit vector counts as zero, in value and
in gradient. "Equal" means that the squared distance is below the rounding of the Gram matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

LEAST_SAMPLES = 3
# A squared distance below so many units of rounding of the squared lengths is one of equal samples.
_ROUNDING = 32.0


def batch_consistency(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """The loss for features (B, C_s) and (B, C_t) of the same B ≥ 3 samples, a number.

    It is computed in float32, also under autocast, and in float64 where both are float64.

    Raises:
        ValueError: the batches differ in size, or have fewer than three samples.
    """
    size = len(student)
    if len(teacher) != size or size < LEAST_SAMPLES:
        raise ValueError(f"got {size} and {len(teacher)} samples; expected equally many, {LEAST_SAMPLES} or more")
    double = student.dtype == teacher.dtype == torch.float64
    with torch.autocast(student.device.type, enabled=False):
        gaps = angle_cosines(student if double else student.float())
        gaps = gaps - angle_cosines(teacher if double else teacher.float())
        terms = functional.smooth_l1_loss(gaps, torch.zeros_like(gaps), reduction="none")
        # Where two of three coincide, ψ is 0 by construction or, for m = h, 1 in both or in one: left out.
        doubled = terms.diagonal(dim1=1, dim2=2).sum()
        return (terms.sum() - doubled) / (size * (size - 1) * (size - 2))


def angle_cosines(features: torch.Tensor) -> torch.Tensor:
    """ψ(m, n, h) as (B, B, B), indexed [n, m, h], of features (B, C) in float32 or float64.

    It is 0 where m or h equals n, as an index or as a sample.
    """
    centred = features - features.mean(0, keepdim=True)
    if features.shape[1] <= len(features):
        return _from_differences(centred)
    gram = _Gram.apply(centred)
    lengths = gram.diagonal()
    inverse = _inverse_distances(lengths[:, None] + lengths[None, :] - 2 * gram, lengths)
    products = gram[None, :, :] - gram[:, :, None] - gram[:, None, :] + lengths[:, None, None]
    return products * inverse[:, :, None] * inverse[:, None, :]


def _from_differences(centred: torch.Tensor) -> torch.Tensor:
    """Short vectors: their differences take no more room than the angles, and two of B may well lie so close that
    the Gram matrix cannot give their distance."""
    differences = centred[None, :, :] - centred[:, None, :]
    inverse = _inverse_distances(differences.square().sum(2), centred.square().sum(1))
    return _Gram.apply(differences * inverse[:, :, None])


def _inverse_distances(squared: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """1 / distance (B, B) of squared distances; 0 with gradient 0 where two samples are equal."""
    scale = (lengths[:, None] + lengths[None, :]).detach()
    apart = squared.detach() > _ROUNDING * torch.finfo(squared.dtype).eps * scale
    apart.fill_diagonal_(False)
    return torch.where(apart, torch.where(apart, squared, 1.0).rsqrt(), 0.0)


class _Gram(torch.autograd.Function):
    """Products of all rows of a matrix, or of each matrix of several, in full precision in both directions."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(features)
        with _full_precision(features):
            return features @ features.mT

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        (features,) = ctx.saved_tensors
        with _full_precision(features):
            return (gradient + gradient.mT) @ features


@contextmanager
def _full_precision(features: torch.Tensor) -> Iterator[None]:
    """Products in the type of their factors, on CUDA without TF32, whatever is allowed elsewhere."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.autocast(features.device.type, enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
