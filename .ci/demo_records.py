"""Bring the records of finished sweeps from a store to the folder where they are committed.

    ssliqa-bench sweep demo --store STORE --json > demo.json
    python .ci/demo_records.py STORE TARGET demo.json …

Only the records of these sweeps go over, so that what older code left in the store stays behind; weights never do.
A record of TARGET whose run is in none of the sweeps would be lost: nothing is replaced then.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssliqa_bench.registry.load import load_registry, notices_of
from ssliqa_bench.store.records import export_record, iter_records, read_record


def collect(store: Path, target: Path, sweeps: Sequence[Mapping[str, Any]]) -> str:
    """Replace TARGET/records by the records of finished sweeps.

    Nothing is touched where a run failed or TARGET has a record of a run that no sweep names.
    """
    runs = [run for sweep in sweeps for run in sweep["runs"]]
    failed = [run for run in runs if run["status"] == "failed"]
    if failed or not all(sweep["runs"] for sweep in sweeps):
        sys.exit(f"{len(failed)} of {len(runs)} runs failed; {target} stays as it is.")
    keys = sorted({run["key"] for run in runs})
    # Complete and sealed, or it raises before anything is replaced.
    named = {repr(read_record(store, key, with_predictions=True).cell) for key in keys}
    lost = [record for record in iter_records(target) if repr(record.cell) not in named]
    if lost:
        one, cell = lost[0].key[:12], lost[0].cell
        run = f"{cell.method} {cell.pair} recipe {cell.recipe} budget {cell.budget} seed {cell.seed}"
        found = f"1 record of {target} is a run" if len(lost) == 1 else f"{len(lost)} records of {target} are runs"
        sys.exit(
            f"{found} of none of these sweeps (first: {one}, {run}); {target} stays as it is. Add what is missing to a "
            f"suite of benchmarks/, or remove such folders from {target}/records first."
        )
    notices = notices_of(load_registry())
    shutil.rmtree(target / "records", ignore_errors=True)
    for key in keys:
        export_record(store, key, target, notices)
    return f"{len(keys)} records are in {target}/records."


if __name__ == "__main__":
    match sys.argv[1:]:
        case [store, target, *files] if files:
            print(collect(Path(store), Path(target), [json.loads(Path(file).read_text()) for file in files]))
        case _:
            sys.exit(__doc__)
