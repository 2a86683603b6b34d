"""Three small batches as lists, as tensors in float64, and plain arithmetic on lists: another route to every rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ssliqa_bench.methods.matching.parts import LevelBatch

Row = list[float]
B, U, C, D, K = 3, 4, 3, 2, 5  # labeled and unlabeled images of a batch, levels, embedding length, labeled images
ROWS = [[0, 1, 2], [3, 4, 3], [1, 0, 4]]  # positions of the labeled images; the second batch has one twice
LEVELS = [0, 2, 1, 1, 2]  # of the labeled images


def numbers(step: int) -> dict[str, Any]:
    """All inputs of a step as lists, logits wide enough that some predictions are confident."""
    rng = np.random.default_rng(100 + step)

    def units(n: int) -> list[Row]:
        rows = rng.normal(size=(n, D))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).tolist()

    return {
        "rows": ROWS[step],
        "labels": [LEVELS[k] for k in ROWS[step]],
        "labeled_logits": (2 * rng.normal(size=(B, C))).tolist(),
        "weak_logits": (3 * rng.normal(size=(U, C))).tolist(),
        "strong_logits": (2 * rng.normal(size=(U, C))).tolist(),
        "labeled_embeddings": units(B),
        "weak_embeddings": units(U),
        "strong_embeddings": units(U),
        "second_embeddings": units(U),
        "weak_distances": rng.normal(size=(U, D)).tolist(),
        "strong_distances": rng.normal(size=(U, D)).tolist(),
        "rotation_logits": rng.normal(size=(4 * 2, 4)).tolist(),
    }


def batch(given: dict[str, Any], it: int, gradient: bool = False) -> LevelBatch:
    """The same as tensors."""
    tensors = {
        name: torch.tensor(value, dtype=torch.int64 if name in ("rows", "labels") else torch.float64)
        for name, value in given.items()
    }
    if gradient:
        for value in tensors.values():
            if value.is_floating_point():
                value.requires_grad_(True)
    return LevelBatch(it=it, **tensors)


def run(rule: Any, state: dict[str, torch.Tensor], steps: int = 3) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Terms and state after each of some consecutive steps."""
    found = []
    for step in range(steps):
        terms, state = rule.step(state, batch(numbers(step), step))
        found.append((terms, state))
    return found


def softmax(row: Row) -> Row:
    top = max(row)
    weights = [math.exp(value - top) for value in row]
    return [weight / sum(weights) for weight in weights]


def entropy(target: Row, logits: Row) -> float:
    """H(t, z)."""
    return -sum(t * math.log(p) for t, p in zip(target, softmax(logits), strict=True))


def one_hot(level: int) -> Row:
    return [1.0 if k == level else 0.0 for k in range(C)]


def argmax(row: Row) -> int:
    return row.index(max(row))


def mean(values: Row) -> float:
    return sum(values) / len(values)


def column_means(rows: list[Row]) -> Row:
    return [mean(list(column)) for column in zip(*rows, strict=True)]


def norm(values: Row) -> Row:
    return [value / sum(values) for value in values]


def unit(values: Row) -> Row:
    length = math.sqrt(sum(value**2 for value in values))
    return [value / length for value in values]


def dot(first: Row, second: Row) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def mix(decay: float, old: Row, new: Row) -> Row:
    return [decay * a + (1 - decay) * b for a, b in zip(old, new, strict=True)]


def align(row: Row, target: Row, marginal: Row) -> Row:
    return norm([p * (t + 1e-6) / (m + 1e-6) for p, t, m in zip(row, target, marginal, strict=True)])


def supervised(given: dict[str, Any]) -> float:
    return mean([entropy(one_hot(y), z) for y, z in zip(given["labels"], given["labeled_logits"], strict=True)])


def close(found: Any, expected: Any) -> None:
    """Equal to 1e-6."""
    np.testing.assert_allclose(found.detach().double().numpy(), np.array(expected, dtype=float), rtol=0, atol=1e-6)
