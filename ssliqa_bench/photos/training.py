"""From photographs to a model folder: the choice of the learner, the figures to expect, the model and its card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.errors import InputError
from ssliqa_bench.files import write_text
from ssliqa_bench.models.folder import CONFIG, TENSORS, Finished, write_model_folder
from ssliqa_bench.photos.card import card_text
from ssliqa_bench.photos.fold_fits import Candidate, Photographs, fit
from ssliqa_bench.photos.selection import Choice, Family, HeldOutPredictions, choose, fits, held_out, recommended
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.registry.schema import CONTROL
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.store.provenance import library_versions
from ssliqa_bench.tabular.writer import csv_text
from ssliqa_bench.types import Artifact

AUTO = "auto"
CARD, HELD_OUT, SCATTER = "README.md", "held_out.csv", "scatter.png"
_LABELS_ONLY = ("kernel-ridge", "ridge-probe")
_UNLABELED = "pseudo-label"
# The learner from unlabeled images is fitted more than a hundred times to find out whether they help.
_SHORT = {"epochs": 5}
_LIBRARIES = ("torch", "numpy", "scikit-learn", "timm")


@dataclass(frozen=True)
class Trained:
    """A finished model with what is known about it.

    Attributes:
        choice: what was chosen of all labels, and the verdict on unlabeled images.
        held_out: how the same procedure did on images that it did not see.
        labels, unlabeled: numbers of images.
    """

    choice: Choice
    held_out: HeldOutPredictions
    artifact: Artifact
    photos: Photographs
    labels: int
    unlabeled: int

    def summary(self) -> dict[str, Any]:
        """As JSON: the learner, the figures with their intervals, the verdict."""
        difference = self.choice.difference
        return {
            "method": self.choice.chosen.name,
            "recipe": self.choice.chosen.method.recipe,
            "labels": self.labels,
            "unlabeled": self.unlabeled,
            "tested": len(self.held_out.rows),
            "expected": {name: asdict(figure) for name, figure in self.held_out.expected.items()},
            "chosen_in_splits": dict(self.held_out.chosen),
            "srcc_in_choice": {name: float(values.mean()) for name, values in self.choice.srcc.items()},
            "unlabeled_images": None
            if difference is None
            else {
                "verdict": self.choice.said,
                "difference": difference.mean,
                "lo": difference.lo,
                "hi": difference.hi,
                "p": difference.p,
                "splits": difference.n,
                "used_by_the_model": self.choice.chosen.learns_from_unlabeled,
                "sentence": recommended(self.choice),
            },
        }


def family_of(
    method: str, registry: Registry, settings: Settings, *, unlabeled: bool, recipe: str | None = "frozen",
    overrides: Mapping[str, Any] | None = None,
) -> Family:  # fmt: skip
    """The learners among which is chosen.

    Args:
        method: a name, or auto for linear and kernel ridge regression and, with unlabeled images, pseudo-labels.
        unlabeled: whether there are unlabeled images.

    Raises:
        InputError: an unknown name, or a method from unlabeled images without such images or without a comparator.
    """

    def of(name: str, changed: Mapping[str, Any] | None) -> Candidate:
        return Candidate.of(name, registry, settings, recipe, changed)

    if method == AUTO and overrides:
        raise InputError("--set: names a parameter of one method; name the method with --method.")
    if method == AUTO and recipe != "frozen":
        raise InputError(
            f'--method auto: chooses among heads on frozen features, recipe frozen; got --recipe "{recipe}". Name a '
            f"method to fine-tune a network."
        )
    if method in registry.methods and registry.methods[method].about.family == CONTROL:
        raise InputError(f'--method {method}: is a check whose outcome is known beforehand; expected a learner. '
                         f'"ssliqa-bench list methods" lists them.')  # fmt: skip
    labels_only = tuple(of(name, None) for name in _LABELS_ONLY) if method == AUTO else ()
    if method == AUTO and not unlabeled:
        return Family(labels_only)
    taken = of(_UNLABELED, _SHORT) if method == AUTO else of(method, overrides)
    if not taken.learns_from_unlabeled:
        return Family((taken,))
    if not unlabeled:
        raise InputError(f"--method {method}: learns from unlabeled images; name a folder of them with --unlabeled.")
    twin, changed = _comparator_of(taken, registry, recipe)
    comparator = of(twin, changed)
    return Family((*labels_only, comparator), taken, comparator)


def _comparator_of(taken: Candidate, registry: Registry, recipe: str | None) -> tuple[str, dict[str, Any]]:
    """The same learner without unlabeled images, and the parameters to change in it.

    A variant takes the comparator of the method that it extends, with its own parameters.

    Raises:
        InputError: the registry has none with these parameters.
    """
    for link in reversed(taken.method.chain):
        twin = next((name for name, entry in registry.methods.items()
                     if entry.like == link and entry.unlabeled_role != "labeled"), None)  # fmt: skip
        if twin is None:
            continue
        base, theirs = registry.resolve_method(link, recipe).params, registry.resolve_method(twin, recipe).params
        changed = {name: value for name, value in taken.method.params.items() if base.get(name) != value}
        if set(changed) <= set(theirs):
            return twin, changed
    raise InputError(f"--method {taken.name}: the registry has no comparator with the same steps on labels alone, so "
                     f"it could not be determined whether unlabeled images help. Use --method auto.")  # fmt: skip


def train(
    family: Family, photos: Photographs, *, seed: int = 0, repeats: int = 2, device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Trained:  # fmt: skip
    """Choose a learner, find out how good it may be expected to be, and train it on all labels.

    The figures come from models that saw four fifths of the labels, on the rest: a test part where there are many
    labels, else the parts of cross-validation. The model that is kept sees all labels.

    Args:
        repeats: of five-fold cross-validation.
    """
    total, count = fits(family, photos, repeats) + 1, 0

    def done() -> None:
        nonlocal count
        count += 1
        progress(count, total)

    tested = held_out(family, photos, seed, repeats=repeats, device=device, done=done)
    rows = np.arange(len(photos))
    choice = choose(family, photos, rows, seed, repeats=repeats, device=device, done=done)
    artifact = fit(choice.chosen, photos, rows, seed, device)
    done()
    unlabeled = 0 if photos.unlabeled is None else len(photos.unlabeled.hashes)
    return Trained(choice, tested, artifact, photos, len(photos), unlabeled)


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse to replace a model, or to write into a folder of something else.

    Raises:
        InputError: says which.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / CONFIG).is_file():
        raise InputError(f"--out {folder}: is not empty and holds no model; name a new folder.")
    if not force:
        raise InputError(f"--out {folder}: holds a model already. Name another folder, or replace it with --force.")


def write_model(folder: Path, trained: Trained, short_side: int | None = None) -> list[str]:
    """Write the model folder; names of its files. `config.json` comes last and marks the folder as complete.

    Raises:
        StorageError: it cannot be written.
    """
    chosen, photos = trained.choice.chosen, trained.photos
    summary = trained.summary()
    (folder / CONFIG).unlink(missing_ok=True)
    tested = trained.held_out.rows
    scores = photos.scale.from01(photos.score01)[tested]
    values = photos.scale.from01(trained.held_out.predictions)[tested]
    rows = zip((photos.names[int(row)] for row in tested), scores, values, strict=True)
    write_text(folder / HELD_OUT, csv_text(((n, f"{s:.6g}", f"{v:.6f}") for n, s, v in rows), _COLUMNS))
    plotted = _plot(folder / SCATTER, scores, values)
    write_text(folder / CARD, card_text(summary, chosen, photos.scale, plot=SCATTER if plotted else None))
    origin = {**summary, "versions": library_versions(_LIBRARIES)}
    description = chosen.description(photos.scale, short_side)
    write_model_folder(folder, Finished(description, trained.artifact, origin, str(folder)))
    return [CONFIG, TENSORS, CARD, HELD_OUT, *([SCATTER] if plotted else [])]


_COLUMNS = ("image", "score", "prediction")


def _plot(path: Path, scores: Any, predictions: Any) -> bool:
    """Predictions of held-out images over their scores; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(scores, predictions, s=12, alpha=0.6, edgecolors="none")
    axes.set_xlabel("score")
    axes.set_ylabel("prediction for the held-out image")
    axes.axline((float(np.mean(scores)),) * 2, slope=1, linewidth=0.8, color="grey")
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(part, format="png", dpi=120, metadata={"Software": None})
    shutil.move(part, path)
    return True
