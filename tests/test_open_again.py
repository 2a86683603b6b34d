"""Whether a repeated run equals its record: what the script compares."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "leaderboards/open"


@pytest.fixture(scope="module")
def again() -> ModuleType:
    spec = importlib.util.spec_from_file_location("open_again", ROOT / "benchmarks/claims/open_again.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dataset", ["livec", "biq2021"])
def test_a_record_equals_itself_and_no_other(again: ModuleType, dataset: str) -> None:
    """Scores of BIQ2021 are withheld, those of LIVE In the Wild are not."""
    of_pair = (own for own in iter_records(STORE) if own.cell.pair == f"{dataset}:{dataset}")
    one, other = next(of_pair), next(of_pair)
    assert one.results[dataset].withheld == (dataset == "biq2021")
    assert again.differences(one, STORE, one, STORE) == []
    found: list[str] = again.differences(one, STORE, other, STORE)
    assert found[0] == "key" and found[1].startswith(f"predictions for {dataset}")


def test_another_metric_is_a_difference_and_the_last_digit_is_none(again: ModuleType) -> None:
    record = next(own for own in iter_records(STORE) if own.cell.pair == "livec:livec")

    def with_rmse(factor: float) -> Record:
        ((name, own),) = record.results.items()
        metrics = own.metrics.model_copy(update={"rmse_mapped": own.metrics.rmse_mapped * factor})
        return replace(record, results={name: own.model_copy(update={"metrics": metrics})})

    assert again.differences(record, STORE, with_rmse(1 + 1e-12), STORE) == []
    (said,) = again.differences(record, STORE, with_rmse(1.001), STORE)
    assert said.startswith("metrics on livec, by up to 1e-03")
