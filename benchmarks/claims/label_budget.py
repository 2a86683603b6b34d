"""How often the interval of `label-budget` holds the expected SRCC at twice the labels.

    python benchmarks/claims/label_budget.py [--draws 200] [--out FILE.csv]

Every draw takes 100 photographs of LIVE In the Wild with their scores (cached features of the frozen network;
$SSLIQA_DATA holds the database), fits the curve of `photos.budget` to cross-validation within them (`--method
ridge-probe`, two repeats), and carries it on to 200 labels. What is true is the mean SRCC of the same learner on 60
random splits of the database: 200 photographs for training, all others for the test. The learner is computed on a
matrix of features, which takes a tenth of the time; on the first split of the first draw it is compared with the
command's. Rows are appended to the file; the same command resumes. Prints the coverage of the 95 % interval; exit code
1 below 90 %.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.fingerprint import ReadDataset
from ssliqa_bench.evaluation.correlations import srcc
from ssliqa_bench.methods.ridge_probe import STRENGTHS
from ssliqa_bench.photos.budget import Curve, measured_curve
from ssliqa_bench.photos.fitting import Candidate, Photographs, fit, predicted, predictor
from ssliqa_bench.photos.folds import folds
from ssliqa_bench.pixels.features import open_features
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.training.standardisation import FeatureScale
from ssliqa_bench.types import FloatArray, IntArray, derive_seed

LABELS, SPLITS, REPEATS, LIMIT = 100, 60, 2, 0.90
COLUMNS = ("draw", "expected", "lo", "hi", "true")


class Database:
    """LIVE In the Wild as features (n, d), means over five crops with their skew evened out, and scores on [0, 1]."""

    def __init__(self, settings: Settings) -> None:
        registry = load_registry()
        self.entry = registry.dataset("livec")
        self.table = load_table(self.entry, settings.data_root, settings.cache_root)
        self.candidate = Candidate.of("ridge-probe", registry, settings, "frozen")
        assert self.candidate.network is not None
        hashes = ReadDataset(self.table, settings.cache_root).hashes
        self.source = open_features(self.table, hashes, self.candidate.network, settings.cache_root)
        values = np.stack([self.source.views(k, "test") for k in range(len(self.table))]).astype(np.float32)
        self.features = (np.sign(values) * np.sqrt(np.abs(values))).astype(np.float64).mean(1)
        self.scores = self.table.score01

    def judged(self, training: IntArray, test: IntArray) -> FloatArray:
        """Ridge regression on some rows, its penalty by exact leave-one-out; predictions for others.

        It is solved by the images, not the features, of which there are more: all penalties from one decomposition of
        K = Z Zᵀ, the offset without a penalty, as in `methods.regression.kernel_ridge`.
        """
        scale, scores = FeatureScale.of(self.features[training]), self.scores[training]
        known, penalties = scale.standardise(self.features[training]), np.array(STRENGTHS)
        kernel = known @ known.T
        values, vectors = np.linalg.eigh(kernel)
        shrunk = 1 / (np.maximum(values, 0)[:, None] + penalties)  # (n, penalties)
        ones, along = vectors.sum(0), vectors.T @ scores
        total, share = ones**2 @ shrunk, (ones * along) @ shrunk
        column = vectors @ (shrunk * ones[:, None])
        weights = vectors @ (shrunk * along[:, None]) - column * (share / total)
        left_out = weights / (np.square(vectors) @ shrunk - np.square(column) / total)
        best = int(np.square(left_out).mean(0).argmin())
        offset = (scores - kernel @ weights[:, best] - penalties[best] * weights[:, best]).mean()
        found: FloatArray = scale.standardise(self.features[test]) @ (known.T @ weights[:, best]) + offset
        return found

    def check(self, training: IntArray, test: IntArray) -> None:
        """Stop where the command's learner predicts otherwise."""
        own = Photographs(self.source, self.scores, self.table.group, self.entry.native_scale)
        theirs = predicted(predictor(self.candidate, fit(self.candidate, own, training, 0)), self.source, test)
        gap = float(np.abs(theirs - self.judged(training, test)).max())
        if gap > 1e-3:
            raise SystemExit(f"The learner here and the command's differ by {gap:g} in a prediction.")


def rows_of(number: int, of: int) -> IntArray:
    """The photographs of a draw."""
    return np.random.default_rng([number, 0]).permutation(of)[:LABELS]


def curve_of(database: Database, number: int, judged: Callable[..., FloatArray] | None = None) -> Curve:
    """The learning curve within the photographs of a draw."""
    rows, ask = rows_of(number, len(database.table)), judged or database.judged
    return measured_curve(
        lambda training, test, _: ask(rows[training], rows[test]),
        database.scores[rows],
        [database.table.group[k] for k in rows],
        number,
        repeats=REPEATS,
    )


def true_srcc(database: Database) -> float:
    """The mean SRCC with twice the labels over random splits of the database."""
    found = []
    for number in range(SPLITS):
        order = np.random.default_rng([number, 1]).permutation(len(database.table))
        rows, rest = order[: 2 * LABELS], order[2 * LABELS :]
        found.append(srcc(database.judged(rows, rest), database.scores[rest]))
    return float(np.mean(found))


def first_split(database: Database) -> tuple[IntArray, IntArray]:
    """Training and test rows of the first split of the first draw."""
    rows = rows_of(0, len(database.table))
    groups = [database.table.group[k] for k in rows]
    _, training, test = next(iter(folds(groups, REPEATS, derive_seed(0, "budget"))))
    return rows[training], rows[test]


def row_of(curve: Curve, number: int, true: float) -> dict[str, Any]:
    """The row of a draw."""
    values = (*curve.expected(2 * LABELS), true)
    return {"draw": number, **{name: f"{value:.5f}" for name, value in zip(COLUMNS[1:], values, strict=True)}}


def main() -> int:
    """Make the draws that the file does not hold yet, then judge it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    asked = parser.parse_args()
    settings = replace(Settings.from_environment(), quiet=True)
    prepare_process("cpu", 1)
    rows = list(csv.DictReader(asked.out.open())) if asked.out.exists() else []
    missing = sorted(set(range(asked.draws)) - {int(row["draw"]) for row in rows})
    if missing:
        database = Database(settings)
        database.check(*first_split(database))
        true = float(rows[0]["true"]) if rows else true_srcc(database)
    with asked.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not rows:
            writer.writeheader()
        for number in missing:
            row = row_of(curve_of(database, number), number, true)
            writer.writerow(row)
            file.flush()
            rows.append({name: str(value) for name, value in row.items()})
    held = np.mean([float(row["lo"]) <= float(row["true"]) <= float(row["hi"]) for row in rows])
    width = np.mean([float(row["hi"]) - float(row["lo"]) for row in rows])
    shift = np.mean([float(row["expected"]) - float(row["true"]) for row in rows])
    true_text = f"{float(rows[0]['true']):.4f}"
    print(f"{len(rows)} draws: the interval holds the expected SRCC {true_text} in {held:.1%}; mean width {width:.3f}, "
          f"mean error of the middle {shift:+.4f}")  # fmt: skip
    return 0 if held >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
