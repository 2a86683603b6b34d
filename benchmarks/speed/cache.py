"""Images per second through the cache of decoded images, against decoding every epoch with a DataLoader.

    python benchmarks/speed/cache.py [--images 160] [--rounds 5]

Both draw one crop of 96×96 pixels, flipped at random, from JPEG files of 512×384 and hand over batches of 32 as
tensors. The reference is a data set of torch with Pillow and torchvision, which decodes in the same process. The cache
is made first; what that takes is printed beside. data_check.py measures decoding in several processes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measuring import Figure, alternate, ratio, show
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from ssliqa_bench.pixels.cache import open_pixels
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.views import View, draw

SIZE, CROP, BATCH = (512, 384), 96, 32


@dataclass(frozen=True)
class Files:
    """Image files as a table has them."""

    dataset: str
    name: tuple[str, ...]
    path: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.name)


class Decoding(Dataset[torch.Tensor]):
    """The reference: every item is decoded when it is asked for."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._view = v2.Compose(
            [v2.RandomCrop(CROP), v2.RandomHorizontalFlip(), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
        )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        with Image.open(self._paths[row]) as image:
            tensor: torch.Tensor = self._view(image.convert("RGB"))
        return tensor


def make_files(folder: Path, count: int) -> Files:
    """JPEG files of waves under noise, each of its own."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    noise = random.normal(0, 12, (SIZE[1], SIZE[0], 3)).astype(np.float32)
    names = tuple(f"{k:05d}.jpg" for k in range(count))
    for k, name in enumerate(names):
        rates = random.uniform(0.01, 0.2, (3, 2))
        waves = np.stack([np.sin(rate[0] * x + rate[1] * y + k) for rate in rates], axis=2, dtype=np.float32)
        pixels = np.clip(128 + 90 * waves + np.roll(noise, k, axis=1), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name, quality=90)
    return Files("generated", names, tuple(str(folder / name) for name in names))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    prepare_process("cpu", 1)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        files = make_files(root, options.images)
        began = time.process_time()
        pixels = open_pixels(files, "generated", None, root / "cache")
        first = time.process_time() - began
        images, rows = ImageSet((pixels, row) for row in range(len(files))), np.arange(len(files))
        view = View(CROP, 1, flip=True)

        def cached() -> None:
            for start in range(0, len(rows), BATCH):
                draw(images, rows[start : start + BATCH], view, 0, "speed")

        loader = DataLoader(Decoding(files.path), BATCH, shuffle=True)
        taken = alternate({"cache": cached, "decoding each epoch": lambda: list(loader)}, options.rounds)
    per_second = {name: options.images / statistics.median(own) for name, own in taken.items()}
    per_second["making the cache"] = options.images / first
    figures = [
        Figure(
            "images/s from the second epoch on, cache over decoding",
            ratio(taken["decoding each epoch"], taken["cache"]),
            at_least=4,
        ),
    ]
    rows_shown = [[name, f"{rate:,.0f}"] for name, rate in per_second.items()]
    return show(("", "images per CPU second"), rows_shown, figures, rounds=options.rounds)


if __name__ == "__main__":
    sys.exit(main())
