"""Whether `data check` shares its work among processes about as well as bare copies of the same decoding loop.

    python benchmarks/speed/data_check.py               600 JPEG files of 512×384, two processes, five rounds
    python benchmarks/speed/data_check.py --images 4000 more, for which starting the processes counts less

Every round times the check and the bare loop, with one process and with several, starting the processes included; the
order turns from round to round, since other work on the machine comes and goes. What counts is the median over rounds
of the times of one round against each other. Exit code 1 if the check with several processes reaches less than 0.85 of
the speed-up of the bare copies, both over one bare copy, so that what the check does beside decoding counts against it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from measuring import Figure, show
from PIL import Image

from ssliqa_bench.datasets.check import check_dataset
from ssliqa_bench.pixels.decode import content_hash, decode
from ssliqa_bench.registry.load import load_registry

TARGET = 0.85
SIZE = (512, 384)
NAME = "made-photographs"


def make_dataset(root: Path, count: int) -> Path:
    """Pictures of waves under noise, each of its own, with a label file; gives the registry file."""
    images = root / "images"
    images.mkdir(parents=True)
    random = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    noise = random.normal(0, 12, (SIZE[1], SIZE[0], 3)).astype(np.float32)
    lines = ["image,score"]
    for k in range(count):
        rates = random.uniform(0.01, 0.2, (3, 2))
        waves = np.stack([np.sin(rate[0] * x + rate[1] * y + k) for rate in rates], axis=2, dtype=np.float32)
        pixels = np.clip(128 + 90 * waves + np.roll(noise, k, axis=1), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(images / f"{k:05d}.jpg", quality=90)
        lines.append(f"{k:05d}.jpg,{k % 100}")
    (root / "labels.csv").write_text("\n".join(lines))
    file = root / "registry.yaml"
    file.write_text(
        f"datasets:\n  {NAME}:\n    about: {{title: Speed}}\n    kind: authentic\n    scale: [0, 100]\n"
        f"    direction: higher_is_better\n    images: {count}\n"
    )
    return file


def decode_all(paths: list[str]) -> None:
    """The bare loop: what the check does to every file."""
    for path in paths:
        content_hash(decode(path))


def bare(paths: list[str], copies: int) -> None:
    """Copies of the bare loop at the same time, each over its share."""
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=decode_all, args=(paths[k::copies],)) for k in range(copies)]
    for process in running:
        process.start()
    for process in running:
        process.join()
        if process.exitcode:
            sys.exit(f"a bare copy failed with {process.exitcode}")


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> int:
    """Print the times and the speed-ups."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        registry = load_registry([make_dataset(root, args.images)])
        paths = sorted(map(str, (root / "images").iterdir()))

        def check(processes: int) -> None:
            checks = check_dataset(NAME, registry, root, root / "cache", processes=processes)
            if not all(one.holds for one in checks):
                sys.exit(f"a check failed: {checks}")

        actions = {
            (what, n): (lambda run=run, n=n: run(n))
            for what, run in (("data check", check), ("bare loop", lambda n: bare(paths, n)))
            for n in (1, args.processes)
        }
        decode_all(paths)  # every file in the system's cache
        rounds = []
        for number in range(args.rounds):
            order = list(actions) if number % 2 == 0 else list(actions)[::-1]
            rounds.append({name: seconds(actions[name]) for name in order})
    rows = []
    for what, n in actions:
        taken = [round_[what, n] for round_ in rounds]
        rows.append([f"{what}, {n} process{'es' if n > 1 else ''}",
                     *(f"{seconds:.2f}" for seconds in (median(taken), min(taken), max(taken)))])

    def ratio(above: tuple[str, int], below: tuple[str, int]) -> float:
        return median(round_[above] / round_[below] for round_ in rounds)

    one, several = ("bare loop", 1), ("bare loop", args.processes)
    check_one, check_several = ("data check", 1), ("data check", args.processes)
    reached = ratio(several, check_several)
    figures = [
        Figure("speed-up of the check over one bare copy", ratio(one, check_several)),
        Figure(f"speed-up of {args.processes} bare copies over one", ratio(one, several)),
        Figure("speed-up of the check over itself with one process", ratio(check_one, check_several)),
        Figure(f"{args.processes} decoding processes over {args.processes} bare copies", reached, at_least=TARGET),
    ]
    return show(("", "seconds", "least", "most"), rows, figures, rounds=args.rounds)


if __name__ == "__main__":
    sys.exit(main())
