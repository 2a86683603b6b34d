"""Peak memory of the work on many images, in processes of their own.

    python benchmarks/speed/memory.py [--images 400,1600] [--rounds 5]

Scores generated JPEG files of 512×384 pixels by a small trained model, a smaller and a larger number of them; memory
holds one image at a time, so that the peak must not grow with the number. Beside it a process that only imports
torch.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cache import make_files
from measuring import Figure, show

RUN = ("run", "--method", "supervised", "--pair", "demo-syn:demo-wild", "--recipe", "check", "--json")
MB = 1e6


def peak(words: list[str]) -> float:
    """Megabytes that the interpreter needs at most for some words."""
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed with exit code {process.returncode}")
    return used.ru_maxrss * 1024 / MB


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default="400,1600", help="a smaller and a larger number")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    few, many = map(int, options.images.split(","))
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        subprocess.run([sys.executable, "-m", "ssliqa_bench", *RUN, "--store", str(root / "store")],
                       check=True, capture_output=True)  # fmt: skip
        (record,) = (root / "store" / "records").iterdir()
        (root / "few").mkdir()
        sources = make_files(root / "few", 40).path
        (root / "many").mkdir()
        for folder, count in ((root / "few", few), (root / "many", many)):
            for k in range(count):
                target = folder / f"copy-{k:05d}.jpg"
                shutil.copy(sources[k % len(sources)], target)
        commands = {"import torch": ["-c", "import torch"]}
        for name, count in (("few", few), ("many", many)):
            commands[f"score, {count:,} images"] = [
                "-m", "ssliqa_bench", "score", "--model", str(record), "--jobs", "1", str(root / name / "copy-*.jpg"),
                "--csv", str(root / f"{name}.csv"), "--restart",
            ]  # fmt: skip
        found: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(options.rounds):
            for name in list(commands)[:: 1 if turn % 2 else -1]:
                found[name].append(peak(commands[name]))
    medians = {name: statistics.median(own) for name, own in found.items()}
    _, less, more = medians.values()
    rows = [[name, f"{value:.0f}"] for name, value in medians.items()]
    figure = Figure(f"peak memory, {many:,} over {few:,} images", more / less, at_most=1.1)
    return show(("", "peak MB"), rows, [figure], rounds=options.rounds)


if __name__ == "__main__":
    sys.exit(main())
