"""`score` on a folder of photographs: time and scores beside pyiqa's own command, and memory for more images.

    python benchmarks/speed/score_folder.py [--metric niqe] [--images 200] [--more 1000] [--rounds 1]

Both commands are called as a user calls them, with their defaults (pyiqa's with its default threads), one after the
other, on the same JPEG files of 500×500 pixels. Times are those of the whole command on the wall clock; CPU seconds,
to which other work on the machine counts little, stand beside them. Scores must be equal to six decimals (lower is
better for NIQE; ours are negated). Peak memory is that of the largest process of the command, with `--images` and with
`--more` images; `--more 0` leaves that out.
"""

from __future__ import annotations

import argparse
import ast
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import Figure, show
from PIL import Image

SIDE = 500
MB = 1e6
PYIQA = "import sys; from pyiqa.pyiqa_cmd import main; sys.exit(main())"


def make_folder(folder: Path, count: int) -> Path:
    """A folder of JPEG files, smooth noise at several contrasts."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for k in range(count):
        coarse = random.uniform(0, 255, (SIDE // 10, SIDE // 10, 3)).astype(np.uint8)
        fine = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=float)
        noisy = np.clip(fine + random.normal(0, 2 + k % 10, fine.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{k:04d}.jpg", quality=90)
    return folder


def call(words: list[str], out: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds of a command and the peak memory, MB, of its largest process; stdout goes to a file."""
    with out.open("w") as file, (errors := out.with_suffix(".err")).open("w") as log:
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, *words], stdout=file, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
        taken = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{errors.read_text()[-2000:]}")
    return taken, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / MB


def scores_of_pyiqa(text: str, metric: str) -> dict[str, float]:
    """Scores by file name from what pyiqa's command prints with -v."""
    found = ast.literal_eval(text[text.index("{") :])[metric]
    return {Path(path).name: float(value) for path, value in found.items() if path != "mean"}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metric", default="niqe")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--more", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = str(make_folder(root / "photos", options.images))
        score = ["-m", "ssliqa_bench", "score", "--model", options.metric]
        commands = {
            "ours": [*score, folder, "--csv", str(root / "scores.csv"), "--restart"],
            "pyiqa": ["-c", PYIQA, options.metric, "-t", folder, "-v"],
        }
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        for turn in range(options.rounds):
            for name in list(commands)[:: 1 if turn % 2 else -1]:
                found[name].append(call(commands[name], root / f"{name}.txt"))
        with open(root / "scores.csv", newline="") as file:
            ours = {Path(row["image"]).name: float(row["score"]) for row in csv.DictReader(file)}
        # The pretty printer of pyiqa's command rounds nothing; NumPy's float in `mean` is no literal.
        text = (root / "pyiqa.txt").read_text()
        theirs = scores_of_pyiqa(text.replace("np.float64(", "(").replace("np.float32(", "("), options.metric)
        wall = {name: statistics.median(one[0] for one in taken) for name, taken in found.items()}
        rows = [
            [name, *(f"{statistics.median(one[k] for one in taken):.1f}" for k in range(3))]
            for name, taken in found.items()
        ]
        gap = max(min(abs(ours[name] - value), abs(ours[name] + value)) for name, value in theirs.items())
        figures = [
            Figure(f"times pyiqa's throughput, whole command, {options.images} images", wall["pyiqa"] / wall["ours"],
                   at_least=1.2),
            Figure("images of which both have a score", len(set(ours) & set(theirs)), at_least=options.images),
            Figure("largest difference of a score", gap, at_most=1e-5),
        ]  # fmt: skip
        if options.more:
            many = str(make_folder(root / "more", options.more))
            taken = call([*score, many, "--csv", str(root / "more.csv")], root / "more.txt")
            rows.append([f"ours, {options.more:,} images", *(f"{value:.1f}" for value in taken)])
            less = statistics.median(one[2] for one in found["ours"])
            figures.append(Figure(f"peak memory, {options.more:,} over {options.images:,} images", taken[2] / less,
                                  at_most=1.1))  # fmt: skip
    return show(("command", "wall s", "CPU s", "peak MB"), rows, figures, rounds=options.rounds)


if __name__ == "__main__":
    sys.exit(main())
