"""How many pairs of images two columns order alike, in n log n: per image, and for a whole batch of draws at once.

Two different ranks of the first column differ first in one of their binary digits. Digit by digit, images that share
the digits before it are taken together in the order of the second column; how many of the other half lie below an
image then follows from a running sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.types import FloatArray, IntArray

Counts = NDArray[np.int32]


@dataclass(frozen=True)
class _Digit:
    """The images sorted by the digits before this one, then by the second column.

    Attributes:
        order: rows in that order.
        upper: whether the digit is 1, shape (n,), in that order.
        blocks: positions at which images with other leading digits start, and n.
        low, high: for each position, where its run of equal values of the second column starts and ends.
    """

    order: IntArray
    upper: NDArray[np.bool_]
    blocks: IntArray
    low: IntArray
    high: IntArray


def _digits(x: IntArray, y: IntArray) -> Iterator[_Digit]:
    in_y = np.argsort(y, kind="stable")
    for digit in range(int(x.max()).bit_length()):
        order = in_y[np.argsort(x[in_y] >> (digit + 1), kind="stable")]
        ranks, values = x[order], y[order]
        shared = ranks >> (digit + 1)
        new_block = np.concatenate([[True], shared[1:] != shared[:-1]])
        new_value = new_block | np.concatenate([[True], values[1:] != values[:-1]])
        starts = np.append(np.flatnonzero(new_value), len(x))
        run = np.cumsum(new_value) - 1
        yield _Digit(order, (ranks >> digit & 1).astype(bool), np.append(np.flatnonzero(new_block), len(x)),
                     starts[run], starts[run + 1])


def dense_ranks(values: FloatArray) -> IntArray:
    """Ranks (n,) from 0, equal values sharing one, without gaps."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def concordance(x: IntArray, y: IntArray) -> IntArray:
    """For each image (n,), how many others both columns order alike, less how many they order the other way round.

    Args:
        x, y: ranks (n,), whole numbers from 0; equal ones are ties and count as neither.
    """
    found = np.zeros(len(x), dtype=np.int64)
    for at in _digits(x, y):
        block = np.repeat(np.arange(len(at.blocks) - 1), np.diff(at.blocks))
        for own, sign in ((at.upper, 1), (~at.upper, -1)):
            others = np.concatenate([[0], np.cumsum(~own)])
            below = others[at.low] - others[at.blocks[block]]
            above = others[at.blocks[block + 1]] - others[at.high]
            found[at.order[own]] += sign * (below - above)[own]
    return found


class PairCounts:
    """Concordant less discordant pairs of weighted images; what does not depend on the weights is prepared once.

    The images must be in increasing order of x: a block of shared digits is then a range of rows.
    """

    def __init__(self, x: FloatArray, y: FloatArray) -> None:
        self._size = len(x)
        self._digits: list[tuple[Any, ...]] = []
        for at in _digits(dense_ranks(x), dense_ranks(y)):
            upper = np.flatnonzero(at.upper)
            tied = bool(np.any(at.high - at.low > 1))
            self._digits.append((at.order, (~at.upper).astype(np.int32), upper, at.blocks, at.low[upper],
                                 at.high[upper] if tied else None))

    def difference(self, weights: Counts) -> FloatArray:
        """For every draw, weights (draws, n), the pairs ordered alike less those ordered the other way round."""
        total = np.zeros(len(weights))
        below, before = np.zeros((2, len(weights), self._size + 1), dtype=np.int32)
        np.cumsum(weights, axis=1, out=before[:, 1:])
        for order, lower, upper, blocks, low, high in self._digits:
            held = weights.take(order, axis=1)
            np.cumsum(held * lower, axis=1, out=below[:, 1:])
            reach = below.take(low, axis=1)
            reach += reach if high is None else below.take(high, axis=1)
            total += np.einsum("ij,ij->i", held.take(upper, axis=1), reach, dtype=np.float64)
            ends = below.take(blocks, axis=1)
            inside = np.diff(before.take(blocks, axis=1) - ends, axis=1)
            total -= np.einsum("ij,ij->i", inside, ends[:, :-1] + ends[:, 1:], dtype=np.float64)
        return total
