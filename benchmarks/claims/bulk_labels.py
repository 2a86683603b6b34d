"""Whether `label` loses and repeats nothing when it is killed, and whether its memory grows with the number of images.

    python benchmarks/claims/bulk_labels.py [--images 20000] [--few 5000] [--shards 20] [--kill 4 13] [--work DIR]

Makes JPEG files of 64×64 pixels and a small trained model. Labels the first few, then all without a break, and takes
the peak memory of both; then all again in another folder, where the process is killed once shard 4 and once shard 13
is there. Exits with 1 where an image is missing or occurs twice, where a prediction differs from the whole run,
where a finished shard was made again, or where the memory differs by more than a tenth.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from pyarrow import parquet

RUN = ("run", "--method", "supervised", "--pair", "demo-syn:demo-wild", "--recipe", "check")
ALLOWED = 1.1


def make_images(folder: Path, count: int) -> None:
    """Blocks of random colours under noise, each image of its own; some are in place from an earlier call."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        path = folder / f"{k:06d}.jpg"
        if not path.exists():
            random = np.random.default_rng(k)
            coarse = random.uniform(0, 255, (8, 8, 3)).repeat(8, 0).repeat(8, 1)
            noisy = np.clip(coarse + random.normal(0, 1 + k % 30, coarse.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(path, quality=90)


def started(names: Path, model: Path, out: Path, size: int) -> subprocess.Popen[bytes]:
    """`label` in a process of its own."""
    words = ["label", "--model", str(model), "--list", str(names), "--out", str(out), "--shard-size", str(size)]
    command = [sys.executable, "-m", "ssliqa_bench", *words, "--jobs", "1", "--device", "cpu"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def finished(process: subprocess.Popen[bytes]) -> float:
    """Peak memory of the process in megabytes, once it has ended well."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"label ended with exit code {process.returncode}")
    return used.ru_maxrss * 1024 / 1e6


def killed_at(process: subprocess.Popen[bytes], shard: Path) -> None:
    """Kill the process, without a chance to clean up, once a shard is there."""
    while not shard.exists():
        if process.poll() is not None:
            sys.exit(f"label ended with exit code {process.returncode} before {shard.name} was there")
        time.sleep(0.01)
    process.kill()
    process.wait()


def predictions(out: Path) -> list[tuple[str, float]]:
    """All rows of an output folder."""
    table = parquet.read_table(out / "labels")
    return list(zip(table["image"].to_pylist(), table["prediction"].to_pylist(), strict=True))


def main() -> int:
    """Run, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--few", type=int, default=5000)
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--kill", type=int, nargs=2, default=(4, 13))
    parser.add_argument("--work", type=Path, help="folder for images and results [a temporary one]")
    options = parser.parse_args()
    size = -(-options.images // options.shards)
    with tempfile.TemporaryDirectory() as place:
        root = options.work or Path(place)
        make_images(root / "images", options.images)
        subprocess.run([sys.executable, "-m", "ssliqa_bench", *RUN, "--store", str(root / "store")],
                       check=True, capture_output=True)  # fmt: skip
        (model,) = (root / "store" / "records").iterdir()
        paths = [str(root / "images" / f"{k:06d}.jpg") for k in range(options.images)]
        lists = {}
        for name, count in (("few", options.few), ("all", options.images)):
            lists[name] = root / f"{name}.txt"
            lists[name].write_text("\n".join(paths[:count]))
        memory = {name: finished(started(names, model, root / name, size)) for name, names in lists.items()}
        out, made = root / "killed", dict[Path, int]()
        for number in options.kill:
            killed_at(started(lists["all"], model, out, size), out / "labels" / f"part-{number:05d}.parquet")
            made = {path: path.stat().st_mtime_ns for path in (out / "labels").glob("*.parquet")}
        finished(started(lists["all"], model, out, size))
        again = [path.name for path, when in made.items() if path.stat().st_mtime_ns != when]
        found, whole = predictions(out), predictions(root / "all")
    counts = Counter(name for name, _ in found)
    missing, twice = len(set(paths) - set(counts)), sum(count > 1 for count in counts.values())
    differing = sum(a != b for a, b in zip(sorted(found), sorted(whole), strict=False))
    ratio = memory["all"] / memory["few"]
    print(f"{options.images:,} images in {options.shards} shards, killed at shards {options.kill[0]} and "
          f"{options.kill[1]}: {missing} missing, {twice} more than once, {differing} with another prediction; "
          f"{len(again)} finished shards made again")
    print(f"peak memory: {memory['few']:.0f} MB for {options.few:,} images, {memory['all']:.0f} MB for "
          f"{options.images:,} ({ratio:.3f} times, at most {ALLOWED} asked)")
    good = not (missing or twice or differing or again) and len(found) == options.images
    return 0 if good and 1 / ALLOWED <= ratio <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
