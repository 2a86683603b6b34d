"""What it saves to compute a reference's features once for all of its distorted images.

    python benchmarks/speed/reference_features.py [--method iqa-conformer] [--images 8] [--side 288] [--device cpu]

A PIPAL reference has 116 images of 288×288 (`--images 116`). Scores the images of one reference by the recipe `paper`,
random values in place of pretrained weights, in one set and pair by pair. Prints images per second of both and the
largest difference of the scores, and how many times more floating-point operations pair by pair takes. Exits with 1
where that is below 1.5, or the difference above 1e-5. Times are printed only: they depend on the machine's other work.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ssliqa_bench.methods.full_reference.networks import make_pair_model
from ssliqa_bench.methods.full_reference.prediction import FullReferencePredictor
from ssliqa_bench.models.predict import Pictures
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.resolve import learner_params
from ssliqa_bench.training.images import ImageSet

LESS_WORK, DIFFERENCE = 1.5, 1e-5
_ROUNDS = 2


def images_of_one_reference(count: int, side: int) -> ImageSet:
    """A picture of noise, and the same with further noise of growing strength."""
    random = np.random.default_rng(0)
    pristine = random.integers(0, 256, (side, side, 3))
    noisy = [(pristine + random.normal(0, 1 + k, pristine.shape)).clip(0, 255).astype(np.uint8) for k in range(count)]
    reference, distorted = Pictures([pristine.astype(np.uint8)]), Pictures(noisy)
    return ImageSet(((distorted, k) for k in range(count)), ((reference, 0) for _ in range(count)))


def predictor(method: str, device: str) -> FullReferencePredictor:
    """The model of the recipe `paper` with random values."""
    registry = load_registry()
    resolved = registry.resolve_method(method, "paper")
    params = learner_params(resolved, registry.backbones_of(resolved))
    torch.manual_seed(0)
    name = "transformer" if "transformer_feedforward" in params else "conformer"
    return FullReferencePredictor(make_pair_model(name, params), params["fr_crop"], "ten", torch.device(device))


def pair_by_pair(model: FullReferencePredictor, images: ImageSet) -> np.ndarray:
    """Scores of images each handed over alone."""
    return np.array([model.predict(images.subset([k]))[0] for k in range(len(images))])


def operations(ask: Callable[[ImageSet], np.ndarray], images: ImageSet) -> int:
    """Floating-point operations of matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        ask(images)
    return counter.get_total_flops()


def main() -> int:
    """Measure both ways."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", default="iqa-conformer")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--side", type=int, default=288)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, images = predictor(options.method, options.device), images_of_one_reference(options.images, options.side)
    model.predict(images.subset([0]))  # what only the first call costs
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    ways: dict[str, Callable[[ImageSet], np.ndarray]] = {"once": model.predict, "alone": partial(pair_by_pair, model)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    found = {}
    for _ in range(_ROUNDS):  # the two take turns, so that whatever else the machine does weighs on both
        for way, ask in ways.items():
            began = clock()
            found[way] = ask(images)
            seconds[way].append(clock() - began)
    together, alone = (min(seconds[way]) for way in ways)
    difference = float(np.abs(found["once"] - found["alone"]).max())
    work = operations(ways["alone"], images) / operations(ways["once"], images)
    print(
        f"{options.method}, {options.images} images of one reference, {options.device}: once "
        f"{options.images / together:.2f}, pair by pair {options.images / alone:.2f} images per second, "
        f"{alone / together:.2f} times as fast; {work:.2f} times the operations pair by pair (target {LESS_WORK}); "
        f"largest difference {difference:.1e} (target {DIFFERENCE:.0e})"
    )
    return int(work < LESS_WORK or difference > DIFFERENCE)


if __name__ == "__main__":
    sys.exit(main())
