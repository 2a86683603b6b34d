"""Bring the records of a finished sweep from a store to the folder where they are committed.

    ssliqa-bench sweep demo --store STORE --json | python .ci/demo_records.py STORE TARGET

Only the records of the sweep go over, so that what older code left in the store stays behind; weights never do.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssliqa_bench.store.records import export_record, read_facts, record_folder


def collect(store: Path, target: Path, sweep: Mapping[str, Any]) -> str:
    """Replace TARGET/records by the records of a finished sweep; nothing is touched where a run failed."""
    failed = [run for run in sweep["runs"] if run["status"] == "failed"]
    if failed or not sweep["runs"]:
        sys.exit(f"{len(failed)} of {len(sweep['runs'])} runs failed; {target} stays as it is.")
    folders = {run["key"]: record_folder(store, run["key"]) for run in sweep["runs"]}
    for folder in folders.values():
        read_facts(folder)  # whole and sealed, or it raises before anything is replaced
    shutil.rmtree(target / "records", ignore_errors=True)
    for _, folder in sorted(folders.items()):
        export_record(folder, target)
    return f"{len(folders)} records are in {target}/records."


if __name__ == "__main__":
    match sys.argv[1:]:
        case [store, target]:
            print(collect(Path(store), Path(target), json.load(sys.stdin)))
        case _:
            sys.exit(__doc__)
