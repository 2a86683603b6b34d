"""Every metric that a record may hold has a column."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from ssliqa_bench.errors import CheckError
from ssliqa_bench.evaluation.metrics import METRICS
from ssliqa_bench.leaderboard.columns import require_columns
from ssliqa_bench.registry.load import load_registry
from tests.leaderboard.typed import build_boards


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_every_metric_of_the_table_has_a_column(name: str) -> None:
    require_columns([name], "test")


@pytest.mark.parametrize("name", sorted(load_registry().protocols))
def test_every_metric_of_a_protocol_has_a_column(name: str) -> None:
    require_columns(load_registry().protocols[name].metrics, name)


def test_a_metric_without_a_column_is_an_error_when_boards_are_first_used() -> None:
    program = (
        "from ssliqa_bench.evaluation import names\n"
        "names.FURTHER = (*names.FURTHER, 'made_up')\n"
        "import ssliqa_bench.leaderboard.columns\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1 and "no column of the boards shows made_up" in done.stderr


def test_a_metric_on_record_without_a_column_stops_the_board(made: ModuleType) -> None:
    record = made.record()
    record["metrics"]["demo-wild"]["extra"] = {"made_up": 0.1}
    with pytest.raises(CheckError, match="no column of the boards shows made_up"):
        build_boards([record])
