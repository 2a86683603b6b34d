"""Scoring a folder by a classical metric: our command against pyiqa's.

    python benchmarks/speed/classical.py [--metric niqe] [--images 24] [--rounds 5]

Both are called as a user calls them, one process with one thread and the cores as they are, on JPEG files of 512×384
pixels; the time of a command with one image is taken off, so that what is compared is the time per image. pyiqa's
command runs with its default device. The parameter file of the metric must be where pyiqa keeps it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import Figure, alternate, show
from PIL import Image

SIZE = (512, 384)


def make_folder(folder: Path, count: int) -> Path:
    """A folder of JPEG files, smooth noise at several contrasts."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for k in range(count):
        coarse = random.uniform(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3)).astype(np.uint8)
        fine = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC), dtype=float)
        noisy = np.clip(fine + random.normal(0, 2 + k % 10, fine.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{k:03d}.jpg", quality=90)
    return folder


def call(words: list[str]) -> None:
    """Run a command; its output is of no interest unless it fails."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metric", default="niqe")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    def of_children() -> float:
        """CPU seconds of finished child processes."""
        spent = os.times()
        return spent.children_user + spent.children_system

    with tempfile.TemporaryDirectory() as place:
        many, one = (str(make_folder(Path(place) / str(n), n)) for n in (options.images, 1))
        pyiqa = "import sys; from pyiqa.pyiqa_cmd import main; sys.exit(main())"
        ours = ["-m", "ssliqa_bench", "score", "--model", options.metric, "--jobs", "1"]
        commands = {
            "ours": [*ours, many],
            "pyiqa": ["-c", pyiqa, options.metric, "-t", many],
            "ours, one image": [*ours, one],
            "pyiqa, one image": ["-c", pyiqa, options.metric, "-t", one],
        }
        actions = {name: (lambda words=words: call(words)) for name, words in commands.items()}
        taken = alternate(actions, options.rounds, of_children)
    per_image = {
        name: statistics.median(
            (a - b) / (options.images - 1) for a, b in zip(taken[name], taken[f"{name}, one image"])
        )
        for name in ("ours", "pyiqa")
    }
    rows = [[name, f"{statistics.median(seconds):.2f}"] for name, seconds in taken.items()]
    rows += [[f"{name}, ms per image", f"{1e3 * seconds:.1f}"] for name, seconds in per_image.items()]
    whole = statistics.median(taken["pyiqa"]) / statistics.median(taken["ours"])
    figures = [
        Figure(
            f"times pyiqa's speed per image, {options.metric}", per_image["pyiqa"] / per_image["ours"], at_least=1.2
        ),
        Figure(f"times pyiqa's speed, start included, {options.images} images", whole),
    ]
    return show(("command", "CPU s"), rows, figures, rounds=options.rounds)


if __name__ == "__main__":
    sys.exit(main())
