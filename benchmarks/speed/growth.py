"""How the cost of SS-IQA grows with the number of unlabeled images, 1,000 to 8,000, and with the number of blocks.

    python benchmarks/speed/growth.py [--rounds 5]

Times one incremental phase (teacher reads, kernel ridge regression, replay, one epoch of the student) on images in
memory, 200 of them labeled, for blocks of 1,000 to 8,000; the slope of log seconds over log images is the exponent.
Then all phases of 2,000 unlabeled images cut into one and five blocks. CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from loop import Memory, Quiet
from measuring import Figure, alternate, show

from ssliqa_bench.methods.ssiqa.ssiqa import SSIQA
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.runner.resolve import learner_params
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.stages import StageContext

SIZES, BLOCKS, LABELED, SIDE = (1000, 2000, 4000, 8000), (1, 5), 200, 32


def phases(count: int, blocks: int) -> Callable[[], None]:
    """What runs the phases of SS-IQA on so many unlabeled images in so many blocks, the initial model given."""
    registry = load_registry()
    method = registry.resolve_method("ssiqa", "demo")
    changed = {"blocks": blocks, "phase_epochs": 1, "epochs": 1, "crops": 1, "weak_views": 1, "crop": 22,
               "batch_size": 64}  # fmt: skip
    learner = SSIQA({**learner_params(method, registry.backbones_of(method)), **changed})
    pictures = Memory(LABELED + count, SIDE)
    labeled = LabeledSet(ImageSet((pictures, row) for row in range(LABELED)), np.linspace(0, 1, LABELED))
    unlabeled = ImageSet((pictures, LABELED + row) for row in range(count))
    nothing: Any = Quiet()

    def context(stage: Any, done: dict[str, Any]) -> StageContext:
        return StageContext(
            stage.name, labeled, unlabeled, None, {"labeled": LABELED, "unlabeled": count}, done,
            stage.declared(learner.params), stage.settings, 0, torch.device("cpu"), "float32", nothing, nothing,
        )  # fmt: skip

    initial, *others = learner.stages()
    first = initial.run(context(initial, {}))

    def run() -> None:
        done = {"initial": first}
        for stage in others:
            done[stage.name] = stage.run(context(stage, done))

    return run


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    prepare_process("cpu", 1)
    cases = [(size, 1) for size in SIZES] + [(SIZES[1], blocks) for blocks in BLOCKS[1:]]
    actions = {f"{size:,} images, {blocks} block{'s' if blocks > 1 else ''}": phases(size, blocks)
               for size, blocks in cases}  # fmt: skip
    taken = alternate({name: partial(action) for name, action in actions.items()}, options.rounds)
    seconds = [statistics.median(own) for own in taken.values()]
    exponent = float(np.polyfit(np.log(SIZES), np.log(seconds[: len(SIZES)]), 1)[0])
    figures = [
        Figure("exponent of the cost of a phase over its images", exponent, at_most=1.1),
        Figure("five blocks over one, 2,000 images", seconds[-1] / seconds[1]),
    ]
    rows = [[name, f"{own:.2f}", f"{1e3 * own / size:.3f}"] for (name, own), (size, _) in zip(
        zip(taken, seconds), cases)]  # fmt: skip
    return show(("", "CPU s", "ms per image"), rows, figures, rounds=options.rounds)


if __name__ == "__main__":
    sys.exit(main())
