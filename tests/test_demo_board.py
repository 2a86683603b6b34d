"""What the committed records of the demo suite must show, over the seeds on record."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.runner.plan import Settings
from ssliqa_bench.runner.verify import verify_store
from ssliqa_bench.store.records import iter_facts

STORE = Path(__file__).resolve().parent.parent / "leaderboards/demo"
RECORDS = 40
METHODS = {"piqe", "ridge-probe", "supervised", "supervised-long", "ssiqa", "ssiqa-1in100", "ssiqa-il", "oracle"}


@pytest.fixture(scope="module")
def srcc() -> dict[str, dict[str, list[float]]]:
    """Method → dataset → SRCC by seed."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for facts in sorted(iter_facts(STORE), key=lambda f: f["cell"]["seed"]):
        for dataset, metrics in facts["metrics"].items():
            found[facts["cell"]["method"]][dataset].append(metrics["srcc"])
    return found


def test_every_method_has_five_seeds(srcc: dict[str, dict[str, list[float]]]) -> None:
    assert set(srcc) == METHODS
    assert {len(values) for by_dataset in srcc.values() for values in by_dataset.values()} == {5}


def test_labels_are_learned_from(srcc: dict[str, dict[str, list[float]]]) -> None:
    assert mean(srcc["supervised"]["demo-syn"]) >= 0.70
    assert mean(srcc["oracle"]["demo-syn"]) >= 0.82
    assert mean(srcc["oracle"]["demo-wild"]) >= 0.82


def test_few_images_for_the_regression_hurt(srcc: dict[str, dict[str, list[float]]]) -> None:
    assert mean(srcc["ssiqa-1in100"]["demo-wild"]) < mean(srcc["ssiqa"]["demo-wild"])


def test_metrics_follow_from_the_committed_predictions() -> None:
    found = verify_store(STORE, load_registry(), Settings.from_environment())
    assert found.problems == [] and found.not_recomputable == [] and found.records == RECORDS


def test_records_name_no_machine() -> None:
    for facts in iter_facts(STORE):
        assert re.search(r"['\"]/\w", str(facts)) is None
