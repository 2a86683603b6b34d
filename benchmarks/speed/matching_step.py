"""Where the time of a training step of the matching learners goes, on the small network and its demo recipe.

    python benchmarks/speed/matching_step.py [METHOD …] [--steps 100]

Prints, per method, milliseconds per step and the shares of forward (the network, and the losses of the rule), backward
and optimiser (with the average of the weights that follows it; target: 85 % together), of drawing views, of report and
bookkeeping, and of the rest. Exits with 1 below the target.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np
import torch

from ssliqa_bench.methods.matching import training
from ssliqa_bench.methods.matching.network import HeadedModel, LevelTrainee
from ssliqa_bench.methods.matching.parts import PlainRule
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import load_object
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact, derive_seed

TARGET = 0.85
METHODS = ("fixmatch", "adamatch", "freematch", "comatch", "simmatch", "crmatch")
_SIDE = 160


class Noise:
    """Images of noise in memory, of the demo sets' size."""

    def __init__(self, count: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self._pictures = [random.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8) for _ in range(count)]
        self.hashes = [str(derive_seed(seed, k)) for k in range(count)]

    def image(self, row: int) -> Any:
        """The image of a row."""
        return self._pictures[row]

    def images(self) -> ImageSet:
        """All of them."""
        return ImageSet((self, row) for row in range(len(self._pictures)))


class Silent:
    """Neither keeps nor says anything."""

    def save(self, state: Artifact) -> None: ...

    def load(self) -> None: ...

    def start(self, *words: Any) -> None: ...

    def step(self, *words: Any) -> None: ...

    def say(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...


class Clock:
    """Seconds by part; a part inside another one counts for itself alone."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its seconds added to a part."""

        def call(*words: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return function(*words, **named)
            finally:
                seconds = time.perf_counter() - began
                self.spent[part] += seconds - self._inner.pop()
                self._inner[-1] += seconds

        return call


def profile(method: str, steps: int) -> tuple[float, dict[str, float]]:
    """Seconds per step, and the share of each part."""
    registry = load_registry()
    resolved = registry.resolve_method(method, "demo")
    backbone = registry.resolve_backbone(resolved.params["backbone"])
    params = {
        **resolved.params,
        "backbone": {"class": backbone.class_path, "arguments": dict(backbone.arguments)},
        "epochs": 2,
        "epoch_steps": steps,
        "warmup_steps": 10,
    }
    learner = load_object(resolved.class_path)(params)
    stage = learner.stages()[0]
    silent = Silent()
    context = StageContext(
        name=stage.name,
        labeled=LabeledSet(Noise(100, 1).images(), np.linspace(0, 1, 100)),
        unlabeled=Noise(200, 2).images(),
        validation=None,
        counts={"sides": 2},
        inputs={},
        params={name: params[name] for name in stage.params},
        settings={},
        seed=0,
        device=torch.device("cpu"),
        precision="float32",
        checkpoints=silent,
        report=silent,
    )
    clock = Clock()
    with ExitStack() as stack:
        for owner, name, part in (
            (HeadedModel, "forward", "forward"),
            (torch.Tensor, "backward", "backward"),
            (torch.optim.Adam, "step", "optimiser"),
            (training.Policy, "weak", "views"),
            (training.Policy, "pairs", "views"),
            (LevelTrainee, "follow", "average"),
        ):
            stack.enter_context(mock.patch.object(owner, name, clock.timed(part, getattr(owner, name))))
        for kind in _subclasses(PlainRule):
            stack.enter_context(mock.patch.object(kind, "step", clock.timed("losses", kind.step)))
        loss = clock.timed("report", training._Stepper.loss)  # what the network and the rule leave of it
        stack.enter_context(mock.patch.object(training._Stepper, "loss", loss))
        stack.enter_context(mock.patch.object(training, "note_result", lambda *words: None))
        log = stage.run(context).meta["log"]
    total = sum(entry["seconds"] for entry in log)
    shares = {part: seconds / total for part, seconds in clock.spent.items()}
    return total / (2 * steps), {**shares, "rest": 1 - sum(shares.values())}


def _subclasses(kind: type) -> list[type]:
    return [own for own in kind.__subclasses__() if "step" in vars(own)]


def main() -> int:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    for method in options.methods:
        profile(method, 2)  # imports and the like
        seconds, shares = profile(method, options.steps)
        whole = sum(shares[part] for part in ("forward", "losses", "backward", "optimiser", "average"))
        failed |= whole < TARGET
        parts = ", ".join(f"{part} {share:.1%}" for part, share in shares.items())
        whole_words = f"{whole:.1%} in forward, backward and optimiser"
        print(f"{method:10} {1e3 * seconds:6.1f} ms per step, {whole_words}: {parts}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
