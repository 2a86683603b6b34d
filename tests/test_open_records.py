"""`make open-records` replaces the committed records on human scores: its suites must ask for all of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.suite import load_suite
from ssliqa_bench.store.record import RunCell
from ssliqa_bench.store.records import export_record, iter_records, record_keys

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize(("board", "variable"), [("open", "OPEN_SUITES"), ("last-stages", "LAST_STAGES_SUITES")])
def test_every_committed_record_is_a_run_of_its_suites(board: str, variable: str) -> None:
    registry = load_registry()
    suites = re.findall(rf"^{variable} := (.*)$", MAKEFILE, re.MULTILINE)[0].split()
    asked = {repr(RunCell.of(run)) for suite in suites for run in load_suite(suite, registry).runs}
    found = {repr(record.cell) for record in iter_records(ROOT / "leaderboards" / board)}
    assert found, "no record is committed"
    assert found - asked == set(), "make open-records would remove these records"


def test_a_record_of_no_sweep_is_not_removed(tmp_path: Path) -> None:
    store = ROOT / "leaderboards/last-stages"
    kept, other = sorted(path.name for path in (store / "records").iterdir())[:2]
    target = tmp_path / "board"
    for key in (kept, other):
        export_record(store, key, target, {})
    sweep = tmp_path / "sweep.json"
    sweep.write_text(json.dumps({"runs": [{"key": kept, "status": "done"}]}))
    command = [sys.executable, str(ROOT / ".ci/demo_records.py"), str(store), str(target), str(sweep)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and f"1 record of {target} is a run of none of these sweeps" in done.stderr
    assert other[:12] in done.stderr and record_keys(target) == [kept, other]
    (target / "records" / other / "facts.json").unlink()
    assert subprocess.run(command).returncode == 0
    assert record_keys(target) == [kept]
