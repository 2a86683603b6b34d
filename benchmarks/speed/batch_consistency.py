"""How fast batch-level consistency is, beside the usual tensor of normalised differences, in one run.

    python benchmarks/speed/batch_consistency.py [--threads N]

Forward and backward for a batch of 64 and 2,048 channels in both branches; the median of several turns, taken
alternately. Exit code 1 where the Gram matrix is not at least 15 times faster.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from ssliqa_bench.methods.ssliqa.batch_consistency import batch_consistency

BATCH, CHANNELS, AT_LEAST, TURNS = 64, 2048, 15.0, 7
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def usual_form(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """The same loss from all B² differences, each divided by its length, and their products."""
    cosines = []
    for features in (student, teacher):
        differences = features[None, :, :] - features[:, None, :]
        units = functional.normalize(differences, dim=2)
        cosines.append(units @ units.transpose(1, 2))
    size = len(student)
    terms = functional.smooth_l1_loss(*cosines, reduction="none")
    return (terms.sum() - terms.diagonal(dim1=1, dim2=2).sum()) / (size * (size - 1) * (size - 2))


def measure(repeats: int = TURNS) -> dict[str, float]:
    """Median CPU seconds by form."""
    torch.manual_seed(0)
    features = torch.rand(BATCH, CHANNELS), torch.rand(BATCH, CHANNELS)
    forms: dict[str, Loss] = {"usual form": usual_form, "Gram matrix": batch_consistency}
    times: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(repeats + 1):
        for name, loss in forms.items():
            student, teacher = (part.clone().requires_grad_() for part in features)
            started = time.process_time()
            loss(student, teacher).backward()
            if turn:  # the first one warms up
                times[name].append(time.process_time() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    from measuring import Figure, show  # here, since a test loads this file by its path

    times = measure(TURNS)
    rows = [[name, f"{1000 * seconds:.1f}"] for name, seconds in times.items()]
    words = f"times faster at batch {BATCH}, {CHANNELS} channels, {torch.get_num_threads()} thread(s)"
    return show(("", "ms"), rows, [Figure(words, times["usual form"] / times["Gram matrix"], at_least=AT_LEAST)],
                rounds=TURNS)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
