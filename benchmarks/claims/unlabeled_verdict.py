"""How often `train` says that unlabeled images helped where they cannot have.

    python benchmarks/claims/unlabeled_verdict.py [--runs 200] [--only weight-0] [--out FILE.csv]

Every run draws 100 photographs of LIVE In the Wild with their scores and 200 others without (cached features of the
frozen network; $SSLIQA_DATA holds the database), and asks `photos.choosing.choose` as `train` does: five-fold
cross-validation, twice, pseudo-labels against the same learner without them. Training is short (one epoch of 30 steps),
so that hundreds of runs fit into an hour. Three designs:

    weight-0    the unlabeled images have no weight in the loss
    duplicates  the unlabeled images are copies of the labeled ones
    noise       the features of the unlabeled images are shuffled among each other, so that they can only mislead

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
from ssliqa_bench.photos.choosing import Family, choose
from ssliqa_bench.photos.fitting import Candidate, Photographs, fit, predicted, predictor
from ssliqa_bench.pixels.features import open_features
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.devices import prepare_process
from ssliqa_bench.runner.settings import Settings

DESIGNS = ("weight-0", "duplicates", "noise")
COLUMNS = ("design", "run", "said", "difference", "lo", "hi", "used", "gain")
LABELED, UNLABELED = 100, 200
SHORT = {"epochs": 1, "epoch_steps": 30}
LIMIT = 0.05


class Rows:
    """Some rows of a source of features, whose features may be shuffled by a generator."""

    def __init__(self, source: Any, rows: np.ndarray, shuffled: np.random.Generator | None = None) -> None:
        self.hashes = [source.hashes[row] for row in rows]
        self._source, self._rows = source, rows
        self._order = None if shuffled is None else [shuffled.permutation(1280) for _ in rows]

    def image(self, row: int) -> np.ndarray:
        """As the source has it."""
        return self._source.image(self._rows[row])

    def views(self, row: int, kind: str) -> np.ndarray:
        """Features of the views of a kind."""
        found = self._source.views(self._rows[row], kind)
        return found if self._order is None else found[:, self._order[row]]


def one(design: str, number: int, source: Any, table: Any, scale: Any, settings: Settings) -> dict[str, Any]:
    """One run of a design."""
    random = np.random.default_rng([number, DESIGNS.index(design)])
    drawn = random.permutation(len(table))
    rows, others = drawn[:LABELED], drawn[LABELED : LABELED + UNLABELED]
    unlabeled = {
        "weight-0": Rows(source, others),
        "duplicates": Rows(source, rows),
        "noise": Rows(source, others, random),
    }[design]
    photos = Photographs(Rows(source, rows), table.score01[rows], [table.group[k] for k in rows], scale, unlabeled)
    changed = {**SHORT, **({"unlabeled_weight": 0.0} if design == "weight-0" else {})}
    registry = load_registry()
    ours = Candidate.of("pseudo-label", registry, settings, "frozen", changed)
    theirs = Candidate.of("pseudo-label-supervised", registry, settings, "frozen", SHORT)
    found = choose(Family((theirs,), ours, theirs), photos, np.arange(LABELED), number, repeats=2)
    rest = drawn[LABELED + UNLABELED :]
    figures = [
        srcc(predicted(predictor(c, fit(c, photos, np.arange(LABELED), number)), source, rest), table.score01[rest])
        for c in (ours, theirs)
    ]
    assert found.difference is not None and None not in figures
    difference = {name: f"{getattr(found.difference, name):.5f}" for name in ("lo", "hi")}
    return {"design": design, "run": number, "said": found.said, "difference": f"{found.difference.mean:.5f}",
            **difference, "used": int(found.chosen.learns_from_unlabeled),
            "gain": f"{figures[0] - figures[1]:.5f}"}  # type: ignore[operator]  # fmt: skip


def judged(rows: list[dict[str, str]]) -> bool:
    """Print the shares of a file; whether they hold."""
    holds = True
    for design in DESIGNS:
        own = [row for row in rows if row["design"] == design]
        if not own:
            continue
        said = {word: sum(row["said"] == word for row in own) / len(own) for word in ("helped", "hurt", "cannot tell")}
        lost = sum(row["used"] == "1" and float(row["gain"]) < 0 for row in own) / len(own)
        gain = np.mean([float(row["gain"]) for row in own])
        print(f"{design:<11} {len(own):>4} runs  " + "  ".join(f"{word} {share:.1%}" for word, share in said.items())
              + f"  mean gain {gain:+.4f}  chosen although it lost {lost:.1%}")  # fmt: skip
        holds &= (design == "noise" or said["helped"] <= LIMIT) and lost <= LIMIT
    return holds


def main() -> int:
    """Run what the file does not hold yet, then judge it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", choices=DESIGNS, nargs="*", default=DESIGNS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    asked = parser.parse_args()
    settings = replace(Settings.from_environment(), quiet=True)
    prepare_process("cpu", 1)
    rows = list(csv.DictReader(asked.out.open())) if asked.out.exists() else []
    known = {(row["design"], int(row["run"])) for row in rows}
    missing = [(d, k) for k in range(asked.runs) for d in asked.only if (d, k) not in known]
    if missing:
        entry = load_registry().dataset("livec")
        table = load_table(entry, settings.data_root, settings.cache_root)
        network = Candidate.of("pseudo-label", load_registry(), settings, "frozen").network
        assert network is not None
        source = open_features(table, ReadDataset(table, settings.cache_root).hashes, network, settings.cache_root)
    with asked.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not rows:
            writer.writeheader()
        for design, number in missing:
            row = one(design, number, source, table, entry.native_scale, settings)
            writer.writerow(row)
            file.flush()
            rows.append({name: str(value) for name, value in row.items()})
    return 0 if judged(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
