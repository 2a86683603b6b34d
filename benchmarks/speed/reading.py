"""How long the generic reader takes for a table of many rows, files looked for, directions turned, all checks done.

    python benchmarks/speed/reading.py                  seconds per 10,000 rows at 10,000, 20,000 and 40,000 rows

Exit code 1 if the target is missed, or if the time grows faster than the number of rows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.registry.schema import DatasetEntry

SIZES = (10_000, 20_000, 40_000)
TARGET = 1.0
# Twice the time per row from the smallest to the largest table is no longer a straight line.
GROWTH = 2.0


def make_dataset(root: Path, rows: int, *, files: bool = True) -> DatasetEntry:
    """A label file with every column of the generic format, and unless told otherwise as many empty image files."""
    folder = root / f"rows-{rows}"
    images = folder / "images"
    images.mkdir(parents=True)
    random = np.random.default_rng(rows)
    counts = random.multinomial(100, [0.1, 0.2, 0.4, 0.2, 0.1], rows)
    header = "image,score,rating_std,c1,c2,c3,c4,c5,group,distortion,level,split"
    lines = [header]
    for k in range(rows):
        name = f"{k:06d}.png"
        if files:
            (images / name).touch()
        levels = ",".join(map(str, counts[k]))
        lines.append(f"{name},{20 + k % 60}.25,12.5,{levels},scene-{k // 5},blur,{k % 5 + 1},training")
    (folder / "labels.csv").write_text("\n".join(lines))
    return DatasetEntry.model_validate({
        "name": folder.name, "about": {"title": "Speed"}, "kind": "synthetic", "scale": [0, 100],
        "direction": "lower_is_better", "rating_statistics": True, "images": rows,
    })  # fmt: skip


def seconds(root: Path, entries: Sequence[DatasetEntry], *, repeats: int = 3) -> list[float]:
    """The best time of each table, in turns, so that a slow moment of the machine meets all of them."""
    best = [float("inf")] * len(entries)
    for _ in range(repeats):
        for k, entry in enumerate(entries):
            start = time.perf_counter()
            load_table(entry, root, root / "cache")
            best[k] = min(best[k], time.perf_counter() - start)
    return best


def main() -> int:
    """Print the times."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        entries = [make_dataset(root, rows) for rows in SIZES]
        times = seconds(root, entries)
    per_row = [10_000 * taken / rows for taken, rows in zip(times, SIZES, strict=True)]
    for rows, taken, each in zip(SIZES, times, per_row, strict=True):
        print(f"{rows:6d} rows: {taken:.3f} s, {each:.3f} s per 10,000 (target {TARGET:g} s)")
    return 0 if max(per_row) < TARGET and per_row[-1] < GROWTH * per_row[0] else 1


if __name__ == "__main__":
    sys.exit(main())
