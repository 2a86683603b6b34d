"""Kernel ridge regression of 10,000 images with 384 features: the one of SS-IQA against plain NumPy and SciPy.

    python benchmarks/speed/kernel_ridge.py [--images 10000] [--features 384] [--rounds 5]

The time to fit on all images and to predict a block of 1,000 further ones, CPU seconds of one thread. 10,000 is the
most that the recipe `paper` fits on; beyond that it draws a subset. The reference makes the kernel by a matrix product,
factorises it by Cholesky, and shares no code with ours. The largest difference of the predictions is printed beside.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Any

import numpy as np
from measuring import Figure, alternate, ratio, show
from scipy.linalg import cho_factor, cho_solve

from ssliqa_bench.methods.ssiqa.kernel_ridge import fit_kernel_ridge
from ssliqa_bench.runner.devices import prepare_process

BLOCK, PENALTY = 1000, 0.1


def plain(features: Any, scores: Any, block: Any) -> Any:
    """The same regression, step by step."""
    mean, deviation = features.mean(0), features.std(0)
    known, asked = (features - mean) / deviation, (block - mean) / deviation

    def kernel(a: Any, b: Any) -> Any:
        squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :]
        squares -= 2 * a @ b.T
        np.maximum(squares, 0, out=squares)
        squares /= -features.shape[1]
        return np.exp(squares, out=squares)

    matrix = kernel(known, known)
    matrix[np.diag_indices_from(matrix)] += PENALTY
    factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    weights = cho_solve(factor, scores - scores.mean(), check_finite=False)
    return kernel(asked, known) @ weights + scores.mean()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    prepare_process("cpu", 1)
    random = np.random.default_rng(0)
    features = random.normal(size=(options.images, options.features))
    scores = features[:, :20].sum(1) + random.normal(size=options.images)
    block = random.normal(size=(BLOCK, options.features))
    found = {}

    def ours() -> None:
        found["ours"] = fit_kernel_ridge(features, scores, penalty=PENALTY).predict(block)

    def reference() -> None:
        found["reference"] = plain(features, scores, block)

    taken = alternate({"ours": ours, "NumPy and SciPy": reference}, options.rounds)
    difference = float(np.abs(found["ours"] - found["reference"]).max())
    rows = [[name, f"{statistics.median(own):.2f}"] for name, own in taken.items()]
    words = f"speed of the plain form, {options.images:,} × {options.features}"
    figures = [
        Figure(f"ours over the {words}", ratio(taken["NumPy and SciPy"], taken["ours"])),
        Figure("largest difference of the predictions", difference),
    ]
    return show(("", "CPU s"), rows, figures, rounds=options.rounds)


if __name__ == "__main__":
    sys.exit(main())
