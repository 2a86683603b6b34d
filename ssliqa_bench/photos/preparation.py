"""From a label file and folders to photographs that are ready to learn from: checked, decoded or shown to a network."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ssliqa_bench.caches import features_root
from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.check import Progress
from ssliqa_bench.datasets.fingerprint import ReadDataset
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.datasets.user_datasets import OwnPhotographs, add_dataset, read_labels
from ssliqa_bench.errors import DataError, InputError
from ssliqa_bench.evaluation.constants import MINIMUM_LABELS
from ssliqa_bench.photos.fold_fits import Photographs
from ssliqa_bench.pixels.cache import open_pixels
from ssliqa_bench.pixels.features import Network, open_features
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.progress import counted
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.training.images import PixelSource
from ssliqa_bench.types import derive_seed

LOG = logging.getLogger("ssliqa_bench")


@dataclass(frozen=True)
class Checked:
    """Photographs that passed the checks of datasets: tables of those with and without a score, and their registry."""

    labeled: Table
    unlabeled: Table | None
    registry: Registry


def checked(own: OwnPhotographs, settings: Settings, progress: Progress | None = None) -> Checked:
    """Run the checks of `data add` on photographs; every image is decoded once.

    Raises:
        InputError: fewer than twenty labels.
        DataError: what is wrong, with its place in the label file.
    """
    raw = read_labels(own)
    if raw is None:
        raise InputError("--labels and --images: give a table of scores and the folder of its images.")
    if len(raw.name) < MINIMUM_LABELS:
        raise InputError(
            f"{raw.source}: {len(raw.name)} images with a score; expected at least {MINIMUM_LABELS}. With fewer, a "
            f"test part has three images or less, too few to say whether the model is of any use. Score more images: "
            f"ssliqa-bench rate."
        )
    if not np.isfinite(raw.score).all():
        raise DataError(f"{raw.source}: {int((~np.isfinite(raw.score)).sum())} images have no score; give such images "
                        f"with --unlabeled.")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="ssliqa-photos-") as folder:
        file = Path(folder) / "photos.yaml"
        add_dataset(own, file, settings.cache_root, processes=settings.processes, progress=progress)
        registry = load_registry([file])
    tables = [
        load_table(registry.dataset(name), settings.data_root, settings.cache_root, load=registry.load)
        for name in own.entries
    ]
    return Checked(tables[0], tables[1] if len(tables) > 1 else None, registry)


def drawn(table: Table, count: int | None, seed: int) -> Table:
    """At most `count` rows of a table, drawn at random; the rest is logged."""
    if count is None or count >= len(table):
        return table
    random = np.random.Generator(np.random.Philox(key=derive_seed(seed, "unlabeled")))
    LOG.warning(
        "%d of %d unlabeled images are used, drawn at random; raise --unlabeled-budget to use more.", count, len(table)
    )
    return table.take(np.sort(random.permutation(len(table))[:count]))


def photographs(found: Checked, network: Network | None, settings: Settings) -> Photographs:
    """Photographs with their pixels, or with the features of a frozen network, which are computed once and kept."""
    entry = found.registry.dataset(found.labeled.dataset)
    opened = partial(_source, registry=found.registry, network=network, settings=settings)
    return Photographs(
        labeled=opened(found.labeled),
        score01=found.labeled.score01,
        groups=found.labeled.group,
        scale=entry.native_scale,
        unlabeled=None if found.unlabeled is None else opened(found.unlabeled),
        names=found.labeled.name,
    )


def _source(table: Table, registry: Registry, network: Network | None, settings: Settings) -> PixelSource:
    read = ReadDataset(table, settings.cache_root)
    entry = registry.dataset(table.dataset)
    what = f"{len(table):,} images {'with' if np.isfinite(table.score).any() else 'without'} a score"
    doing = "decoding" if network is None else f"features of {network.name}"
    with counted(f"{what}: {doing}, once", quiet=settings.quiet) as progress:
        if network is None:
            return open_pixels(table, read.fingerprint, entry.short_side, settings.cache_root, progress=progress)
        with features_root(settings.cache_root) as cache_root:
            return open_features(table, read.hashes, network, cache_root, progress=progress)
