"""What the rows of a record determine: metrics, intervals, breakdowns, and those of the stages before the last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyarrow import parquet
from scipy import stats

from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.constants import MINIMUM_GROUPS
from ssliqa_bench.evaluation.mapping import fit_mapping
from ssliqa_bench.runner.classes import ClassRule
from ssliqa_bench.runner.evaluation import evaluate_rows, prediction_columns
from ssliqa_bench.store.predictions import Predictions, StagePredictions
from ssliqa_bench.store.records import read_record

if TYPE_CHECKING:
    from tests.conftest import Bench

PER_GROUP = 4


def made(groups: int = 24, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    n = groups * PER_GROUP
    scores = rng.uniform(0, 100, n)
    return Predictions(
        image=tuple(f"{k}.png" for k in range(n)),
        score=tuple(scores.tolist()),
        prediction=tuple((scores + rng.normal(0, 25, n)).tolist()),
        group=tuple(f"g{k // PER_GROUP}" for k in range(n)),
        distortion=tuple(("blur", "jpeg")[k % 2] for k in range(n)),
        part=tuple("web" if k < 30 else "" for k in range(n)),
        stages={"initial": StagePredictions(tuple(rng.normal(0, 1, n).tolist()))},
    )


def evaluated(rows: Predictions):  # type: ignore[no-untyped-def]
    return evaluate_rows(rows, mapping="logistic4", extra=("rmse_raw",), rule=None)


def test_metrics_of_the_final_model_and_of_stages_are_those_of_scipy() -> None:
    rows = made()
    found = evaluated(rows)
    assert found.metrics.n == len(rows) == 96
    for metrics, values in (
        (found.metrics, rows.prediction), (found.stages["initial"], rows.stages["initial"].prediction),
    ):  # fmt: skip
        assert metrics.srcc == pytest.approx(stats.spearmanr(values, rows.score)[0], abs=1e-12)
        assert metrics.plcc_raw == pytest.approx(stats.pearsonr(values, rows.score)[0], abs=1e-12)
        assert metrics.extra["rmse_raw"] == pytest.approx(np.sqrt(np.mean(np.subtract(values, rows.score) ** 2)))
    assert found.stages["initial"].intervals is None and found.stages["initial"].by is None


def test_the_noise_of_ratings_is_in_the_metrics_where_spread_and_number_are_known() -> None:
    """The limit in closed form, and rmse* by a plain loop over the mapped predictions."""
    rows = made()
    spread = np.random.default_rng(5).uniform(5, 30, len(rows))
    known = replace(rows, rating_std=tuple(spread.tolist()))
    assert evaluated(rows).metrics.noise is None and evaluated(known).metrics.noise is None
    counted = replace(known, n_ratings=(20.0,) * len(rows))
    by_image = evaluated(counted).metrics.noise
    on_average = evaluate_rows(known, mapping="logistic4", extra=(), rule=None, mean_ratings=20).metrics.noise
    assert by_image == on_average and by_image is not None and by_image.n == len(rows)
    scores = np.array(rows.score)
    assert by_image.limit == pytest.approx(np.sqrt(1 - np.mean(spread**2 / 20) / np.var(scores, ddof=1)), abs=1e-12)
    mapped = fit_mapping(rows.prediction, rows.score).apply(np.array(rows.prediction))
    beyond = 0.0
    for value, score, deviation in zip(mapped, rows.score, spread, strict=True):
        beyond += max(abs(value - score) - stats.t.ppf(0.975, 19) * deviation / np.sqrt(20), 0.0) ** 2
    assert by_image.rmse_star == pytest.approx(np.sqrt(beyond / (len(rows) - 4)), abs=1e-9)
    some = replace(counted, rating_std=(None, *counted.rating_std[1:]))  # type: ignore[index]
    assert evaluated(some).metrics.noise.n == len(rows) - 1  # type: ignore[union-attr]


def test_intervals_are_over_groups_and_only_where_these_are_known_and_many() -> None:
    rows = made(36)
    found = evaluated(rows).metrics.intervals
    assert found is not None and set(found) == {"srcc", "krcc", "plcc_raw", "plcc_mapped", "rmse_mapped"}
    srcc = found["srcc"]
    assert srcc is not None and srcc.units == 36 and srcc.lo < evaluated(rows).metrics.srcc < srcc.hi
    assert evaluated(rows).metrics == evaluated(rows).metrics, "the same rows give the same interval"
    alone = replace(rows, group=rows.image)
    assert evaluated(alone).metrics.intervals["srcc"].units == 144
    few = evaluated(made(MINIMUM_GROUPS - 1)).metrics.intervals
    assert set(few.values()) == {None}
    assert evaluated(replace(rows, group=None)).metrics.intervals is None


def test_breakdowns_are_those_of_scipy_and_only_of_columns_that_are_known() -> None:
    rows = made()
    by = evaluated(rows).metrics.by
    assert by is not None and set(by) == {"distortion", "part"}
    for label in ("blur", "jpeg"):
        at = [k for k, own in enumerate(rows.distortion or ()) if own == label]
        expected = stats.spearmanr([rows.prediction[k] for k in at], [rows.score[k] for k in at])[0]
        assert by["distortion"].values[label].srcc == pytest.approx(expected, abs=1e-12)
        assert by["distortion"].values[label].n == 48
    assert by["part"].unlabeled == 66 and by["part"].values["web"].n == 30
    assert evaluated(replace(rows, distortion=None, part=None)).metrics.by is None


def test_the_checksum_moves_with_every_input() -> None:
    rows = made(5)
    first = evaluated(rows).inputs
    for changed in (
        replace(rows, image=("x", *rows.image[1:])),
        replace(rows, score=(0.0, *rows.score[1:])),
        replace(rows, prediction=(0.0, *rows.prediction[1:])),
    ):
        assert evaluated(changed).inputs != first
    order = np.random.default_rng(1).permutation(len(rows))
    moved = {name: tuple(getattr(rows, name)[k] for k in order) for name in ("image", "score", "prediction")}
    assert evaluated(Predictions(**moved)).inputs == first


def test_classes_are_counted_by_the_rule(made_rule: ClassRule) -> None:
    rows = Predictions(("a", "b", "c", "d"), (1.0, 2.0, 4.0, 5.0), (0.0, 0.3, 0.7, 1.0), (0, 1, None, 4), (0, 2, 3, 4))
    found = evaluate_rows(rows, mapping="none", extra=("accuracy", "mae_argmax"), rule=made_rule)
    assert found.metrics.extra == {"accuracy": pytest.approx(2 / 3), "mae_argmax": pytest.approx(1 / 3)}
    assert found.classes is not None and found.classes.images == (1, 1, 0, 0, 1) and found.classes.unknown == 1
    without = evaluate_rows(replace(rows, predicted_class=None), mapping="none", extra=("accuracy",), rule=made_rule)
    assert without.metrics.extra == {"accuracy": None} and without.inputs != found.inputs


@pytest.fixture
def made_rule() -> ClassRule:
    return ClassRule(5, "modal", (1.0, 5.0))


def test_values_that_are_not_finite_are_refused() -> None:
    rows = made(5)
    with pytest.raises(InputError, match="not finite"):
        evaluated(replace(rows, prediction=(float("nan"), *rows.prediction[1:])))


def test_columns_of_a_table_hold_no_folder_of_this_machine() -> None:
    table = Table(
        dataset="a", name=("x/1.png", "2.png"), path=("/data/x/1.png", "/data/2.png"), score=np.array([1.0, 2.0]),
        score01=np.array([0.0, 1.0]), group=("g", "2.png"), reference=("/data/refs/r.png", ""),
        rating_std=np.array([0.5, np.nan]), n_ratings=np.array([24.0, np.nan]), level=("1", ""),
    )  # fmt: skip
    rows = prediction_columns(table, np.array([0.25, 0.75]), (1, None))
    assert rows == Predictions(
        ("x/1.png", "2.png"), (1.0, 2.0), (0.25, 0.75), (1, None), None, ("g", "2.png"), ("r.png", ""), None,
        ("1", ""), None, (0.5, None), (24.0, None),
    )  # fmt: skip


def test_a_run_keeps_what_its_dataset_states_about_the_test_images(finished: Bench) -> None:
    """Read without the package, against the label file that `_write_tiny` wrote: SCENE LEVEL .png, group scene."""
    key = finished.key("ssiqa")
    record = read_record(finished.store, key)
    for dataset in ("tiny-a", "tiny-b"):
        (file,) = (Path(finished.record(key)) / dataset).glob("*.parquet")
        rows = parquet.read_table(file).to_pylist()
        assert len(rows) == 8
        for row in rows:
            scene, level = row["image"][0], row["image"][1]
            assert (row["group"], row["level"], row["role"]) == (f"scene{scene}", level, "test")
            assert row["distortion"] in ("blur", "noise") and "reference" not in row
            assert {"prediction:initial", "prediction:phase-1", "prediction:phase-2"} <= set(row)
        metrics = record.metrics[dataset]
        assert metrics.by is not None and set(metrics.by) == {"distortion", "level"}
        assert metrics.by["level"].values["0"].n == 2 and metrics.by["level"].values["0"].srcc is None
        assert metrics.intervals is not None and set(metrics.intervals.values()) == {None}, "two groups are too few"
        values = [[row[f"prediction:{stage}"] for row in rows] for stage in ("initial", "phase-1", "phase-2")]
        for stage, own in zip(record.stage_metrics(dataset), values, strict=False):
            assert stage.srcc == pytest.approx(stats.spearmanr(own, [row["score"] for row in rows])[0], abs=1e-12)
