"""Time and memory of boards from many records, in processes of their own.

    python benchmarks/speed/boards.py [--records 2500,5000,10000] [--predictions 2000] [--folder DIR]

Makes records in a scratch folder: copies of a committed record as other methods, numbers of labels and seeds, with
metrics of their own and a file of predictions each. Boards of all records are then written as Markdown and CSV by the
command, first with an empty index of records, then again with one more record. Seconds are CPU time, to which other
work on the machine does not count; beside them the wall clock. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import Figure, show

from ssliqa_bench.files import seal
from ssliqa_bench.store.predictions import Predictions, to_parquet
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records
from ssliqa_bench.store.store import ENTRY_SCHEMA, data_name

SECONDS, GIGABYTES = 60.0, 2.0
LINEAR = 1.25  # of the time per record at the most records over that at the fewest
SEEDS, BUDGETS = 20, 10
TEMPLATE = Path(__file__).resolve().parents[2] / "leaderboards" / "demo"
_CHILD = """
import json, resource, sys, time
from ssliqa_bench.cli.app import main
began = time.time()
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([code, time.time() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20]))
"""


@dataclass(frozen=True)
class Cost:
    """What a board cost: wall clock and CPU in seconds, peak memory in GB."""

    wall: float
    cpu: float
    memory: float


def template() -> Record:
    """A committed record with several stages and a training log."""
    return next(record for record in iter_records(TEMPLATE) if record.cell.method == "ssiqa")


def predictions(count: int) -> Predictions:
    """Predictions of as many images."""
    rng = np.random.default_rng(0)
    quality = rng.normal(size=count)
    guess = quality + 0.5 * rng.normal(size=count)
    return Predictions(tuple(f"{k:05}.png" for k in range(count)), tuple(quality.tolist()), tuple(guess.tolist()))


def make(store: Path, record: Record, start: int, stop: int, rows: int) -> None:
    """Write records number `start` to `stop`; files of predictions are links to one file for each dataset."""
    rng = np.random.default_rng(start)
    table = predictions(rows)
    sources, sums = {}, {}
    store.mkdir(parents=True, exist_ok=True)
    for dataset in record.results:
        data = to_parquet(table, dataset)
        sums[dataset] = {"predictions.parquet": hashlib.sha256(data).hexdigest()}
        sources[dataset] = store / f"source-{dataset}"
        sources[dataset].write_bytes(data)
    facts = record.facts.model_dump(mode="json")
    results = {name: own.model_dump(mode="json") for name, own in record.results.items()}
    for k in range(start, stop):
        key = hashlib.sha256(f"record {k}".encode()).hexdigest()
        folder = store / "records" / key
        cell = {"method": f"method-{k // (SEEDS * BUDGETS)}", "seed": k % SEEDS, "budget": 20 + k // SEEDS % BUDGETS}
        for name, own in results.items():
            values = {metric: float(rng.uniform(0.5, 0.9)) for metric in ("srcc", "plcc_mapped")}
            body = {**own, "run": key, "metrics": {**own["metrics"], **values}, "files": sums[name]}
            _write(folder / name, "metrics.json", body, "result")
            os.link(sources[name], folder / name / data_name("predictions.parquet", sums[name]["predictions.parquet"]))
        _write(folder, "facts.json", {**facts, "key": key, "cell": {**facts["cell"], **cell}, "files": {}}, "record")
    for source in sources.values():
        source.unlink()


def _write(folder: Path, name: str, body: dict[str, object], kind: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(seal(body, kind=kind, schema=ENTRY_SCHEMA))


def boards(store: Path, scratch: Path) -> Cost:
    """Write the boards of a store in a process of its own."""
    words = ["leaderboard", "--store", str(store), "--out", str(scratch / "boards")]
    told = subprocess.run(
        [sys.executable, "-c", _CHILD, *words], env={**os.environ, "SSLIQA_CACHE": str(scratch / "cache")},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    ).stdout  # fmt: skip
    code, *used = json.loads(told.splitlines()[-1])
    if code:
        raise SystemExit(f"leaderboard ended with exit code {code}")
    return Cost(*used)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", default="2500,5000,10000")
    parser.add_argument("--predictions", type=int, default=2000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    counts = sorted(int(part) for part in options.records.split(","))
    record, lines, first = template(), [], {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        made = 0
        for count in counts:
            scratch = Path(folder) / str(count)
            store = Path(folder) / "runs"
            began = time.time()
            make(store, record, made, count, options.predictions)
            made = count
            print(f"{count} records are made ({time.time() - began:.0f} s)", file=sys.stderr)
            first[count] = boards(store, scratch)
            make(store, record, 10**9 + count, 10**9 + count + 1, options.predictions)
            again = boards(store, scratch)
            for name, cost in (("empty index", first[count]), ("one new record", again)):
                lines.append([f"{count:,}, {name}", f"{cost.cpu:.1f}", f"{cost.wall:.1f}", f"{cost.memory:.2f}"])
    most, fewest = counts[-1], counts[0]
    share = (first[most].cpu / most) / (first[fewest].cpu / fewest)
    figures = [
        Figure(f"boards of {most:,} records", first[most].cpu, "s", at_most=SECONDS * max(1.0, most / 10_000)),
        Figure(f"memory of {most:,} records", first[most].memory, "GB", at_most=GIGABYTES),
        Figure(f"time per record, {most:,} against {fewest:,}", share, at_most=LINEAR),
    ]
    return show(["records", "CPU s", "wall s", "memory GB"], lines, figures, rounds=1)


if __name__ == "__main__":
    sys.exit(main())
