"""How often `train` says that unlabeled images helped where they cannot have.

    python benchmarks/claims/unlabeled_verdict.py [--runs 200] [--learner pseudo-label] [--only weight-0] [--out FILE]

Every run draws 100 photographs of LIVE In the Wild with their scores and 100 others without (cached features of the
frozen network; $SSLIQA_DATA holds the database), and asks `photos.selection.choose` as `train --unlabeled` does by
default: five-fold cross-validation, once, the learner against the same one without unlabeled images. Three designs:

    weight-0    the unlabeled images have no weight in training
    duplicates  the unlabeled images are copies of the labeled ones
    reversed    pseudo-labels are turned upside down, at a weight of 0.3, so that they can only mislead

Two learners. `self-training` is in closed form, so that hundreds of runs take minutes: ridge regression labels the
unlabeled images, a second one learns both; each sees a random half of the features, drawn anew for either learner, so
that two trainings differ as those of networks do. `pseudo-label` is the registry's, trained for 20 steps; it has no
reversed labels.

`gain` is the difference of SRCC on all images of the database that the run did not draw. Rows are appended to the
file; the same command resumes. Prints the share of `helped` by design; exit code 1 where it exceeds 5 % in the first
two, or where a learner that lost on the other images was chosen in more than 5 % of the runs of a design.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import ReadDataset
from ssliqa_bench.evaluation.correlations import srcc
from ssliqa_bench.methods.base import Learner, Model, ModelContext, Needs
from ssliqa_bench.photos.fold_fits import Candidate, Photographs, fit, predicted, predictor
from ssliqa_bench.photos.selection import Family, choose
from ssliqa_bench.pixels.features import open_features
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact, FloatArray, IntArray, derive_seed

DESIGNS = ("weight-0", "duplicates", "reversed")
LEARNERS = ("self-training", "pseudo-label")
COLUMNS = ("learner", "design", "run", "said", "difference", "lo", "hi", "used", "gain")
LABELED, UNLABELED = 100, 100
SHORT = {"epochs": 1, "epoch_steps": 20}
WEIGHTS = {"weight-0": 0.0, "duplicates": 1.0, "reversed": 0.3}
LIMIT = 0.05


class Rows:
    """Some rows of a source of features."""

    def __init__(self, source: Any, rows: IntArray) -> None:
        self.hashes = [source.hashes[row] for row in rows]
        self._source, self._rows = source, rows

    def image(self, row: int) -> np.ndarray:
        """As the source has it."""
        return self._source.image(self._rows[row])

    def views(self, row: int, kind: str) -> np.ndarray:
        """Features of the views of a kind."""
        return self._source.views(self._rows[row], kind)


class Evened:
    """Features of whole images with their skew evened out, once, for the learner in closed form."""

    def __init__(self, source: Any) -> None:
        self.hashes = source.hashes
        values = np.stack([source.views(row, "whole")[0] for row in range(len(source.hashes))]).astype(np.float32)
        self._values = np.sign(values) * np.sqrt(np.abs(values))

    def image(self, row: int) -> np.ndarray:
        """None: these are features."""
        raise AssertionError("a learner on features asked for pixels")

    def views(self, row: int, kind: str) -> np.ndarray:
        """The features, whatever the kind."""
        return self._values[row : row + 1]


def features_of(images: ImageSet) -> FloatArray:
    """Features (n, d)."""
    return np.stack([images.views(k, "whole")[0] for k in range(len(images))])


def ridge(features: FloatArray, scores: FloatArray, weights: FloatArray, seed: int) -> FloatArray:
    """Coefficients (d + 1,) of a weighted ridge regression on a random half of the features, the last one the offset.

    The penalty is the number of features, after they are standardised.
    """
    width = features.shape[1]
    half = np.random.Generator(np.random.Philox(key=seed)).permutation(width)[: width // 2]
    known = weights > 0
    used, total = features[known][:, half], weights[known] / weights[known].sum()
    mean = total @ used
    deviation = np.sqrt(total @ np.square(used - mean)) + 1e-6
    scaled, middle = (used - mean) / deviation, float(total @ scores[known])
    kernel = scaled @ scaled.T + len(half) * np.diag(1.0 / weights[known])
    slope = scaled.T @ np.linalg.solve(kernel, scores[known] - middle) / deviation
    found = np.zeros(width + 1)
    found[half], found[-1] = slope, middle - mean @ slope
    return found


def run_with_unlabeled(context: StageContext) -> Artifact:
    """Pseudo-labels by a first regression, a second one on scores and pseudo-labels."""
    assert context.labeled is not None and context.unlabeled is not None
    known, others = features_of(context.labeled.images), features_of(context.unlabeled)
    scores, purpose = context.labeled.score01, "with unlabeled"
    first = ridge(known, scores, np.ones(len(known)), derive_seed(context.seed, purpose, 1))
    weights = np.r_[np.ones(len(known)), np.full(len(others), float(context.params["unlabeled_weight"]))]
    guessed = others @ first[:-1] + first[-1]
    if context.params["reversed"]:
        guessed = 2 * scores.mean() - guessed
    both, targets = np.concatenate([known, others]), np.r_[scores, guessed]
    return Artifact({"coefficients": ridge(both, targets, weights, derive_seed(context.seed, purpose, 2))}, {})


def run_labels_only(context: StageContext) -> Artifact:
    """The second regression on scores alone."""
    assert context.labeled is not None
    known = features_of(context.labeled.images)
    seed = derive_seed(context.seed, "labels only", 2)
    return Artifact({"coefficients": ridge(known, context.labeled.score01, np.ones(len(known)), seed)}, {})


class Linear:
    """A linear model on features."""

    def __init__(self, coefficients: FloatArray) -> None:
        self.n_parameters, self._coefficients = len(coefficients), coefficients

    def predict(self, images: ImageSet) -> FloatArray:
        """Quality (n,)."""
        found: FloatArray = features_of(images) @ self._coefficients[:-1] + self._coefficients[-1]
        return found


def build_linear(context: ModelContext) -> Linear:
    """The model of an artifact."""
    return Linear(np.asarray(context.trained.tensors["coefficients"]))


class SelfTraining(Learner):
    """Ridge regression that learns its own pseudo-labels."""

    needs = Needs(unlabeled=True)
    model = Model(build_linear)

    def stages(self) -> list[Stage]:
        """One stage."""
        return [Stage("student", run_with_unlabeled, sets=("labeled", "unlabeled"),
                      params=("unlabeled_weight", "reversed"))]  # fmt: skip


class LabelsOnly(SelfTraining):
    """The same without unlabeled images."""

    needs = Needs()

    def stages(self) -> list[Stage]:
        """One stage."""
        return [Stage("student", run_labels_only, sets=("labeled",))]


def candidates(learner: str, design: str, settings: Settings) -> tuple[Candidate, Candidate]:
    """The learner and the same one without unlabeled images."""
    changed = {**SHORT, "unlabeled_weight": WEIGHTS[design]}
    registry = load_registry()
    ours = Candidate.of("pseudo-label", registry, settings, "frozen", changed)
    theirs = Candidate.of("pseudo-label-supervised", registry, settings, "frozen", SHORT)
    if learner == "self-training":
        params = {**ours.params, "reversed": design == "reversed"}
        ours = replace(ours, learner=SelfTraining(params), params=params)
        theirs = replace(theirs, learner=LabelsOnly(theirs.params))
    return ours, theirs


def one(
    learner: str, design: str, number: int, source: Any, table: Any, scale: Any, pair: tuple[Candidate, Candidate]
) -> dict[str, Any]:
    """One run of a design."""
    drawn = np.random.default_rng([number, DESIGNS.index(design)]).permutation(len(table))
    rows, others = drawn[:LABELED], drawn[LABELED : LABELED + UNLABELED]
    unlabeled = Rows(source, rows if design == "duplicates" else others)
    photos = Photographs(Rows(source, rows), table.score01[rows], [table.group[k] for k in rows], scale, unlabeled)
    ours, theirs = pair
    found = choose(Family((theirs,), ours, theirs), photos, np.arange(LABELED), number)
    rest = drawn[LABELED + UNLABELED :]
    figures = [
        srcc(predicted(predictor(c, fit(c, photos, np.arange(LABELED), number)), source, rest), table.score01[rest])
        for c in pair
    ]
    assert found.difference is not None and None not in figures
    difference = {name: f"{getattr(found.difference, name):.5f}" for name in ("lo", "hi")}
    return {"learner": learner, "design": design, "run": number, "said": found.said,
            "difference": f"{found.difference.mean:.5f}", **difference,
            "used": int(found.chosen.learns_from_unlabeled),
            "gain": f"{figures[0] - figures[1]:.5f}"}  # type: ignore[operator]  # fmt: skip


def judged(rows: list[dict[str, str]]) -> bool:
    """Print the shares of a file; whether they hold."""
    holds = True
    for learner, design in ((learner, design) for learner in LEARNERS for design in DESIGNS):
        own = [row for row in rows if (row["learner"], row["design"]) == (learner, design)]
        if not own:
            continue
        said = {word: sum(row["said"] == word for row in own) / len(own) for word in ("helped", "hurt", "cannot tell")}
        losing = [row for row in own if float(row["gain"]) < 0]
        kept = sum(row["used"] == "1" for row in losing)
        gain = np.mean([float(row["gain"]) for row in own])
        told = ", ".join(f"{word} {share:.1%}" for word, share in said.items())
        print(f"{learner}, {design}: {len(own)} runs, {told}; mean gain {gain:+.4f}; lost in {len(losing)}, and was "
              f"recommended in {kept} of these")  # fmt: skip
        holds &= (design == "reversed" or said["helped"] <= LIMIT) and kept / len(own) <= LIMIT
    return holds


def main() -> int:
    """Run what the file does not hold yet, then judge it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--learner", choices=LEARNERS, default=LEARNERS[0])
    parser.add_argument("--only", choices=DESIGNS, nargs="*", default=DESIGNS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    asked = parser.parse_args()
    if asked.learner != LEARNERS[0]:
        asked.only = [design for design in asked.only if design != "reversed"]
    settings = replace(Settings.from_environment(), quiet=True)
    prepare_process("cpu", 1)
    rows = list(csv.DictReader(asked.out.open())) if asked.out.exists() else []
    known = {(row["design"], int(row["run"])) for row in rows if row["learner"] == asked.learner}
    missing = [(design, k) for k in range(asked.runs) for design in asked.only if (design, k) not in known]
    if missing:
        entry = load_registry().dataset("livec")
        table = load_table(entry, settings.data_root, settings.cache_root)
        pairs = {design: candidates(asked.learner, design, settings) for design in asked.only}
        network = pairs[missing[0][0]][0].network
        assert network is not None
        source = open_features(table, ReadDataset(table, settings.cache_root).hashes, network, settings.cache_root)
        if asked.learner == LEARNERS[0]:
            source = Evened(source)
    with asked.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not rows:
            writer.writeheader()
        for design, number in missing:
            row = one(asked.learner, design, number, source, table, entry.native_scale, pairs[design])
            writer.writerow(row)
            file.flush()
            rows.append({name: str(value) for name, value in row.items()})
    return 0 if judged(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
