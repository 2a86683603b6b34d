"""Mean SRCC of heads trained on permuted scores, beyond the splits that the board shows.

    python benchmarks/claims/shuffled.py                   print the figures of the committed runs
    python benchmarks/claims/shuffled.py --add STORE       take further runs of a store into the table

The committed records hold seeds 0 to 19; `benchmarks/claims/shuffled.csv` holds the SRCC of further seeds, made by
`ssliqa-bench run --method supervised-shuffled --pair livec:livec --recipe frozen --budget 93 --seeds 220` and
the same of `kernel-ridge-shuffled`. The two are printed apart and together, since the first twenty are why the others
were run. The rule: the mean over the permutations lies within two standard errors of 0.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections import defaultdict
from pathlib import Path

from ssliqa_bench.store.records import iter_records

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_suffix(".csv")
DATASET, COLUMNS = "livec", ("method", "seed", "srcc")
SETTING = (f"{DATASET}:{DATASET}", 93, "frozen")  # pair, labels, recipe
Values = dict[str, dict[int, float]]


def of_store(store: Path) -> Values:
    """SRCC by method and seed of the records with permuted scores."""
    found: Values = defaultdict(dict)
    for record in iter_records(store):
        cell = record.cell
        if cell.method.endswith("-shuffled") and (cell.pair, cell.budget, cell.recipe) == SETTING:
            value = record.results[DATASET].metrics.srcc
            assert value is not None  # predictions of these runs differ
            found[cell.method][cell.seed] = value
    return found


def of_table() -> Values:
    """SRCC by method and seed of the committed table."""
    found: Values = defaultdict(dict)
    with open(TABLE, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["method"]][int(row["seed"])] = float(row["srcc"])
    return found


def words(values: list[float]) -> str:
    """Number of permutations, mean and standard error, and whether the rule holds."""
    if not values:
        return ""
    mean, error = statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
    return f"{len(values)}: {mean:+.3f} ± {error:.3f}, {'holds' if abs(mean) <= 2 * error else 'misses'}"


def rows(first: Values, more: Values) -> list[tuple[str, str, str, str]]:
    """Method, and what its runs on the board, further ones and both together show."""
    found = []
    for method, by_seed in sorted(first.items()):
        own, further = list(by_seed.values()), list(more.get(method, {}).values())
        found.append((method, words(own), words(further), words(own + further) if further else ""))
    return found


def main() -> None:
    """Print the figures, or take runs into the table first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--add", type=Path, metavar="STORE")
    options = parser.parse_args()
    first = of_store(ROOT / "leaderboards" / "open")
    more: Values = of_table() if TABLE.is_file() else defaultdict(dict)
    if options.add is not None:
        for method, by_seed in of_store(options.add).items():
            more[method].update({seed: value for seed, value in by_seed.items() if seed not in first[method]})
        with open(TABLE, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows((method, seed, f"{value:.6f}") for method, by_seed in sorted(more.items())
                             for seed, value in sorted(by_seed.items()))  # fmt: skip
    for method, board, further, both in rows(first, more):
        print(f"{method}: {board}" + (f"; further {further}; all {both}" if further else ""))


if __name__ == "__main__":
    main()
