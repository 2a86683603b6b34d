"""How often the interval of `label-budget` holds the expected SRCC at twice the labels.

    python benchmarks/claims/label_budget.py [--draws 200] [--out FILE.csv]

Every draw takes 100 photographs of LIVE In the Wild with their scores (cached features of the frozen network;
$SSLIQA_DATA holds the database), fits the curve of `photos.budget` to cross-validation within them (the defaults of the
command: kernel ridge regression, four repeats), and extrapolates it to 200 labels. What is true is the mean SRCC of the
same learner on 60 random splits of the database: 200 photographs for training, all others for the test. The learner is
computed on a matrix of features, which takes a tenth of the time; on the first split of the first draw it is compared
with the command's. Rows are appended to the file; the same command resumes. Prints the coverage of the 95 % interval;
exit code 1 below 90 %.
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
from ssliqa_bench.methods.regression.kernel_ridge import PENALTIES, WIDTHS
from ssliqa_bench.photos.budget import Curve, measured_curve
from ssliqa_bench.photos.fold_fits import Candidate, Photographs, fit, predicted, predictor
from ssliqa_bench.photos.folds import folds
from ssliqa_bench.pixels.features import open_features
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.training.standardisation import FeatureScale
from ssliqa_bench.types import FloatArray, IntArray, derive_seed

METHOD, LABELS, SPLITS, REPEATS, LIMIT = "kernel-ridge", 100, 60, 4, 0.90
COLUMNS = ("draw", "expected", "lo", "hi", "true")


class Database:
    """LIVE In the Wild as features (n, d) of whole images with their skew evened out, and scores on [0, 1]."""

    def __init__(self, settings: Settings) -> None:
        registry = load_registry()
        self.entry = registry.dataset("livec")
        self.table = load_table(self.entry, settings.data_root, settings.cache_root)
        self.candidate = Candidate.of(METHOD, registry, settings, "frozen")
        assert self.candidate.network is not None
        hashes = ReadDataset(self.table, settings.cache_root).hashes
        self.source = open_features(self.table, hashes, self.candidate.network, settings.cache_root)
        values = np.stack([self.source.views(k, "whole") for k in range(len(self.table))]).astype(np.float32)
        self.features = (np.sign(values) * np.sqrt(np.abs(values))).astype(np.float64).mean(1)
        self.scores = self.table.score01

    def judged(self, training: IntArray, test: IntArray) -> FloatArray:
        """Train on some rows, predict others: all widths and penalties of `methods.regression.kernel_ridge` at once."""
        scale, scores = FeatureScale.of(self.features[training]), self.scores[training]
        known, asked = (scale.standardise(self.features[rows]) for rows in (training, test))
        gammas, penalties = np.array(WIDTHS) / known.shape[1], np.array(PENALTIES)
        values, vectors = np.linalg.eigh(_kernels(known, known, gammas))  # (widths, n), (widths, n, n)
        shrunk = 1 / (np.maximum(values, 0)[..., None] + penalties)  # (widths, n, penalties)
        ones, along = vectors.sum(1)[..., None], (scores @ vectors)[..., None]
        total = np.sum(ones**2 * shrunk, axis=1, keepdims=True)
        offsets = np.sum(ones * along * shrunk, axis=1, keepdims=True) / total
        column = vectors @ (shrunk * ones)
        weights = vectors @ (shrunk * along) - column * offsets
        left_out = weights / (np.square(vectors) @ shrunk - np.square(column) / total)
        errors = np.square(left_out).mean(axis=1)
        wide, hard = np.unravel_index(int(errors.argmin()), errors.shape)
        found: FloatArray = _kernels(asked, known, gammas[[wide]])[0] @ weights[wide, :, hard] + offsets[wide, 0, hard]
        return found

    def check(self, training: IntArray, test: IntArray) -> None:
        """Stop where the command's learner predicts otherwise."""
        own = Photographs(self.source, self.scores, self.table.group, self.entry.native_scale)
        theirs = predicted(predictor(self.candidate, fit(self.candidate, own, training, 0)), self.source, test)
        gap = float(np.abs(theirs - self.judged(training, test)).max())
        if gap > 1e-3:
            raise SystemExit(f"The learner here and the command's differ by {gap:g} in a prediction.")


def _kernels(rows: FloatArray, columns: FloatArray, gammas: FloatArray) -> FloatArray:
    """exp(-γ ‖a − b‖²) of every γ, shape (len(gammas), len(rows), len(columns))."""
    squares = np.square(rows).sum(1)[:, None] + np.square(columns).sum(1) - 2 * rows @ columns.T
    found: FloatArray = np.exp(-gammas[:, None, None] * np.maximum(squares, 0))
    return found


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
