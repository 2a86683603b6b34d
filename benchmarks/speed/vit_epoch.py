"""Images per second of one training epoch of ViT-S at 224 pixels, random weights, on generated images.

    python benchmarks/speed/vit_epoch.py [--images N] [--batch 32] [--device auto] [--threads 1]

On a GPU in bfloat16, 512 images unless given; on a CPU in float32, 64 images, two steps. It is the loop of every
training run: images from the decoded cache, crops, forward, backward, update, checkpoint.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.devices import device_kind, prepare_process
from ssliqa_bench.runner.learner_sets import make_sets
from ssliqa_bench.runner.learners import make_learner
from ssliqa_bench.runner.plan import make_plan
from ssliqa_bench.runner.progress import ConsoleReporter
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.sources import open_sources
from ssliqa_bench.runner.stages import StageRunner
from ssliqa_bench.specs import Pair, RunSpec
from ssliqa_bench.store.artifacts import ArtifactStore


def epoch(images: int, batch: int, device: str, threads: int, store: Path, **params: Any) -> dict[str, Any]:
    """Train one epoch; gives the device, its precision, steps, and images per second of the loop alone."""
    settings = Settings.from_environment(store=store, device=device, threads=threads, quiet=True)
    changed = {"backbone": "deit3-small", "pretrained": False, "crop": 224, "crops": 1, "batch_size": batch,
               "epochs": 1, "warmup_epochs": 0, "lr": 1e-4, **params}  # fmt: skip
    spec = RunSpec(
        "supervised", Pair("demo-wild"), recipe="paper", overrides=tuple(sorted(changed.items())), budget=images
    )
    plan = make_plan(spec, load_registry(), settings)
    prepare_process(plan.device, threads)
    learner = make_learner(plan)
    sources, _ = open_sources(plan, settings, learner)
    sets = make_sets(plan, learner, sources)
    (stage,) = StageRunner(plan, learner, sets, ArtifactStore(store), ConsoleReporter(quiet=True), False).run()
    (log,) = stage.summary()["log"]
    seconds = log["seconds"]
    return {"device": plan.device, "precision": plan.precision, "steps": stage.steps, "images_per_second":
            images / seconds}  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    images = options.images or (512 if device_kind(options.device) == "cuda" else 64)
    with tempfile.TemporaryDirectory() as place:
        told = epoch(images, options.batch, options.device, options.threads, Path(place))
    print(
        f"ViT-S at 224, batch {options.batch}, {told['steps']} steps on {told['device']} in {told['precision']}: "
        f"{told['images_per_second']:.1f} images/s"
    )


if __name__ == "__main__":
    main()
