"""Batches that are drawn ahead: order, errors, and that no thread outlives its use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ssliqa_bench.training.prefetch import on_device, prefetched


def threads() -> int:
    return sum(thread.name == "batches" for thread in threading.enumerate())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_items_come_in_their_order(count: int) -> None:
    with prefetched(range(count)) as items:
        assert list(items) == list(range(count))
    assert threads() == 0


def test_items_are_made_in_one_other_thread() -> None:
    def makers() -> Iterator[int]:
        for _ in range(5):
            yield threading.get_ident()

    with prefetched(makers()) as items:
        found = set(items)
    assert len(found) == 1 and threading.get_ident() not in found


def test_items_are_made_before_they_are_asked_for_but_not_all() -> None:
    begun: list[int] = []
    third = threading.Event()

    def makers() -> Iterator[int]:
        for k in range(100):
            begun.append(k)
            if k == 2:
                third.set()
            yield k

    with prefetched(makers()) as items:
        assert next(items) == 0
        assert third.wait(20)
        assert len(begun) < 10
    assert threads() == 0


def test_an_error_comes_after_the_items_before_it() -> None:
    def makers() -> Iterator[int]:
        yield 1
        raise ValueError("the second one")

    found = []
    with pytest.raises(ValueError, match="the second one"), prefetched(makers()) as items:
        for item in items:
            found.append(item)
    assert threads() == 0 and found == [1]


def test_the_thread_ends_when_its_user_fails() -> None:
    with pytest.raises(KeyError), prefetched(range(1000)) as items:
        next(items)
        raise KeyError("the user")
    assert threads() == 0


@dataclass(frozen=True)
class Parts:
    number: int
    rows: np.ndarray
    crops: torch.Tensor
    views: tuple[torch.Tensor, ...]
    weights: torch.Tensor | None = None


def test_every_tensor_of_a_batch_moves_to_the_device_and_nothing_else() -> None:
    parts = Parts(3, np.arange(2), torch.ones(2), (torch.ones(1), torch.zeros(1)))
    moved, rows = on_device((parts, [torch.ones(1)]), torch.device("meta"))
    assert moved.crops.is_meta and all(view.is_meta for view in moved.views) and moved.weights is None
    assert moved.number == 3 and moved.rows is parts.rows
    assert not rows[0].is_meta  # a list is no batch of tensors
    assert on_device(parts, torch.device("cpu")).crops is parts.crops
