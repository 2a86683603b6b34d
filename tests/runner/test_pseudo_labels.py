"""The figures of pseudo-labels: against plain loops, and those of a finished run against its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from ssliqa_bench import load_model
from ssliqa_bench.runner.pseudo_labels import pseudo_labels
from ssliqa_bench.store.records import read_record

if TYPE_CHECKING:
    from tests.conftest import Bench


def test_figures_against_plain_loops() -> None:
    rng = np.random.default_rng(0)
    scores, predicted, spread = rng.uniform(size=22), rng.uniform(size=22), rng.uniform(size=22)
    found = pseudo_labels(predicted, scores, spread)
    assert found.n == 22 and found.srcc == pytest.approx(stats.spearmanr(predicted, scores)[0], abs=1e-12)
    assert found.bias == pytest.approx(sum(p - s for p, s in zip(predicted, scores, strict=True)) / 22)
    assert found.mae == pytest.approx(sum(abs(p - s) for p, s in zip(predicted, scores, strict=True)) / 22)
    by_agreement = sorted(range(22), key=lambda k: spread[k])
    expected, start = [], 0
    for size in (6, 6, 5, 5):
        own = by_agreement[start : start + size]
        expected.append(sum(abs(predicted[k] - scores[k]) for k in own) / size)
        start += size
    assert found.mae_by_spread == pytest.approx(expected)
    assert pseudo_labels(predicted, scores).mae_by_spread is None


def test_a_run_holds_them_of_every_stage_and_a_labels_only_run_none(finished: Bench) -> None:
    record = read_record(finished.store, finished.key("ssiqa"))
    held = record.facts.pseudo_labels
    assert list(held) == [stage.name for stage in record.facts.stages] and len(held) > 1
    plan, _ = finished.plan("ssiqa")
    table, roles = plan.tables["tiny-b"], plan.roles["tiny-b"]
    rows = [row for row, role in enumerate(roles) if role == "unlabeled"]
    native = load_model(finished.record(record.key))([table.path[row] for row in rows])
    low, high = plan.entries["tiny-a"].scale
    predicted, scores = (native - low) / (high - low), table.score01[rows]
    last = list(held.values())[-1]
    assert last.n == len(rows) and last.srcc == pytest.approx(stats.spearmanr(predicted, scores)[0], abs=1e-9)
    assert last.mae == pytest.approx(np.abs(predicted - scores).mean(), abs=1e-6)
    assert read_record(finished.store, finished.key("supervised")).facts.pseudo_labels == {}


def test_a_stage_whose_predictions_are_not_finite_costs_its_figures_and_no_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssliqa_bench.models.predict import NotFiniteError
    from ssliqa_bench.runner import pseudo_labels as module

    def broken(*_: object) -> None:
        raise NotFiniteError((), [3, 4])

    monkeypatch.setattr(module, "predict_set", broken)
    record = read_record(bench.store, bench.run("ssiqa")["key"])
    assert record.facts.pseudo_labels == {}
    assert "initial: no quality of pseudo-labels; predictions for 2 unlabeled images are not finite" in record.notes
