"""What the committed records of the demo suites must show, over the seeds on record."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.suite import load_suite
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.runner.verify import verify_store
from ssliqa_bench.store.record import Record
from ssliqa_bench.store.records import iter_records, read_predictions

ROOT = Path(__file__).resolve().parent.parent
STORE = ROOT / "leaderboards/demo"
SUITES = re.findall(r"^DEMO_SUITES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
PAIR = "demo-syn:demo-wild"
MATCHING = ("fixmatch", "adamatch", "comatch", "freematch", "simmatch", "crmatch", "supervised-levels")
SPREAD = 0.1  # of predictions on [0, 1] over the test images; those of a network that collapsed hardly differ


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return sorted(iter_records(STORE), key=lambda record: record.cell.seed)


@pytest.fixture(scope="module")
def srcc(records: list[Record]) -> dict[str, dict[str, list[float]]]:
    """Method → dataset → SRCC by seed, with all labels."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.cell.pair == PAIR and record.cell.budget is None:
            for dataset, metrics in record.metrics.items():
                found[record.cell.method][dataset].append(metrics.srcc)
    return found


def test_records_are_the_runs_of_the_demo_suites(records: list[Record]) -> None:
    registry = load_registry()
    runs = [run for suite in SUITES for run in load_suite(suite, registry).runs]
    expected = Counter((run.method, str(run.pair), run.protocol, run.budget, run.seed) for run in runs)
    fields = ("method", "pair", "protocol", "budget", "seed")
    assert Counter(tuple(getattr(record.cell, field) for field in fields) for record in records) == expected
    assert set(expected.values()) == {1}


def test_no_matching_learner_collapsed(records: list[Record]) -> None:
    looked = [record for record in records if record.cell.method in MATCHING]
    assert {(record.cell.method, record.cell.budget) for record in looked} == {
        (method, budget) for method in MATCHING for budget in (0.1, None)
    }
    for record in looked:
        for dataset in record.results:
            spread = float(np.std(read_predictions(STORE, record.key, dataset).prediction))
            assert spread > SPREAD, f"{record.cell}: predictions on {dataset} spread by {spread:.3f} only"
        assert any("predictions for" in note for note in record.notes), "class use is part of the record"


def test_labels_are_learned_from(srcc: dict[str, dict[str, list[float]]]) -> None:
    assert mean(srcc["supervised"]["demo-syn"]) >= 0.70
    assert mean(srcc["oracle"]["demo-syn"]) >= 0.82
    assert mean(srcc["oracle"]["demo-wild"]) >= 0.82


def test_few_images_for_the_regression_hurt(srcc: dict[str, dict[str, list[float]]]) -> None:
    assert mean(srcc["ssiqa-1in100"]["demo-wild"]) < mean(srcc["ssiqa"]["demo-wild"])


def test_metrics_follow_from_the_committed_predictions(records: list[Record]) -> None:
    found = verify_store(STORE, load_registry(), Settings.from_environment())
    assert found.problems == [] and found.not_recomputable == [] and found.records == len(records)


def test_records_name_no_machine(records: list[Record]) -> None:
    for record in records:
        assert re.search(r"['\"]/\w", str(record)) is None
