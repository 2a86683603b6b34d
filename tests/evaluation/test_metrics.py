"""The metrics object of a set of predictions, its table, and the checksum of what it was computed from."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.stats

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation import names
from ssliqa_bench.evaluation.mapping import fit_mapping
from ssliqa_bench.evaluation.metrics import METRICS, evaluate, input_checksum
from ssliqa_bench.registry.schema import ProtocolEntry
from ssliqa_bench.store.record import Metrics

_KEYS = ["n", "srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped", "mapping", "extra"]


def _saturated(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=n)
    return x, 100 / (1 + np.exp(-3 * x)) + 5 * rng.normal(size=n)


def test_all_values_against_scipy() -> None:
    x, y = _saturated()
    result = evaluate(x, y)
    assert list(result) == _KEYS
    mapped = fit_mapping(x, y).apply(x)
    assert result["n"] == 200
    assert result["srcc"] == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)
    assert result["krcc"] == pytest.approx(scipy.stats.kendalltau(x, y).statistic, abs=1e-12)
    assert result["plcc_raw"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-12)
    assert result["plcc_mapped"] == pytest.approx(scipy.stats.pearsonr(mapped, y).statistic, abs=1e-12)
    assert result["rmse_mapped"] == pytest.approx(np.sqrt(np.mean((mapped - y) ** 2)), rel=1e-12)
    assert result["plcc_mapped"] > result["plcc_raw"]
    assert (result["mapping"], result["extra"]) == ("ok", {})
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_further_metrics_stand_in_extra() -> None:
    x, y = _saturated()
    mapped = fit_mapping(x, y).apply(x)
    extra = evaluate(x, y, extra=("mae_mapped", "rmse_raw"))["extra"]
    assert extra == {"mae_mapped": pytest.approx(np.mean(np.abs(mapped - y))),
                     "rmse_raw": pytest.approx(np.sqrt(np.mean((x - y) ** 2)))}
    with pytest.raises(InputError, match=r'Unknown metric "mae_maped". Did you mean \'mae_mapped\''):
        evaluate(x, y, extra=("mae_maped",))


def test_rmse_raw_is_in_the_units_of_the_scores() -> None:
    """Predictions on [0, 1], scores from 1 (worst) to 5; and scores of which lower is better, negated when read."""
    shares = np.array([0.0, 0.25, 0.5, 1.0, 0.75, 0.1])
    scores = np.array([1.5, 2.0, 3.5, 4.0, 4.5, 1.0])
    found = evaluate(shares, scores, extra=("rmse_raw",), scale=(1, 5))
    expected = math.sqrt(sum((1 + 4 * x - y) ** 2 for x, y in zip(shares, scores, strict=True)) / 6)
    assert found["extra"]["rmse_raw"] == pytest.approx(expected)
    turned = evaluate(shares, scores - 6, extra=("rmse_raw",), scale=(-5, -1))
    assert turned["extra"]["rmse_raw"] == pytest.approx(expected)
    plain = evaluate(shares, scores, extra=("rmse_raw",))
    assert {k: v for k, v in found.items() if k != "extra"} == {k: v for k, v in plain.items() if k != "extra"}
    assert plain["extra"]["rmse_raw"] == pytest.approx(float(np.sqrt(np.mean((shares - scores) ** 2))))


def test_main_score_is_that_of_the_ntire_challenges() -> None:
    x, y = _saturated()
    found = evaluate(x, y, extra=("main_score",))
    expected = scipy.stats.spearmanr(x, y).statistic + scipy.stats.pearsonr(x, y).statistic
    assert found["extra"]["main_score"] == pytest.approx(expected) == pytest.approx(found["srcc"] + found["plcc_raw"])
    assert evaluate(np.ones(9), np.arange(9.0), extra=("main_score",))["extra"]["main_score"] is None
    assert evaluate(-x, y, extra=("main_score",))["extra"]["main_score"] < 0


def test_the_table_holds_every_key_once() -> None:
    found = [metric.name for metric in METRICS]
    assert len(set(found)) == len(found)
    assert [metric.name for metric in METRICS if metric.always] == _KEYS[1:6] == list(names.ALWAYS)
    further = {metric.name for metric in METRICS if not metric.always}
    assert further == {*names.FURTHER, *names.OF_CLASSES}, "evaluation/metrics.py and evaluation/names.py differ"


def test_records_and_protocols_state_every_metric_of_a_result() -> None:
    """Their fields are typed, and neither may import this table."""
    missing = set(names.ALWAYS) - set(Metrics.model_fields)
    assert not missing, f"class Metrics of store/record.py lacks {sorted(missing)}"
    assert ProtocolEntry.model_fields["metrics"].default == names.ALWAYS, "registry/schema.py: ProtocolEntry.metrics"


def test_a_negative_relation_stays_visible() -> None:
    x = np.linspace(0, 1, 40)
    result = evaluate(x, 5 - 3 * x)
    assert result["srcc"] == result["krcc"] == -1.0
    assert result["plcc_raw"] == pytest.approx(-1.0)
    assert (result["mapping"], result["plcc_mapped"]) == ("flat", None)
    assert result["rmse_mapped"] == pytest.approx(np.std(5 - 3 * x))


def test_constant_sides() -> None:
    x = np.arange(8.0)
    for pred, scores in ((np.ones(8), x), (x, np.ones(8)), (np.ones(8), np.ones(8))):
        result = evaluate(pred, scores)
        assert [result[name] for name in ("srcc", "krcc", "plcc_raw", "plcc_mapped")] == [None] * 4
        assert result["mapping"] == "flat"
        assert result["rmse_mapped"] == pytest.approx(np.std(scores))


def test_too_few_values_for_a_curve() -> None:
    result = evaluate([1.0, 2.0, 4.0, 3.0], [1.0, 2.0, 3.0, 4.0])
    assert result["srcc"] == pytest.approx(0.8)
    assert [result[name] for name in ("plcc_mapped", "rmse_mapped", "mapping")] == [None, None, "none"]
    with pytest.raises(InputError, match="at least 2"):
        evaluate([1.0], [1.0])


def test_without_a_mapping_the_predictions_stand_as_they_are() -> None:
    x, y = _saturated()
    result = evaluate(x, y, mapping="none")
    assert result["mapping"] == "none"
    assert result["plcc_mapped"] == result["plcc_raw"]
    assert result["rmse_mapped"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))
    with pytest.raises(InputError, match='Unknown mapping "logistic"'):
        evaluate(x, y, mapping="logistic")


def test_single_precision_is_computed_in_double() -> None:
    x, y = (column.astype(np.float32) for column in _saturated())
    assert evaluate(x, y) == evaluate(x.astype(np.float64), y.astype(np.float64))


def test_checksum_knows_rows_not_their_order() -> None:
    names, scores, predictions = ["a", "b", "c"], [1.0, 2.0, 3.0], [0.5, 0.25, -0.0]
    checksum = input_checksum(names, scores, predictions)
    assert len(checksum) == 64
    turned = [2, 0, 1]
    assert checksum == input_checksum([names[i] for i in turned], [scores[i] for i in turned],
                                      [predictions[i] for i in turned])
    assert checksum == input_checksum(names, np.array(scores), np.array([0.5, 0.25, 0.0]))
    others = [
        (["a", "b", "d"], scores, predictions),
        (names, [1.0, 2.0, np.nextafter(3.0, 4.0)], predictions),
        (names, scores, [0.25, 0.5, 0.0]),
        (names, predictions, scores),
        (names[:2], scores[:2], predictions[:2]),
    ]
    assert len({input_checksum(*columns) for columns in others} | {checksum}) == 6
    with pytest.raises(InputError, match="3 names"):
        input_checksum(names, scores[:2], predictions)
