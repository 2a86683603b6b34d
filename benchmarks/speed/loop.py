"""The step of the training loop against a bare loop over batches that are ready in memory.

    python benchmarks/speed/loop.py [--rounds 7] [--device cpu] [--network NAME …] [--threads 1]

Ours is what every learner of scores runs: rows, crops, forward, loss, backward, update, report, and the log of an
epoch. The bare loop makes the same steps with the same network, loss and optimiser on crops drawn beforehand, so that
the share printed, bare over ours, is 1 where reading and bookkeeping cost nothing. Both alternate; figures are medians
over the rounds, in wall-clock time and in processor time of the whole process. On a CPU two training workers of one
thread each are then timed beside two copies of the bare loop (the first network, wall-clock time).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from measuring import Figure, at_once, show

from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.loop import Schedule, drawn_rows
from ssliqa_bench.training.losses import smooth_l1
from ssliqa_bench.training.quality import build_model, train_on_scores
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.training.views import View, draw
from ssliqa_bench.types import Artifact

_TIMM = "ssliqa_bench.training.backbones.timm:TimmBackbone"


@dataclass(frozen=True)
class Case:
    """A network, the crops it learns from, and how many steps a measurement makes."""

    backbone: dict[str, Any]
    crop: int
    crops: int
    batch: int
    steps: int
    side: int = 256


CASES = {
    "cnniqa": Case({"class": "ssliqa_bench.training.backbones.cnniqa:CNNIQA", "arguments": {}}, 38, 8, 16, 60, 160),
    "mobilenetv3_small_050": Case({"class": _TIMM, "arguments": {"name": "mobilenetv3_small_050"}}, 96, 1, 32, 12),
    "vit_tiny_patch16_224": Case({"class": _TIMM, "arguments": {"name": "vit_tiny_patch16_224"}}, 224, 1, 8, 4),
    "vit_small_patch16_224": Case(
        {"class": _TIMM, "arguments": {"name": "vit_small_patch16_224"}}, 224, 1, 32, 60, 384
    ),
}
_ORDERS = [("ours", "bare"), ("bare", "ours")] * 3
ON = {"cpu": tuple(CASES)[:3], "cuda": ("vit_small_patch16_224",)}


class Memory:
    """Generated pictures as a source of pixels."""

    def __init__(self, count: int, side: int) -> None:
        self._pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        self.hashes = [f"picture {k}" for k in range(count)]

    def image(self, row: int) -> np.ndarray:
        """One of them."""
        return self._pixels[row]


class Quiet:
    """Checkpoints and reports that go nowhere."""

    def load(self) -> Artifact | None:
        """None: every training starts."""
        return None

    def _nothing(self, *_: Any) -> None:
        return None

    save = start = step = say = note = _nothing


def context_of(case: Case, device: str) -> StageContext:
    """What a stage of that case would be handed."""
    params = {"backbone": case.backbone, "crop": case.crop, "batch_size": case.batch, "smooth_l1_beta": 1.0}
    nothing = Quiet()
    return StageContext(
        "initial", None, None, None, {}, {}, params, {}, 0, torch.device(device),
        "bfloat16" if device == "cuda" else "float32", nothing, nothing,
    )  # fmt: skip


def seconds_of(work: Callable[[], Any], device: str) -> tuple[float, float]:
    """Wall-clock and processor seconds of some work."""
    started = time.perf_counter(), time.process_time()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started[0], time.process_time() - started[1]


def loops(case: Case, device: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Our loop and the bare one."""
    context = context_of(case, device)
    items = case.batch * case.steps
    source = Memory(items, case.side)
    images = ImageSet((source, row) for row in range(items))
    scores = np.linspace(0, 1, items)
    schedule, view = Schedule(1, 1e-4), View(case.crop, case.crops, flip=True)
    model = build_model(context)
    rows = drawn_rows(items, items, 0, 0, "rows")
    ready = []
    for part in rows.reshape(case.steps, case.batch):
        target = torch.from_numpy(scores[part].astype(np.float32)).repeat_interleave(case.crops)
        ready.append((draw(images, part, view, 0, "bare").to(device), target.to(device)))

    def ours() -> None:
        train_on_scores(model, images, scores, lambda epoch: rows, items, schedule, view, context)

    def bare() -> None:
        model.train()
        optimizer = schedule.make_optimizer(model.parameters())
        for crops, target in ready:
            optimizer.zero_grad()
            with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
                loss = smooth_l1(model(crops)[0], target, 1.0)
            loss.backward()
            optimizer.step()

    return ours, bare


def worker(name: str, kind: str) -> Callable[[], None]:
    """What one of several processes does: our loop or the bare one, on one thread."""
    prepare_process("cpu", 1)
    ours, bare = loops(CASES[name], "cpu")
    return ours if kind == "ours" else bare


def measured(case: Case, device: str, rounds: int) -> list[tuple[float, float, float, float]]:
    """Seconds of a step in every round: ours and bare by the clock, ours and bare of the processor."""
    ours, bare = loops(case, device)
    found = []
    for turn in range(rounds + 1):  # the first one warms up
        first, second = (ours, bare) if turn % 2 else (bare, ours)
        times = {first: seconds_of(first, device), second: seconds_of(second, device)}
        if turn:
            found.append(tuple(times[work][k] / case.steps for k in (0, 1) for work in (ours, bare)))
    return found


def main() -> int:
    """Print one line per network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", choices=tuple(ON), default="cpu")
    parser.add_argument("--network", choices=tuple(CASES), action="append", help="may be repeated")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    prepare_process(options.device, options.threads)
    names = options.network or ON[options.device]
    rows, figures, least = [], [], {"cpu": 0.93, "cuda": 0.95}[options.device]
    for name in names:
        rounds = measured(CASES[name], options.device, options.rounds)
        times = [statistics.median(column) * 1e3 for column in zip(*rounds, strict=True)]
        share = statistics.median(row[1] / row[0] for row in rounds)
        cpu_share = statistics.median(row[3] / row[2] for row in rounds)
        rows.append([name, *(f"{value:.2f}" for value in times), f"{share:.3f}", f"{cpu_share:.3f}"])
        # On a CPU the time of the processor: other work on the machine does not count.
        figures.append(Figure(f"bare loop over our step, {name}", cpu_share if options.device == "cpu" else share,
                              at_least=least))  # fmt: skip
    if options.device == "cpu":
        turns = [{kind: at_once(worker, [(names[0], kind)] * 2) for kind in order} for order in _ORDERS]
        seconds = {kind: statistics.median(turn[kind] for turn in turns) for kind in ("ours", "bare")}
        steps = 2e-3 * CASES[names[0]].steps
        rows.append(["two processes, a step", *(f"{seconds[kind] / steps:.2f}" for kind in seconds), "", "", "", ""])
        figures.append(Figure("two training workers over two bare copies",
                              statistics.median(turn["bare"] / turn["ours"] for turn in turns), at_least=0.85))
    head = ("network", "ours ms", "bare ms", "cpu ours", "cpu bare", "share", "cpu share")
    return show(head, rows, figures, rounds=options.rounds)


if __name__ == "__main__":
    sys.exit(main())
