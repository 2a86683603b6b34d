"""Whether features of a network find copies that the comparison of pixels missed.

    python benchmarks/claims/copies_by_features.py biq2021 [--show FOLDER]

The groups of a dataset come from its pixels (`ssliqa_bench/datasets/near_copies.py`), which finds no crops and no
mirrored copies. Here all pairs of images are compared by the cosine of their features, those of the whole image by the
frozen network of `ridge-probe`, and counted: pairs of one group, and others. `--show` writes the others that are most
alike side by side, to be looked at. Names are not printed, since those of some datasets may not be passed on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from ssliqa_bench.pixels.features import Features
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.sources import open_sources
from ssliqa_bench.specs import Pair, RunSpec

LEAST, STEPS = 0.7, (0.98, 0.95, 0.9, 0.8, 0.7)  # cosines
AT_ONCE, SHOWN, SIDE = 500, 24, 200


def main() -> None:
    """Count pairs by their cosine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--show", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    settings = Settings.from_environment(store=Path("runs/copies"), device="cpu", threads=1)
    spec = RunSpec("ridge-probe", Pair(options.dataset, options.dataset), "standard", 0, "frozen")
    plan = make_plan(spec, load_registry(), settings)
    learner = load_object(plan.method.class_path)(plan.method.params)
    features = open_sources(plan, settings, learner)[0][options.dataset].pixels
    assert isinstance(features, Features)  # recipe `frozen`
    table = plan.tables[options.dataset]
    values = np.sqrt(np.stack([features.views(row, "whole")[0] for row in range(len(table))]).astype(np.float32))
    values -= values.mean(0)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    groups = np.unique(table.group, return_inverse=True)[1]
    copies, others = [], []
    for start in range(0, len(values), AT_ONCE):
        alike = values[start : start + AT_ONCE] @ values.T
        for one, two in np.argwhere(alike >= LEAST):
            if start + one < two:
                known = groups[start + one] == groups[two]
                (copies if known else others).append((float(alike[one, two]), int(start + one), int(two)))
    sizes = np.bincount(groups)
    print(f"{options.dataset}: {int((sizes * (sizes - 1) // 2).sum())} pairs of copies by their pixels")
    for least in STEPS:
        counts = [sum(value >= least for value, *_ in pairs) for pairs in (copies, others)]
        print(f"cosine of the features {least} or more: {counts[0]} of these, {counts[1]} other pairs")
    if options.show is not None:
        options.show.mkdir(parents=True, exist_ok=True)
        for place, (_, one, two) in enumerate(sorted(others, reverse=True)[:SHOWN]):
            sheet = Image.new("RGB", (2 * SIDE, SIDE))
            for left, row in ((0, one), (SIDE, two)):
                with Image.open(table.path[row]) as picture:
                    sheet.paste(picture.convert("RGB").resize((SIDE, SIDE)), (left, 0))
            sheet.save(options.show / f"{place:02d}.png")


if __name__ == "__main__":
    main()
