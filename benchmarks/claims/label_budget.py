"""How often the interval of `label-budget` holds the expected SRCC at twice the labels.

    python benchmarks/claims/label_budget.py [--draws 200] [--out FILE.csv]

Every draw takes 100 photographs of LIVE In the Wild with their scores (cached features of the frozen network;
$SSLIQA_DATA holds the database), fits the curve of `photos.budget.learning_curve` to cross-validation within them
(ridge regression, two repeats), and carries it on to 200 labels. What is true is the mean SRCC of the same learner on
60 random splits of the database: 200 photographs for training, all others for the test. Rows are appended to the file;
the same command resumes. Prints the coverage of the 95 % interval; exit code 1 below 90 %.
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
from ssliqa_bench.photos.budget import learning_curve
from ssliqa_bench.photos.fitting import Candidate, Photographs, fit, predicted, predictor
from ssliqa_bench.pixels.features import open_features
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.runner.settings import Settings

LABELS, SPLITS, LIMIT = 100, 60, 0.90
COLUMNS = ("draw", "expected", "lo", "hi", "true")


class Rows:
    """Some rows of a source of features."""

    def __init__(self, source: Any, rows: np.ndarray) -> None:
        self.hashes = [source.hashes[row] for row in rows]
        self._source, self._rows = source, rows

    def image(self, row: int) -> np.ndarray:
        """As the source has it."""
        return self._source.image(self._rows[row])

    def views(self, row: int, kind: str) -> np.ndarray:
        """Features of the views of a kind."""
        return self._source.views(self._rows[row], kind)


def drawn(source: Any, table: Any, scale: Any, rows: np.ndarray) -> Photographs:
    """Some photographs of the database."""
    return Photographs(Rows(source, rows), table.score01[rows], [table.group[k] for k in rows], scale)


def true_srcc(candidate: Candidate, source: Any, table: Any, scale: Any) -> float:
    """The mean SRCC with twice the labels over random splits of the database."""
    found = []
    for number in range(SPLITS):
        order = np.random.default_rng([number, 1]).permutation(len(table))
        rows, rest = order[: 2 * LABELS], order[2 * LABELS :]
        photos = drawn(source, table, scale, rows)
        model = predictor(candidate, fit(candidate, photos, np.arange(len(rows)), number))
        found.append(srcc(predicted(model, source, rest), table.score01[rest]))
    return float(np.mean(found))


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
        registry = load_registry()
        entry = registry.dataset("livec")
        table = load_table(entry, settings.data_root, settings.cache_root)
        candidate = Candidate.of("ridge-probe", registry, settings, "frozen")
        assert candidate.network is not None
        hashes = ReadDataset(table, settings.cache_root).hashes
        source = open_features(table, hashes, candidate.network, settings.cache_root)
        true = float(rows[0]["true"]) if rows else true_srcc(candidate, source, table, entry.native_scale)
    with asked.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not rows:
            writer.writeheader()
        for number in missing:
            order = np.random.default_rng([number, 0]).permutation(len(table))
            photos = drawn(source, table, entry.native_scale, order[:LABELS])
            found = learning_curve(candidate, photos, number, repeats=2).expected(2 * LABELS)
            values = (*found, true)
            row = {"draw": number, **{name: f"{value:.5f}" for name, value in zip(COLUMNS[1:], values, strict=True)}}
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
